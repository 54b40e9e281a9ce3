"""Limits: what no policy can get past, and what happens when something is wrong."""

import math
import time

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from adatom.data import make_image
from adatom.errors import AdatomError, ArgumentError, InstrumentError, LimitError
from adatom.instruments import INSTRUMENTS, Guarded, Limits, ScanFrame, SpectrumSettings, Used, open_instrument

LIMITS = Limits(
    x_nm=(-100, 100),
    y_nm=(-50, 50),
    speed_nm_per_s=20,
    bias_V=(-2, 2),
    bias_step_V=0.5,
    current_A=1e-8,
    dwell_time_s=(0.001, 1),
    n_pixels=10_000,
    dose_s=5,
    total_time_s=1e4,
)


class Recording:
    """A driver that writes down all that reaches it."""

    def __init__(self) -> None:
        self.done: list[tuple] = []
        self.at, self.off, self.current, self.sleep_s, self.clock = (0.0, 0.0), (0.0, 0.0), 1e-10, 0.0, 0.0

    def clock_s(self) -> float:
        return self.clock

    def position(self):
        return self.at

    def move(self, x_nm, y_nm, *, speed_nm_per_s):
        time.sleep(self.sleep_s)
        self.done.append(("move", x_nm, y_nm, speed_nm_per_s))
        self.at = (x_nm + self.off[0], y_nm + self.off[1])
        self.clock += 1.0

    def scan(self, frame):
        self.done.append(("scan", frame))
        return xr.Dataset({"image": make_image(np.zeros((frame.rows, frame.columns)))})

    def spectrum(self, settings):
        self.done.append(("spectrum", settings))
        values = np.asarray(settings.values)
        return xr.DataArray(np.zeros(len(values)), dims=(settings.axis,), coords={settings.axis: values})

    def read(self):
        return {"current_A": self.current}

    def make_safe(self):
        self.done.append(("make_safe",))

    def close(self):
        self.done.append(("close",))


@pytest.fixture
def pair():
    driver, events = Recording(), []
    guarded = Guarded(driver, LIMITS, on_event=lambda what, facts: events.append((what, facts)))
    yield guarded, driver, events
    guarded.close()


def actions(driver: Recording) -> list[tuple]:
    return [each for each in driver.done if each[0] in ("move", "scan", "spectrum")]


BAD_ACTIONS = {
    "too far": lambda g: g.move(101, 0),
    "too far down": lambda g: g.move(0, -50.1),
    "not a number": lambda g: g.move(math.nan, 0),
    "endless": lambda g: g.move(math.inf, 0),
    "huge": lambda g: g.move(10**400, 0),
    "text": lambda g: g.move("0", 0),
    "nothing": lambda g: g.move(None, 0),
    "too fast": lambda g: g.move(1, 1, speed_nm_per_s=21),
    "no speed": lambda g: g.move(1, 1, speed_nm_per_s=0),
    "backwards": lambda g: g.move(1, 1, speed_nm_per_s=-5),
    "a corner outside": lambda g: g.scan(ScanFrame(90, 0, 30, 30, 10, 10, 0.5)),
    "no width": lambda g: g.scan(ScanFrame(0, 0, 0, 30, 10, 10, 0.5)),
    "too many pixels": lambda g: g.scan(ScanFrame(0, 0, 30, 30, 1000, 1000, 0.5)),
    "no whole pixels": lambda g: g.scan(ScanFrame(0, 0, 30, 30, 10.5, 10, 0.5)),
    "lines too fast": lambda g: g.scan(ScanFrame(0, 0, 30, 30, 10, 10, 0.001)),
    "dwells too long": lambda g: g.scan(ScanFrame(0, 0, 30, 30, 10, 10, 2)),
    "dwells backwards": lambda g: g.spectrum(SpectrumSettings("bias", np.zeros(5), -1)),
    "too much bias": lambda g: g.spectrum(SpectrumSettings("bias", np.linspace(0, 2.1, 50), 0.01)),
    "a step of bias": lambda g: g.spectrum(SpectrumSettings("bias", np.array([0, 1.0]), 0.01)),
    "no bias": lambda g: g.spectrum(SpectrumSettings("bias", np.array([np.nan]), 0.01)),
    "no values": lambda g: g.spectrum(SpectrumSettings("bias", np.zeros(0), 0.01)),
    "words for values": lambda g: g.spectrum(SpectrumSettings("bias", ["a"], 0.01)),
    "unknown axis": lambda g: g.spectrum(SpectrumSettings("laser", np.zeros(3), 0.01)),
    "too much dose": lambda g: g.spectrum(SpectrumSettings("bias", np.zeros(6), 1.0)),
    "too long": lambda g: g.scan(ScanFrame(0, 0, 99, 99, 100, 100, 1.0)),
}


@pytest.mark.parametrize("name", BAD_ACTIONS)
def test_a_limit_refuses_records_and_leaves_all_safe(name, pair) -> None:
    guarded, driver, events = pair
    with pytest.raises(LimitError):
        BAD_ACTIONS[name](guarded)
    assert actions(driver) == []
    assert driver.done[-1] == ("make_safe",)
    assert [what for what, _ in events] == ["refused", "made_safe"]


