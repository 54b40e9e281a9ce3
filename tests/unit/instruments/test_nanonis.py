"""The driver of a Nanonis against the simulator of its protocol, in good and in bad times."""

import socket
import threading
import time

import numpy as np
import pytest

from adatom.errors import AdatomError, ArgumentError, InstrumentError, LimitError
from adatom.instruments import ScanFrame, SpectrumSettings, open_instrument
from adatom.instruments.nanonis import Nanonis
from adatom.instruments.nanonis_segments import segments_of, values_of
from adatom.instruments.nanonis_simulator import FAULTS, NanonisSimulator
from adatom.simulate.loops import triangle_sweep

LIMITS = {
    "x_nm": [-600, 600],
    "y_nm": [-600, 600],
    "speed_nm_per_s": 1e5,
    "total_time_s": 1e4,
    "bias_V": [-8, 8],
    "bias_step_V": 1,
    "current_A": 1e-8,
    "arrival_nm": 0.1,
}
FRAME = ScanFrame(0, 100, 320, 160, 8, 16, 0.001)
LOOP = SpectrumSettings("bias", triangle_sweep(64, 8.0), 0.001)


@pytest.fixture
def simulator():
    with NanonisSimulator() as started:
        yield started


def connect(simulator, timeout_s=3.0, **more):
    ports = {"port": simulator.port, "safe_port": simulator.port, "timeout_s": timeout_s}
    return open_instrument("nanonis", limits=LIMITS, **ports, **more)


def test_the_verbs_reach_the_sample_in_its_units(simulator):
    nanonis = connect(simulator)
    nanonis.move(123.5, -50, speed_nm_per_s=1000)
    assert nanonis.position() == pytest.approx((123.5, -50))
    assert ("move", (pytest.approx(123.5e-9), pytest.approx(50e-9))) in simulator.log  # y upwards, in m
    spectrum = nanonis.spectrum(LOOP)
    expected = simulator.controller.sample.respond(123.5, -50, LOOP.values)
    assert np.allclose(spectrum, expected, atol=1e-5) and spectrum.attrs["units"] == "A"
    image = nanonis.scan(FRAME)["Z (m)"]
    places = np.meshgrid(image["x"], image["y"])
    assert np.allclose(image, simulator.controller.sample.look("Polarisation", *places), atol=1e-5)
    assert image.shape == (8, 16) and image.attrs["units"] == "m"
    assert set(nanonis.read()) == {"bias_V", "current_A", "z_nm"}
    nanonis.close()
    assert simulator.controller.is_withdrawn and simulator.controller.is_safe_tip_on


def test_a_straight_sweep_is_one_of_the_linear_mode(simulator):
    nanonis = connect(simulator)
    nanonis.spectrum(SpectrumSettings("bias", np.linspace(-1, 1, 21), 0.001))
    assert simulator.controller.mode == "Linear"
    assert np.allclose(simulator.log[-1][1][2], np.linspace(-1, 1, 21))


@pytest.mark.parametrize("values", [triangle_sweep(64, 8.0), np.array([1.0]), np.array([0.0, 1, 2, 1, 0, 0, 0, 5])])
def test_segments_hold_all_values_in_their_order(values):
    segments = segments_of(values)
    assert np.allclose(values_of(segments), values)
    assert sum(each.points for each in segments) == len(values)


def test_a_sweep_with_too_many_corners_is_refused():
    with pytest.raises(InstrumentError, match="at most 16 straight pieces"):
        segments_of(np.random.default_rng(0).random(64))


def test_what_the_controller_does_not_take_is_noticed(simulator):
    nanonis = connect(simulator)
    with pytest.raises(InstrumentError, match="columns: expected a multiple of 16, got 20"):
        nanonis.scan(ScanFrame(0, 0, 100, 100, 8, 20, 0.001))
    simulator.fail_next("not done", "Scan.FrameSet")
    with pytest.raises(InstrumentError, match=r"Scan\.FrameGet: expected .* to be taken"):
        nanonis.scan(FRAME)
    simulator.fail_next("not done", "FolMe.XYPosSet")
    with pytest.raises(InstrumentError, match=r"expected the probe within 0\.1 nm"):
        nanonis.move(50, 50, speed_nm_per_s=1000)
    assert simulator.controller.is_withdrawn
    with pytest.raises(InstrumentError, match="'No such signal', which is none"):
        nanonis.scan(ScanFrame(0, 0, 100, 100, 8, 16, 0.001, ("No such signal",)))


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_in_an_action_is_told_and_leaves_the_tip_withdrawn(simulator, kind):
    nanonis = connect(simulator, timeout_s=0.5)
    nanonis.move(1, 1, speed_nm_per_s=1000)
    assert not simulator.controller.is_withdrawn
    simulator.fail_next(kind, "FolMe.XYPosSet")
    with pytest.raises(InstrumentError, match=r"FolMe\.XYPosSet"):
        nanonis.move(2, 2, speed_nm_per_s=1000)
    assert simulator.controller.is_withdrawn
    nanonis.move(3, 3, speed_nm_per_s=1000)  # over a fresh connection
    assert nanonis.position() == pytest.approx((3, 3))
    assert sum(what == "move" and place[0] == pytest.approx(2e-9) for what, place in simulator.log) <= 1  # not repeated


