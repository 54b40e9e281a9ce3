"""The Nanonis driver against the simulator, and the simulator against a client that we did not write."""

import contextlib
import io
import socket
import struct

import numpy as np
import pytest

from adatom.errors import AdatomError, InstrumentError
from adatom.instruments import Limits, ScanFrame, SpectrumSettings, open_instrument
from adatom.instruments.nanonis import open_nanonis
from adatom.instruments.nanonis_simulator import Faults, NanonisSimulator
from adatom.instruments.nanonis_wire import Body, error_part, message, packed, received
from adatom.instruments.twin import open_twin

LIMITS = Limits(x_nm=(-150, 150), y_nm=(-150, 150), speed_nm_per_s=500, bias_V=(-3, 3), total_time_s=1e6)
SWEEP = SpectrumSettings("bias", np.linspace(-2, 2, 21), 0.01)


@pytest.fixture
def simulator():
    with NanonisSimulator(open_twin(sample="ferroelectric")) as running:
        yield running


def test_it_goes_where_it_is_told_and_measures(simulator) -> None:
    nanonis = open_nanonis(port=simulator.port)
    nanonis.move(40, -70, speed_nm_per_s=100)
    assert nanonis.position() == pytest.approx((40, -70))
    assert simulator.moves[-1] == pytest.approx((40, -70))
    image = nanonis.scan(ScanFrame(10, 20, 100, 80, 16, 20, 0.01))["Z"]
    assert image.shape == (16, 20) and image.attrs["units"] == "m" and float(image.std()) > 0
    plain = simulator.twin.scan(ScanFrame(10, 20, 100, 80, 16, 20, 0.01))["image"]
    np.testing.assert_allclose(image, plain, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(image["y"], plain["y"], atol=1e-4)
    curve = nanonis.spectrum(SWEEP)
    assert curve.sizes == {"bias": 21} and curve.attrs["units"] == "A"
    back = nanonis.spectrum(SpectrumSettings("bias", np.r_[SWEEP.values, SWEEP.values[::-1]], 0.01))
    assert back.sizes == {"bias": 42} and not np.allclose(back[:21], back[21:][::-1])
    assert set(nanonis.read()) == {"bias_V", "current_A", "z_nm"}
    nanonis.make_safe()
    assert simulator.is_withdrawn


def test_a_sweep_that_it_cannot_do_is_refused(simulator) -> None:
    with pytest.raises(InstrumentError, match="even sweep"):
        open_nanonis(port=simulator.port).spectrum(SpectrumSettings("bias", np.array([0, 1, 3.0]), 0.1))


def test_a_client_of_others_agrees(simulator) -> None:
    client = pytest.importorskip("nanonis_spm")
    connection = socket.create_connection(("127.0.0.1", simulator.port), timeout=10)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        theirs = client.Nanonis(connection)
        theirs.Bias_Set(0.25)
        assert theirs.Bias_Get()[2][0] == pytest.approx(0.25)
        theirs.FolMe_SpeedSet(1e-7, 1)
        theirs.FolMe_XYPosSet(3e-8, 5e-8, 1)
        assert theirs.FolMe_XYPosGet(1)[2] == pytest.approx([3e-8, 5e-8])
        names = theirs.Signals_NamesGet()[2][2]
        assert names[0] == "Current (A)" and len(names) == 5
        theirs.Scan_FrameSet(0, 0, 1e-7, 1e-7, 0)
        assert theirs.Scan_FrameGet()[2][2] == pytest.approx(1e-7)
        theirs.Scan_BufferSet([2], 12, 10)
        theirs.Scan_SpeedSet(1e-7, 1e-7, 0.1, 0.1, 2, 1.0)
        theirs.Scan_Action(0, 0)
        assert theirs.Scan_WaitEndOfScan(1000)[2][0] == 0
        grabbed = theirs.Scan_FrameDataGrab(2, 1)[2]
        theirs.BiasSpectr_PropsSet(2, 1, 1, 9, 0.0, 2, 2)
        theirs.BiasSpectr_LimitsSet(-1.0, 1.0)
        spectrum = theirs.BiasSpectr_Start(1, "")[2]
        theirs.ZCtrl_Withdraw(0, 0)
    assert "error" not in said.getvalue().lower()
    assert simulator.biases[0] == pytest.approx(0.25) and simulator.is_withdrawn
    ours = open_nanonis(port=simulator.port)
    assert ours.position() == pytest.approx((30, -50))
    image = ours.scan(ScanFrame(0, 0, 100, 100, 10, 12, 0.1 / 12))["Z"]
    np.testing.assert_allclose(grabbed[4], image, rtol=1e-5, atol=1e-6)
    values = np.r_[np.linspace(-1, 1, 9), np.linspace(1, -1, 9)]
    curve = ours.spectrum(SpectrumSettings("bias", values, 0.01))
    rows = spectrum[5]
    np.testing.assert_allclose(curve, np.r_[rows[1], rows[2][::-1]], rtol=1e-5)
    connection.close()


def test_an_error_comes_in_its_words(simulator) -> None:
    simulator.faults = Faults(error=1.0)
    with pytest.raises(InstrumentError, match="something is wrong"):
        open_nanonis(port=simulator.port)


def test_nobody_there_says_so() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InstrumentError, match="cannot be reached"):
        open_nanonis(port=port, timeout_s=0.5)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_back_only_our_errors_come_out_and_nothing_leaves_the_limits(seed: int) -> None:
    faults = Faults(error=0.1, half=0.08, garbage=0.08, hang_up=0.08, seed=seed)
    rng = np.random.default_rng(seed)
    with NanonisSimulator(open_twin(sample="ferroelectric"), faults=Faults()) as simulator:
        guarded = open_instrument("nanonis", limits=LIMITS, port=simulator.port, timeout_s=0.5)
        simulator.faults = faults
        for _ in range(12):
            try:
                guarded.move(*rng.uniform(-250, 250, 2))
                guarded.spectrum(SWEEP)
            except AdatomError:
                pass
        assert np.abs(simulator.moves or [(0, 0)]).max() <= 150.001
        assert np.abs(simulator.biases or [0.0]).max() <= 3
        simulator.faults = Faults()
        guarded.close()
        assert simulator.is_withdrawn