def test_within_the_limits_it_works(pair) -> None:
    guarded, driver, events = pair
    guarded.move(100, -50)
    guarded.scan(ScanFrame(0, 0, 100, 60, 20, 20, 0.5))
    seen = guarded.spectrum(SpectrumSettings("bias", np.linspace(-2, 2, 41), 0.1))
    assert seen.sizes == {"bias": 41} and guarded.position() == (100, -50)
    assert [each[0] for each in driver.done] == ["move", "scan", "spectrum"] and events == []
    assert guarded.used.n_actions == 3


def test_dose_adds_up_at_a_place_and_only_there(pair) -> None:
    guarded, _, _ = pair
    four_seconds = SpectrumSettings("bias", np.zeros(4), 1.0)
    guarded.spectrum(four_seconds)
    guarded.move(10, 0)
    guarded.spectrum(four_seconds)
    guarded.move(0.5, 0)
    with pytest.raises(LimitError, match="dose"):
        guarded.spectrum(four_seconds)


def test_what_was_used_before_counts() -> None:
    with pytest.raises(LimitError, match="time"):
        Guarded(Recording(), LIMITS, used=Used(seconds=9_999)).move(100, 0)
    with pytest.raises(LimitError, match="actions"):
        Guarded(Recording(), LIMITS, used=Used(n_actions=100_000)).move(1, 0)
    used = Used(3.0, 2, [(0.0, 0.0, 4.0)])
    assert Used.of(used.as_dict()).as_dict() == used.as_dict()


def test_a_probe_that_did_not_arrive_is_an_error(pair) -> None:
    guarded, driver, _ = pair
    driver.off = (5.0, 0.0)
    with pytest.raises(InstrumentError, match="expected the probe at"):
        guarded.move(10, 10)
    assert driver.done[-1] == ("make_safe",)


def test_too_much_current_is_seen_afterwards(pair) -> None:
    guarded, driver, _ = pair
    driver.current = 1e-7
    with pytest.raises(LimitError, match="current"):
        guarded.move(1, 1)
    assert driver.done[-1] == ("make_safe",)


def test_whatever_a_driver_raises_comes_as_ours_and_leaves_all_safe(pair) -> None:
    guarded, driver, events = pair
    driver.scan = lambda frame: 1 / 0
    with pytest.raises(InstrumentError, match="ZeroDivisionError"):
        guarded.scan(ScanFrame(0, 0, 10, 10, 4, 4, 0.5))
    assert driver.done[-1] == ("make_safe",) and events[0][0] == "failed"


def test_after_a_stop_nothing_works_until_somebody_releases_it(pair) -> None:
    guarded, driver, _ = pair
    guarded.stop()
    with pytest.raises(InstrumentError, match="was stopped"):
        guarded.move(1, 1)
    assert actions(driver) == [] and guarded.is_stopped
    guarded.release()
    guarded.move(1, 1)


def test_a_dead_man_leaves_all_safe() -> None:
    driver = Recording()
    guarded = Guarded(driver, LIMITS.model_copy(update={"dead_man_s": 0.3}))
    guarded.move(1, 1)
    time.sleep(0.9)
    assert guarded.is_stopped and ("make_safe",) in driver.done
    guarded.close()


def test_a_policy_that_looks_through_it_finds_no_driver(pair) -> None:
    guarded, driver, _ = pair
    assert all(value is not driver for value in vars(guarded).values())
    assert not any(name == "driver" for name in dir(guarded))
    with pytest.raises(AttributeError):
        guarded.driver  # noqa: B018


numbers = st.one_of(st.floats(), st.integers(), st.text(max_size=3), st.none(), st.booleans(), st.just(1e308))


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["move", "scan", "spectrum"]),
    a=numbers, b=numbers, c=numbers, d=numbers,
    values=st.lists(st.floats(), max_size=5),
)  # fmt: skip
def test_nothing_that_a_hostile_policy_asks_reaches_the_driver_outside_the_limits(kind, a, b, c, d, values) -> None:
    driver = Recording()
    guarded = Guarded(driver, LIMITS)
    try:
        if kind == "move":
            guarded.move(a, b, speed_nm_per_s=c)
        elif kind == "scan":
            guarded.scan(ScanFrame(a, b, c, d, 10, 10, 0.5))
        else:
            guarded.spectrum(SpectrumSettings("bias", np.array(values), c))
    except AdatomError:
        pass
    for verb, *rest in actions(driver):
        if verb == "move":
            assert abs(rest[0]) <= 100.001 and abs(rest[1]) <= 50.001 and 0 < rest[2] <= 20.001
        elif verb == "scan":
            f = rest[0]
            assert abs(f.x_nm) + f.width_nm / 2 <= 100.001 and abs(f.y_nm) + f.height_nm / 2 <= 50.001
        else:
            assert np.abs(rest[0].values).max() <= 2.001
    guarded.close()


def test_limits_are_checked_themselves() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        Limits(x_nm=(0, 1), y_nm=(0, 1), speed_nm_per_s=1, total_time_s=1, volts=3)
    with pytest.raises(ValueError, match="lowest first"):
        Limits(x_nm=(1, 0), y_nm=(0, 1), speed_nm_per_s=1, total_time_s=1)
    with pytest.raises(ArgumentError, match="instrument: expected one of nanonis, twin"):
        open_instrument("microscope", limits=LIMITS)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_unknown_settings_of_an_instrument_are_errors(name) -> None:
    with pytest.raises(ArgumentError, match="colour"):
        open_instrument(name, limits=LIMITS, colour="red")
