"""Every instrument in the table keeps the contract that `adatom.instruments.instrument` states."""

import contextlib
import json
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from adatom.errors import ArgumentError, InstrumentError, LimitError
from adatom.instruments import INSTRUMENTS, Guarded, ScanFrame, SpectrumSettings, known_instruments, open_instrument
from adatom.instruments.nanonis_simulator import NanonisSimulator

LIMITS = {
    "x_nm": [-500, 500],
    "y_nm": [-500, 500],
    "speed_nm_per_s": 1e5,
    "total_time_s": 1e4,
    "bias_V": [-8, 8],
    "current_A": 1e-8,
}
EVENTS = {"starts", "done", "failed", "refused", "made_safe", "stopped", "released"}


@contextlib.contextmanager
def opened(name, **more):
    """An instrument that can be played with."""
    if name == "nanonis":
        with NanonisSimulator() as simulator:
            ports = {"port": simulator.port, "safe_port": simulator.port}
            yield open_instrument(name, limits=LIMITS, **ports, **more)
    else:
        yield open_instrument(name, limits=LIMITS, **more)


every_instrument = pytest.mark.parametrize("name", INSTRUMENTS)


@every_instrument
def test_it_describes_itself_in_json(name):
    with opened(name) as instrument:
        facts = json.loads(json.dumps(instrument.describe()))
        assert set(facts) == {"name", "channels", "spectrum", "x_nm", "y_nm"} and facts["channels"]
        assert facts["spectrum"] is None or set(facts["spectrum"]) == {"axis", "values", "units"}
        assert all(np.isfinite(value) for value in instrument.read().values())
        json.dumps(instrument.state())


@every_instrument
def test_it_goes_looks_and_measures(name):
    events = []
    with opened(name, on_event=events.append) as instrument:
        before = instrument.clock()
        instrument.move(100, -50, speed_nm_per_s=1000)
        assert instrument.position() == pytest.approx((100, -50), abs=0.01)
        frame = ScanFrame(50, 60, 160, 80, 4, 16, 1e-3)
        image = instrument.scan(frame)
        assert set(image.data_vars) == set(instrument.describe()["channels"])
        one = next(iter(image.data_vars))
        assert set(instrument.scan(ScanFrame(0, 0, 160, 80, 4, 16, 1e-3, (one,))).data_vars) == {one}
        assert image.sizes == {"y": 4, "x": 16} and image["x"].attrs["units"] == "nm"
        assert float(image["x"].mean()) == pytest.approx(50) and float(image["y"].diff("y")[0]) == pytest.approx(20)
        spectrum = instrument.spectrum(SpectrumSettings("bias", np.linspace(-2, 2, 17), 1e-3))
        assert spectrum.dims == ("bias",) and spectrum["bias"].attrs["units"] == "V" and "units" in spectrum.attrs
        assert instrument.clock() > before
    json.dumps(events)
    assert {each["event"] for each in events} <= EVENTS


@every_instrument
def test_safe_is_far_away_and_ready_is_back(name):
    with opened(name) as instrument:
        instrument.move(0, 0, speed_nm_per_s=1000)
        assert instrument.read()["z_nm"] == pytest.approx(0)
        instrument.make_safe()
        instrument.make_safe()
        assert instrument.read()["z_nm"] > 100 and instrument.read()["current_A"] == 0
        instrument.move(1, 0, speed_nm_per_s=1000)
        assert instrument.read()["z_nm"] == pytest.approx(0)
        instrument.close()
        instrument.close()
        with pytest.raises(InstrumentError):
            instrument.move(2, 0, speed_nm_per_s=1000)


@every_instrument
def test_no_limit_gives_way(name):
    with opened(name) as instrument:
        with pytest.raises(LimitError):
            instrument.move(501, 0, speed_nm_per_s=1000)
        with pytest.raises(LimitError):
            instrument.spectrum(SpectrumSettings("bias", np.array([0.0, 9.0]), 1e-3))
        with pytest.raises(LimitError):
            instrument.scan(ScanFrame(480, 0, 160, 80, 4, 16, 1e-3))


@every_instrument
def test_unknown_settings_are_errors(name):
    with pytest.raises(ArgumentError, match="volume"):
        open_instrument(name, limits=LIMITS, volume=11)
    with pytest.raises(ArgumentError, match="limits"):
        open_instrument(name, limits={**LIMITS, "volume": 11})


def test_a_package_can_name_an_instrument(monkeypatch):
    theirs = EntryPoint("theirs", "adatom.instruments.twin:open_twin", "adatom.instruments")
    broken = EntryPoint("broken", "adatom.no_such_room:thing", "adatom.instruments")
    monkeypatch.setattr("adatom.instruments.opening.entry_points", lambda group: [theirs, broken])
    assert known_instruments() == [*INSTRUMENTS, "theirs", "broken"]
    assert isinstance(open_instrument("theirs", limits=LIMITS, seed=1), Guarded)
    with pytest.raises(ArgumentError, match="cannot be loaded"):
        open_instrument("broken", limits=LIMITS)
    with pytest.raises(ArgumentError, match="expected one of twin, nanonis, theirs, broken, got 'none'"):
        open_instrument("none", limits=LIMITS)
