"""What stands in front of an instrument lets through what is allowed, and nothing else."""

import copy
import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr

from adatom.errors import ArgumentError, InstrumentError, LimitError
from adatom.instruments import Dose, Guarded, Limits, ScanFrame, SpectrumSettings, Used
from adatom.instruments.samples import LoopSample
from adatom.instruments.twin import Twin, World

LIMITS = {
    "x_nm": [-100, 100],
    "y_nm": [-100, 100],
    "speed_nm_per_s": 1000,
    "total_time_s": 1000,
    "bias_V": [-8, 8],
    "bias_step_V": 1.1,
    "dwell_time_s": [1e-4, 1],
}


class Logged(Twin):
    """A twin that notes what reaches it."""

    def __init__(self, **world):
        super().__init__(LoopSample(size_px=16), World(**world))
        self.log = []

    def move(self, x_nm, y_nm, *, speed_nm_per_s):
        self.log.append(("move", x_nm, y_nm))
        super().move(x_nm, y_nm, speed_nm_per_s=speed_nm_per_s)

    def scan(self, frame):
        self.log.append(("scan", frame))
        return super().scan(frame)

    def spectrum(self, settings):
        self.log.append(("spectrum", settings))
        return super().spectrum(settings)

    def make_safe(self):
        self.log.append(("safe",))
        super().make_safe()


def guard(driver=None, events=None, *, used=None, dead_man_s=None, grace_s=5.0, **limits):
    driver = driver or Logged()
    on_event = None if events is None else events.append
    allowed = Limits.model_validate({**LIMITS, **limits})
    return driver, Guarded(driver, allowed, used=used, on_event=on_event, dead_man_s=dead_man_s, grace_s=grace_s)


def frame(**changes):
    facts = {"x_nm": 0, "y_nm": 0, "width_nm": 50, "height_nm": 50, "rows": 5, "columns": 5, "dwell_time_s": 0.01}
    return ScanFrame(**{**facts, **changes})


def sweep(high=8.0, n=33, dwell_time_s=0.01):
    return SpectrumSettings("bias", high * np.sin(np.linspace(0, 2 * np.pi, 2 * n)), dwell_time_s)


def test_what_is_allowed_is_done():
    driver, guarded = guard()
    guarded.move(10, -20, speed_nm_per_s=100)
    assert guarded.position() == (10, -20)
    assert guarded.scan(frame())["Polarisation"].shape == (5, 5)
    assert guarded.spectrum(sweep()).sizes == {"bias": 66}
    assert guarded.used().moves == 1
    guarded.close()
    assert driver.log[-1] == ("safe",)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda each: each.move(101, 0, speed_nm_per_s=100), "x_nm: expected -100 to 100 nm, got 101 nm"),
        (lambda each: each.move(0, float("nan"), speed_nm_per_s=100), "y_nm: expected a finite number, got nan"),
        (lambda each: each.move("0", 0, speed_nm_per_s=100), "x_nm: expected a number, got '0'"),
        (lambda each: each.move(10**400, 0, speed_nm_per_s=100), "x_nm: expected a number"),
        (lambda each: each.move(0, 0, speed_nm_per_s=1001), "up to 1000 nm/s, got 1001 nm/s"),
        (lambda each: each.move(0, 0, speed_nm_per_s=-1), "above 0"),
        (lambda each: each.scan(frame(x_nm=80)), "x_nm: expected -100 to 100 nm, got 105 nm"),
        (lambda each: each.scan(frame(dwell_time_s=-1)), "dwell_time_s: expected"),
        (lambda each: each.scan(frame(dwell_time_s=0.001)), "pixels of 10 nm in 0.001 s each"),
        (lambda each: each.scan(frame(rows=2.5)), "rows: expected a whole number"),
        (lambda each: each.scan(frame(rows=10**9)), "rows: expected a whole number"),
        (lambda each: each.scan(frame(rows=1000, columns=1000)), "total_time_s: expected actions within 1000 s"),
        (lambda each: each.scan("everything"), "expected a ScanFrame, got str"),
        (lambda each: each.spectrum(sweep(high=8.1)), "values: expected bias from -8 to 8 V"),
        (lambda each: each.spectrum(sweep(n=8)), "bias_step_V: expected steps of at most 1.1 V"),
        (lambda each: each.spectrum(SpectrumSettings("bias", np.array([5.0, 5.1]), 0.01)), "present bias"),
        (lambda each: each.spectrum(SpectrumSettings("energy", np.arange(3.0), 0.01)), "State energy_eV in the limits"),
        (lambda each: each.spectrum(SpectrumSettings("bias", np.array(["a"]), 0.01)), "finite numbers"),
        (lambda each: each.spectrum(SpectrumSettings("bias", np.zeros((2, 2)), 0.01)), r"\(points,\)"),
        (lambda each: each.spectrum(SpectrumSettings("bias", np.zeros(0), 0.01)), "finite numbers"),
    ],
)
def test_what_is_not_allowed_is_refused_recorded_and_left_safe(ask, told):
    events = []
    driver, guarded = guard(events=events)
    with pytest.raises(LimitError, match=told):
        ask(guarded)
    assert driver.log == [("safe",)]
    assert [each["event"] for each in events] == ["made_safe", "refused"]
    assert "expected" in events[-1]["reason"]
    guarded.move(1, 1, speed_nm_per_s=100)  # it is made ready again for what is allowed