def test_a_request_that_moves_is_never_sent_twice(simulator) -> None:
    nanonis = open_nanonis(port=simulator.port, timeout_s=1)
    simulator.faults = Faults(hang_up=1.0)
    with pytest.raises(InstrumentError, match="no answer"):
        nanonis._ask("FolMe.XYPosSet", "ddI", [1e-9, 0.0, 1])
    assert len(simulator.moves) == 1


HOSTILE = {
    "a huge size": message("Bias.Get", b"", is_request=False)[:32] + struct.pack(">iHH", 2**31 - 1, 0, 0),
    "a negative size": message("Bias.Get", b"", is_request=False)[:32] + struct.pack(">iHH", -5, 0, 0),
    "no name": b"\xff" * 40,
    "too little": message("Bias.Get", b"\0\0", is_request=False),
    "no number": message("Bias.Get", struct.pack(">f", float("nan")) + error_part(), is_request=False),
    "another answer": message("Bias.Set", error_part(), is_request=False),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_our_errors(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        first, second = socket.socketpair()
        with first, second:
            second.sendall(HOSTILE[name])
            second.shutdown(socket.SHUT_WR)
            with pytest.raises((InstrumentError, OSError)):
                command, content = received(first)
                if command != "Bias.Get":
                    raise InstrumentError("another")
                Body(content, command).take("f")
        server.close()


def test_arrays_do_not_promise_more_than_is_there() -> None:
    with pytest.raises(InstrumentError, match="elements"):
        Body(struct.pack(">ii", 2**30, 2**30), "it").take("F")
    with pytest.raises(InstrumentError):
        Body(struct.pack(">iii", 8, 3, 100), "it").take("S")
    assert Body(packed("sF", ["ab", np.ones((2, 3))]), "it").take("sF")[1].shape == (2, 3)
