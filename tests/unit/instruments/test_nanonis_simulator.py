"""The simulator of the Nanonis protocol, as a client that we did not write sees it."""

import socket
from types import SimpleNamespace

import numpy as np
import pytest

from adatom.instruments import ScanFrame, SpectrumSettings
from adatom.instruments.nanonis import Nanonis
from adatom.instruments.nanonis_simulator import NanonisSimulator
from adatom.simulate.loops import triangle_sweep

nanonis_spm = pytest.importorskip("nanonis_spm")


@pytest.fixture
def bench():
    """A simulator, the other client, and our driver, on two connections."""
    with NanonisSimulator() as simulator, socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as wire:
        ours = Nanonis(port=simulator.port, safe_port=simulator.port)
        yield SimpleNamespace(simulator=simulator, other=nanonis_spm.Nanonis(wire), ours=ours)
        ours.close()


def test_the_other_client_reads_what_ours_set(bench):
    bench.ours.make_ready()
    bench.ours.move(12, -34, speed_nm_per_s=500)
    assert bench.other.FolMe_XYPosGet(1)[2] == pytest.approx([12e-9, 34e-9])
    assert bench.other.FolMe_SpeedGet()[2] == pytest.approx([500e-9, 1])
    assert bench.other.SafeTip_OnOffGet()[2] == [1] and bench.other.ZCtrl_OnOffGet()[2] == [1]
    bench.ours.scan(ScanFrame(10, 20, 320, 160, 8, 16, 0.001))
    assert bench.other.Scan_FrameGet()[2] == pytest.approx([10e-9, -20e-9, 320e-9, 160e-9, 0])
    assert bench.other.Scan_SpeedGet()[2][2:4] == pytest.approx([0.016, 0.016])
    bench.ours.spectrum(SpectrumSettings("bias", triangle_sweep(64, 8.0), 0.001))
    assert bench.other.BiasSpectr_MLSModeGet()[2] == [3, "MLS"]
    n, starts, ends, _, _, _, points, _ = bench.other.BiasSpectr_MLSValsGet()[2]
    assert n == 3 and np.ravel(points).sum() == 64
    assert np.ravel(starts)[0] == 0 and np.ravel(ends)[1] == pytest.approx(-8)


def test_ours_reads_what_the_other_client_set(bench):
    bench.other.ZCtrl_OnOffSet(1)
    bench.other.FolMe_SpeedSet(1e-6, 1)
    bench.other.FolMe_XYPosSet(-5e-9, 7e-9, 1)
    assert bench.ours.position() == pytest.approx((-5, -7))
    bench.other.Bias_Set(0.25)
    assert bench.ours.read()["bias_V"] == pytest.approx(0.25)
    assert bench.other.Current_Get()[2][0] == pytest.approx(bench.ours.read()["current_A"])
    bench.other.ZCtrl_Withdraw(1, 1000)
    assert bench.ours.read()["z_nm"] == pytest.approx(bench.other.ZCtrl_ZPosGet()[2][0] * 1e9) == pytest.approx(500)


def test_both_see_the_same_image_and_spectrum(bench):
    other = bench.other
    names = other.Signals_NamesGet()[2][2]
    height = names.index("Z (m)")
    bench.ours.make_ready()
    ours = bench.ours.scan(ScanFrame(0, 0, 320, 320, 8, 16, 0.001))["Z (m)"]
    other.Scan_FrameSet(0, 0, 320e-9, 320e-9, 0)
    other.Scan_BufferSet([height], 16, 8)
    assert [np.ravel(each).tolist() for each in other.Scan_BufferGet()[2]] == [[1], [height], [16], [8]]
    other.Scan_SpeedSet(2e-5, 2e-5, 0.016, 0.016, 2, 1)
    other.Scan_Action(0, 1)  # upwards: the first line is the bottom one
    assert other.Scan_WaitEndOfScan(1000)[2][0] == 0 and other.Scan_StatusGet()[2] == [0]
    _, name, rows, columns, theirs, upwards = other.Scan_FrameDataGrab(height, 1)[2]
    assert (name, rows, columns, upwards) == ("Z (m)", 8, 16, 1)
    assert np.allclose(theirs[::-1], ours, atol=1e-5)

    sweep = np.linspace(-2, 2, 41)
    ours = bench.ours.spectrum(SpectrumSettings("bias", sweep, 0.001))
    other.BiasSpectr_Open()
    other.BiasSpectr_ChsSet([names.index("Current (A)")])
    other.BiasSpectr_PropsSet(0, 1, 2, 41, 0, 2, 2)
    other.BiasSpectr_MLSModeSet("Linear")
    other.BiasSpectr_LimitsSet(-2, 2)
    _, n, recorded, rows, columns, values, *_ = other.BiasSpectr_Start(1, "")[2]
    assert (n, rows, columns) == (2, 2, 41) and recorded[1] == "Current (A)"
    assert np.allclose(values[0], sweep, atol=1e-6) and np.allclose(values[1], ours, atol=1e-6)


def test_both_are_told_of_an_error(bench):
    told = bench.other.BiasSpectr_MLSModeSet("Zigzag")[0]
    assert "there is no mode 'Zigzag'" in told
    bench.simulator.fail_next("error", "Bias.Get")
    assert bench.other.Bias_Get()[0] == "an error, as asked"


def test_what_no_controller_knows_is_answered_with_an_error(bench):
    assert bench.other.quickSend("Made.Up", [], [], [])[0] == "unknown command Made.Up"