def test_arguments_that_change_or_raise_when_they_are_looked_at_do_no_harm():
    class Sly(ScanFrame):
        looks = 0

        @property
        def width_nm(self):
            Sly.looks += 1
            return 50.0 if Sly.looks == 1 else 1e6

        @width_nm.setter
        def width_nm(self, value):
            pass

        def __setattr__(self, name, value):
            pass

    class Raising(float):
        def __float__(self):
            raise KeyError("no")

    driver, guarded = guard()
    sly = object.__new__(Sly)
    for name, value in vars(frame()).items():
        if name != "width_nm":
            object.__setattr__(sly, name, value)
    guarded.scan(sly)
    assert driver.log[-1][1].width_nm == 50.0 and type(driver.log[-1][1]) is ScanFrame
    with pytest.raises(LimitError):
        guarded.move(Raising(1.0), 0, speed_nm_per_s=100)
    values = np.zeros(3)
    guarded.spectrum(SpectrumSettings("bias", values, 0.01))
    values[:] = 100.0
    assert driver.log[-1][1].values.max() == 0.0


def test_zones_are_kept_out_of_by_places_ways_and_scans():
    _, guarded = guard(keep_out=[{"x_nm": [20, 30], "y_nm": [-10, 10]}])
    guarded.move(15, 0, speed_nm_per_s=100)
    with pytest.raises(LimitError, match="expected a way around"):
        guarded.move(40, 0, speed_nm_per_s=100)
    guarded.move(15, 20, speed_nm_per_s=100)
    guarded.move(40, 20, speed_nm_per_s=100)
    with pytest.raises(LimitError, match="got one on it"):
        guarded.scan(frame(x_nm=0))


def test_budgets_of_time_moves_and_dose_go_on_after_an_interruption():
    _, guarded = guard(moves=2, total_time_s=100, dose=Dose(place_nm=10, seconds=1.0).model_dump())
    guarded.move(55, 5, speed_nm_per_s=1000)
    guarded.spectrum(sweep())
    used = guarded.used()
    assert used.moves == 1 and sum(seconds for *_, seconds in used.dose_s) == pytest.approx(0.66)
    again = Used.model_validate_json(used.model_dump_json())
    _, later = guard(used=again, moves=2, total_time_s=100, dose=Dose(place_nm=10, seconds=1.0).model_dump())
    later.move(55, 5, speed_nm_per_s=1000)
    with pytest.raises(LimitError, match=r"dose: expected at most 1 s at a place of 10 nm, got 1\.32 s"):
        later.spectrum(sweep())
    with pytest.raises(LimitError, match="moves: expected at most 2"):
        later.move(0, 0, speed_nm_per_s=1000)
    assert later.used().time_s > used.time_s


def test_a_scan_spreads_its_dose():
    _, guarded = guard(dose={"place_nm": 10, "electrons_per_nm2": 1e9, "beam_current_A": 1e-9})
    guarded.scan(frame())
    dose = np.array([seconds for *_, seconds in guarded.used().dose_s])
    assert dose.sum() == pytest.approx(0.5) and len(dose) == 36 and dose.max() == pytest.approx(0.5 / 25)


def test_what_the_instrument_did_not_do_is_told_and_left_safe():
    class Stuck(Logged):
        def position(self):
            return 0.0, 0.0

    class Empty(Logged):
        def scan(self, frame):
            return xr.Dataset()

        def spectrum(self, settings):
            return super().spectrum(settings) * np.nan

        def move(self, x_nm, y_nm, *, speed_nm_per_s):
            raise OSError("cable")

    driver, guarded = guard(Stuck())
    with pytest.raises(InstrumentError, match="within 1 nm of"):
        guarded.move(50, 0, speed_nm_per_s=100)
    assert driver.log[-1] == ("safe",)
    driver, guarded = guard(Empty())
    with pytest.raises(InstrumentError, match="with channels"):
        guarded.scan(frame())
    with pytest.raises(InstrumentError, match="finite numbers"):
        guarded.spectrum(sweep())
    with pytest.raises(InstrumentError, match="OSError: cable"):
        guarded.move(1, 0, speed_nm_per_s=100)
    assert driver.log[-1] == ("safe",)


def test_a_current_beyond_the_limit_is_a_violation():
    class Touching(Logged):
        def read(self):
            return {"bias_V": 0.0, "current_A": 1e-6}

    driver, guarded = guard(Touching(), current_A=1e-9)
    with pytest.raises(LimitError, match="touched the sample"):
        guarded.move(1, 0, speed_nm_per_s=100)
    assert [each[0] for each in driver.log] == ["safe"]