@pytest.mark.parametrize("kind", ["delay", "half", "disconnect", "garbage", "oversize", "other name"])
def test_a_question_is_asked_again(simulator, kind):
    nanonis = connect(simulator, timeout_s=0.5)
    simulator.fail_next(kind, "FolMe.XYPosGet")
    assert nanonis.position() == (0, 0)


def test_an_error_of_the_controller_is_told_in_its_words(simulator):
    nanonis = connect(simulator)
    simulator.fail_next("error", "BiasSpectr.Start")
    with pytest.raises(InstrumentError, match="the controller says 'an error, as asked'"):
        nanonis.spectrum(LOOP)


def test_a_stop_ends_a_sweep_that_is_under_way():
    with NanonisSimulator(seconds_per_second=1.0) as simulator:
        nanonis = connect(simulator)
        threading.Timer(0.2, nanonis.stop).start()
        started = time.monotonic()
        with pytest.raises(InstrumentError):
            nanonis.spectrum(SpectrumSettings("bias", triangle_sweep(64, 8.0), 0.2))
        assert time.monotonic() - started < 5 and simulator.controller.is_withdrawn
        assert nanonis.stopped == "emergency stop"


def test_a_disconnect_in_the_middle_of_a_scan_leaves_the_tip_withdrawn():
    with NanonisSimulator(seconds_per_second=1.0) as simulator:
        nanonis = connect(simulator)
        threading.Timer(0.2, simulator.disconnect_all).start()
        with pytest.raises(InstrumentError, match="broken connection"):
            nanonis.scan(ScanFrame(0, 0, 160, 160, 16, 16, 0.01))
        assert simulator.controller.is_withdrawn and not simulator.controller.is_scanning


def test_nobody_there_and_others_there():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
        with pytest.raises(InstrumentError, match="got none"):
            Nanonis(port=port, safe_port=port, timeout_s=0.1)
    with pytest.raises(InstrumentError, match="got no connection"):
        Nanonis(port=port, safe_port=port, timeout_s=0.1)
    with pytest.raises(ArgumentError, match="loopback"):
        NanonisSimulator(host="0.0.0.0")


def test_answers_that_drip_do_not_hold_it_up():
    def drip(server):
        connection, _ = server.accept()
        try:
            while True:
                connection.sendall(b"S")
                time.sleep(0.02)
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(2):
            threading.Thread(target=drip, args=(server,), daemon=True).start()
        started = time.monotonic()
        with pytest.raises(InstrumentError):
            Nanonis(port=server.getsockname()[1], timeout_s=0.5)
        assert time.monotonic() - started < 5


def test_random_faults_raise_our_errors_only_and_no_move_leaves_the_limits(simulator):
    nanonis = connect(simulator, timeout_s=0.5)
    simulator.fail_at_random(0.03, seed=3)
    rng = np.random.default_rng(3)
    done = 0
    for _ in range(40):
        try:
            x, y = rng.uniform(-900, 900, 2)
            nanonis.move(x, y, speed_nm_per_s=1e4)
            nanonis.spectrum(SpectrumSettings("bias", rng.uniform(0.5, 9) * triangle_sweep(64, 1.0), 0.001))
            done += 1
        except AdatomError as error:
            assert isinstance(error, (InstrumentError, LimitError))
            if nanonis.stopped is not None:
                nanonis.release()
    assert done > 3
    moves = np.array([place for what, place in simulator.log if what == "move"])
    assert np.abs(moves).max() <= 600e-9
    sweeps = [facts[2] for what, facts in simulator.log if what == "sweep"]
    assert max(np.abs(each).max() for each in sweeps) <= 8