class Slow(Logged):
    """Does not end a spectrum before it is made safe."""

    freed = None

    def spectrum(self, settings):
        self.freed = threading.Event()
        self.freed.wait()
        raise InstrumentError("interrupted")

    def make_safe(self):
        super().make_safe()
        if self.freed is not None:
            self.freed.set()


def test_an_emergency_stop_from_another_thread_ends_what_goes_on_and_stays_until_a_person_releases():
    driver, guarded = guard(Slow())
    threading.Timer(0.1, guarded.stop, args=("smoke",)).start()
    with pytest.raises(InstrumentError, match="interrupted"):
        guarded.spectrum(sweep())
    assert guarded.stopped == "smoke" and driver.log[-1] == ("safe",)
    with pytest.raises(InstrumentError, match="A person has to release it"):
        guarded.move(1, 1, speed_nm_per_s=100)
    assert guarded.position() == (0, 0)  # looking is allowed
    guarded.release()
    guarded.move(1, 1, speed_nm_per_s=100)


def test_a_stop_while_it_is_made_ready_comes_before_the_action():
    class StoppedMeanwhile(Logged):
        def make_ready(self):
            guarded.stop("smoke")
            super().make_ready()

    driver, guarded = guard(StoppedMeanwhile())
    with pytest.raises(InstrumentError, match=r"not begun, as it was stopped \(smoke\)"):
        guarded.move(1, 0, speed_nm_per_s=100)
    assert {each[0] for each in driver.log} == {"safe"}
    assert driver.read()["z_nm"] > 0


def test_an_action_that_hangs_is_given_up_and_left_safe():
    class Hanging(Logged):
        def move(self, x_nm, y_nm, *, speed_nm_per_s):
            threading.Event().wait(10.0)

    events = []
    driver, guarded = guard(Hanging(), events, grace_s=0.1)
    started = time.monotonic()
    with pytest.raises(InstrumentError, match=r"was not done after 0\.12 s"):
        guarded.move(1, 0, speed_nm_per_s=100)
    assert time.monotonic() - started < 8
    assert ("safe",) in driver.log and "watchdog" in [each["event"] for each in events]
    with pytest.raises(InstrumentError, match="still hangs"):
        guarded.release()


def test_nobody_there_makes_it_safe():
    events = []
    driver, guarded = guard(events=events, dead_man_s=0.2)
    guarded.move(1, 0, speed_nm_per_s=100)
    deadline = time.monotonic() + 5
    while "dead_man" not in [each["event"] for each in events] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert driver.log[-1] == ("safe",)
    guarded.move(2, 0, speed_nm_per_s=100)  # somebody is there again


def test_nothing_begins_without_its_record():
    class FullDisk:
        def append(self, event):
            if event["event"] == "starts":
                raise OSError("no space left")

    driver, guarded = guard(events=FullDisk())
    with pytest.raises(InstrumentError, match="the record failed"):
        guarded.move(1, 0, speed_nm_per_s=100)
    assert [each[0] for each in driver.log] == ["safe"]


def test_it_is_made_safe_when_it_is_forgotten_and_when_the_program_ends():
    driver, guarded = guard()
    with guarded:
        guarded.move(1, 0, speed_nm_per_s=100)
    assert driver.log[-1] == ("safe",)
    driver, guarded = guard()
    guarded.move(1, 0, speed_nm_per_s=100)
    del guarded
    gc.collect()
    assert driver.log[-1] == ("safe",)
    program = f"""
from adatom.instruments import Guarded, Limits
from adatom.instruments.samples import LoopSample
from adatom.instruments.twin import Twin
class Told(Twin):
    def make_safe(self):
        print("safe", flush=True)
guarded = Guarded(Told(LoopSample(size_px=8)), Limits.model_validate({LIMITS}))
guarded.move(1, 0, speed_nm_per_s=100)
raise SystemExit("a policy with a mistake")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "safe" in ended.stdout and "mistake" in ended.stderr


def test_no_attribute_leads_to_the_driver():
    driver, guarded = guard()
    assert not hasattr(guarded, "__dict__")
    for name in dir(guarded):
        value = getattr(guarded, name)
        assert value is not driver and getattr(value, "__closure__", None) is None
    with pytest.raises(AttributeError):
        guarded.driver = driver
    with pytest.raises(InstrumentError, match="got a copy"):
        copy.copy(guarded).position()


def test_limits_that_make_no_sense_are_refused():
    for wrong in (
        {"x_nm": [1, -1]},
        {"speed": 1},
        {"dose": {"place_nm": 1}},
        {"dose": {"place_nm": 1e-3, "seconds": 1}},
    ):
        with pytest.raises(ValueError):
            Limits.model_validate({**LIMITS, **wrong})
    with pytest.raises(ArgumentError, match=r"expected adatom\.instruments\.Limits, got dict"):
        Guarded(Logged(), LIMITS)
