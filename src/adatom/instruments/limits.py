"""What stands in front of every instrument: limits that no policy can change, a watchdog, an emergency stop.

Plans, policies and your own code get a `Guarded` and never the driver. Python has no walls, so this keeps out mistakes
and bad decisions, not somebody who means to break in.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, Self

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, model_validator

from adatom.errors import AdatomError, InstrumentError, LimitError
from adatom.instruments.instrument import Instrument, ScanFrame, SpectrumSettings

OnEvent = Callable[[str, dict[str, Any]], None]

_SLACK = 1e-6  # of a range: rounding of numbers that were written down and read again
_ARRIVED = 0.02  # of the way, or of `arrives_within_nm`
_PATIENCE, _GRACE_S = 3.0, 20.0  # times an action may take what it should, and so much more


class Limits(BaseModel):
    """What an instrument may do. Unknown keys are errors; what has no default must be given.

    Parameters
    ----------
    x_nm, y_nm : lowest and highest place of the probe, in the scanner's frame.
    speed_nm_per_s : of the probe, at most.
    bias_V : lowest and highest; None where there may be none at all.
    bias_step_V : from one point of a spectrum to the next, at most.
    current_A : size at which it is too much, read back after each action; None for no limit.
    dwell_time_s : at a pixel or a point of a spectrum, shortest and longest.
    n_pixels : of a scan, at most.
    dose_s : seconds of measuring at one place, within `dose_within_nm`, at most; None for no limit.
    total_time_s : of all that is done, at most.
    n_actions : moves, scans and spectra, at most.
    arrives_within_nm : how near to the place asked for the probe must be read back.
    dead_man_s : without a word from the experiment for so long, the instrument is made safe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    x_nm: tuple[float, float]
    y_nm: tuple[float, float]
    speed_nm_per_s: float = Field(gt=0)
    bias_V: tuple[float, float] | None = None
    bias_step_V: float | None = Field(default=None, gt=0)
    current_A: float | None = Field(default=None, gt=0)
    dwell_time_s: tuple[float, float] = (0.0, 10.0)
    n_pixels: int = Field(default=4096 * 4096, ge=1)
    dose_s: float | None = Field(default=None, gt=0)
    dose_within_nm: float = Field(default=1.0, gt=0)
    total_time_s: float = Field(gt=0)
    n_actions: int = Field(default=100_000, ge=1)
    arrives_within_nm: float = Field(default=1.0, gt=0)
    dead_man_s: float = Field(default=600.0, gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name in ("x_nm", "y_nm", "bias_V", "dwell_time_s"):
            pair = getattr(self, name)
            if pair is not None and pair[0] > pair[1]:
                raise ValueError(f"{name}: expected the lowest first, got {list(pair)}")
        return self


class Used:
    """What was used up of the limits; an experiment that goes on gives it back at the start."""

    def __init__(self, seconds: float = 0.0, n_actions: int = 0, doses: list[tuple[float, float, float]] | None = None):
        self.seconds, self.n_actions = seconds, n_actions
        self.doses = list(doses or [])  # x, y [nm], seconds

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"seconds": self.seconds, "n_actions": self.n_actions, "doses": [list(each) for each in self.doses]}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Used":
        """What `as_dict` gave."""
        doses = [(float(x), float(y), float(s)) for x, y, s in content["doses"]]
        return cls(float(content["seconds"]), int(content["n_actions"]), doses)


class Guarded:
    """An instrument behind its limits. All verbs are those of `Instrument`.

    A verb that a limit forbids does nothing, makes the instrument safe, and raises `LimitError`. After an error of the
    instrument it is made safe too. After `stop` nothing works until somebody calls `release`.

    Parameters
    ----------
    driver : the instrument; nobody else should keep a reference to it.
    limits : what it may do.
    used : of them, before.
    on_event : called with what happened (``refused``, ``failed``, ``stopped``, ``made_safe``, ``released``) and facts.
    """

    def __init__(
        self, driver: Instrument, limits: Limits, *, used: Used | None = None, on_event: OnEvent | None = None
    ) -> None:
        self.limits, self.used = limits, used or Used()
        self._on_event = on_event or (lambda what, facts: None)
        self._turn, self._stopped, self._closed = threading.RLock(), threading.Event(), threading.Event()
        self._last_word, self._due = time.monotonic(), math.inf
        self._is_safe = True
        # A closure, not an attribute: a policy that looks through this object finds no driver.
        self._of_driver: Callable[[str], Any] = lambda verb: getattr(driver, verb)
        self._clock: Callable[[], float] = getattr(driver, "clock_s", time.monotonic)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    # ---------------------------------------------------------------- verbs

    def position(self) -> tuple[float, float]:
        """x and y of the probe [nm]."""
        with self._doing("position", 0.0):
            x, y = self._of_driver("position")()
            self._expect(math.isfinite(x) and math.isfinite(y), "position", f"expected numbers, got {x}, {y}")
            return float(x), float(y)

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float | None = None) -> None:
        """Bring the probe there, and see that it has arrived."""
        limits = self.limits
        speed = limits.speed_nm_per_s if speed_nm_per_s is None else speed_nm_per_s
        x, y, speed = (self._number(name, each) for name, each in (("x_nm", x_nm), ("y_nm", y_nm), ("speed", speed)))
        self._within("x_nm", x, limits.x_nm)
        self._within("y_nm", y, limits.y_nm)
        if not 0 < speed <= limits.speed_nm_per_s * (1 + _SLACK):
            self._refuse(f"speed: expected above 0 and up to {limits.speed_nm_per_s:g} nm/s, got {speed:g}.")
        start = self.position()
        way = math.hypot(x - start[0], y - start[1])
        with self._doing("move", way / speed, counts=True):
            # the way is straight and the field is a rectangle: from inside to inside nothing outside is passed
            self._of_driver("move")(x, y, speed_nm_per_s=speed)
        there = self.position()
        off = math.hypot(there[0] - x, there[1] - y)
        self._expect(
            off <= max(limits.arrives_within_nm, _ARRIVED * way),
            "move",
            f"expected the probe at {x:.4g}, {y:.4g} nm, it says {there[0]:.4g}, {there[1]:.4g}",
        )
        self._check_current()

    def scan(self, frame: ScanFrame) -> xr.Dataset:
        """Scan a frame that lies within the limits whole."""
        limits = self.limits
        names = ("x_nm", "y_nm", "width_nm", "height_nm", "dwell_time_s")
        values = {name: self._number(name, getattr(frame, name)) for name in names}
        rows, columns = (self._count(name, getattr(frame, name)) for name in ("rows", "columns"))
        if not (values["width_nm"] > 0 and values["height_nm"] > 0):
            self._refuse(f"frame: expected a width and a height above 0, got {frame.width_nm} and {frame.height_nm}.")
        for axis, side, allowed in (("x_nm", "width_nm", limits.x_nm), ("y_nm", "height_nm", limits.y_nm)):
            for sign in (-0.5, 0.5):
                self._within(axis, values[axis] + sign * values[side], allowed)
        if rows * columns > limits.n_pixels:
            self._refuse(f"frame: expected up to {limits.n_pixels} pixels, got {rows * columns}.")
        dwell = self._dwell(values["dwell_time_s"])
        # a line must not be gone through faster than the probe may move
        if dwell > 0 and values["width_nm"] / (columns * dwell) > limits.speed_nm_per_s * (1 + _SLACK):
            speed = values["width_nm"] / (columns * dwell)
            self._refuse(f"frame: expected lines up to {limits.speed_nm_per_s:g} nm/s, got {speed:g}. Dwell longer.")
        with self._doing("scan", 2 * rows * columns * dwell, counts=True):
            seen: xr.Dataset = self._of_driver("scan")(frame)
        self._expect(isinstance(seen, xr.Dataset) and len(seen) > 0, "scan", "expected a channel, got none")
        self._check_current()
        return seen

    def spectrum(self, settings: SpectrumSettings) -> xr.DataArray:
        """Measure where the probe is."""
        limits = self.limits
        try:
            values = np.asarray(settings.values, dtype=float)
        except (TypeError, ValueError):
            values = np.zeros(0)
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or len(values) > 1_000_000:
            self._refuse("values: expected up to a million finite numbers, got something else.")
        if settings.axis == "bias":
            if limits.bias_V is None:
                self._refuse("bias: expected none, for there is no limit of it. Give bias_V.")
            for value in (float(values.min()), float(values.max())):
                self._within("bias", value, limits.bias_V, unit="V")
            step = float(np.abs(np.diff(values)).max()) if len(values) > 1 else 0.0
            if limits.bias_step_V is not None and step > limits.bias_step_V * (1 + _SLACK):
                self._refuse(f"bias: expected steps up to {limits.bias_step_V:g} V, got {step:g}.")
        elif settings.axis not in ("energy", "time"):
            self._refuse(f"axis: expected bias, energy or time, got {settings.axis!r}.")
        seconds = len(values) * self._dwell(self._number("dwell_time_s", settings.dwell_time_s))
        x, y = self.position()
        self._check_dose(x, y, seconds)
        with self._doing("spectrum", seconds, counts=True):
            seen: xr.DataArray = self._of_driver("spectrum")(settings)
        self.used.doses.append((x, y, seconds))
        good = isinstance(seen, xr.DataArray) and seen.ndim == 1 and seen.sizes.get(settings.axis) == len(values)
        self._expect(good, "spectrum", f"expected {len(values)} points along {settings.axis}")
        self._check_current()
        return seen

    def read(self) -> dict[str, float]:
        """What the instrument says of itself now."""
        with self._doing("read", 0.0):
            return {str(name): float(value) for name, value in self._of_driver("read")().items()}

    def state(self) -> dict[str, Any] | None:
        """What a twin needs to go on as the same world; None of real instruments, which remember themselves."""
        try:
            state: dict[str, Any] = self._of_driver("state")()
        except AttributeError:
            return None
        return state

    def make_safe(self) -> None:
        """Stop what goes on and leave the instrument safe; never raises."""
        self._make_safe("asked for")

    def close(self) -> None:
        """Make the instrument safe and let go of it."""
        self._make_safe("closing")
        self._closed.set()
        self._quietly("close")

    # ---------------------------------------------------------------- stopping

    def alive(self) -> None:
        """Say that the experiment is alive: for times in which nothing is measured."""
        self._last_word = time.monotonic()

    def stop(self, why: str = "emergency stop") -> None:
        """Emergency stop, from any thread: safe at once, and nothing more until `release`."""
        self._stopped.set()
        self._tell("stopped", {"why": why})
        self._make_safe(why)

    def release(self) -> None:
        """Let the instrument work again after a stop."""
        self._last_word = time.monotonic()
        self._stopped.clear()
        self._tell("released", {})

    @property
    def is_stopped(self) -> bool:
        """Whether somebody, or the watchdog, has stopped it."""
        return self._stopped.is_set()

    def _watch(self) -> None:
        """Stops what takes too long, or what nobody speaks to any more."""
        while not self._closed.wait(min(0.2, self.limits.dead_man_s / 5)):
            now = time.monotonic()
            if self._stopped.is_set():
                continue
            if now > self._due:
                self.stop("watchdog: the instrument takes much longer than it should")
            elif self._due == math.inf and not self._is_safe and now - self._last_word > self.limits.dead_man_s:
                self.stop(f"dead man: nothing was heard from the experiment for {self.limits.dead_man_s:g} s")

    # ---------------------------------------------------------------- checks

    @contextmanager
    def _doing(self, verb: str, seconds: float, *, counts: bool = False) -> Iterator[None]:
        """Something that the driver does, and that should take so long."""
        if self._closed.is_set():
            raise InstrumentError(f"{verb}: expected an open instrument, got one that was closed.")
        if self._stopped.is_set():
            raise InstrumentError(f"{verb}: the instrument was stopped. Look at it, then call release().")
        if counts:
            left = self.limits.total_time_s - self.used.seconds
            if seconds > left * (1 + _SLACK):
                self._refuse(f"time: expected up to {max(left, 0):.4g} s, which are left, got {seconds:.4g} s.")
            if self.used.n_actions >= self.limits.n_actions:
                self._refuse(f"actions: expected up to {self.limits.n_actions}, all were taken.")
        with self._turn:
            self._last_word = time.monotonic()
            outermost = self._due == math.inf
            if outermost:
                self._due = self._last_word + _PATIENCE * seconds + _GRACE_S
            started = self._clock()
            self._is_safe = self._is_safe and not counts
            try:
                yield
            except LimitError:
                raise
            except Exception as error:
                self._tell("failed", {"verb": verb, "error": f"{type(error).__name__}: {error}"})
                self._make_safe(f"{verb} failed")
                if isinstance(error, InstrumentError):
                    raise
                raise InstrumentError(f"{verb}: the instrument failed ({type(error).__name__}: {error}).") from error
            finally:
                if outermost:
                    self._due = math.inf
                if counts:
                    self.used.seconds += max(0.0, self._clock() - started)
                    self.used.n_actions += 1
                self._last_word = time.monotonic()
        if self._stopped.is_set():
            raise InstrumentError(f"{verb}: the instrument was stopped meanwhile. Look at it, then call release().")

    def _refuse(self, why: str) -> NoReturn:
        """A limit: nothing is done, all is made safe."""
        self._tell("refused", {"why": why})
        self._make_safe("a limit was reached for")
        raise LimitError(why)

    def _within(self, name: str, value: float, allowed: tuple[float, float], unit: str = "nm") -> None:
        slack = _SLACK * max(abs(allowed[0]), abs(allowed[1]), 1e-12)
        if not allowed[0] - slack <= value <= allowed[1] + slack:
            self._refuse(f"{name}: expected {allowed[0]:g} to {allowed[1]:g} {unit}, got {value:g}.")

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            self._refuse(f"{name}: expected a number, got {type(value).__name__}.")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self._refuse(f"{name}: expected a finite number, got {number}.")
        return number

    def _count(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= 1_000_000:
            self._refuse(f"{name}: expected a whole number from 1 to a million, got {value!r}.")
        return int(value)

    def _dwell(self, seconds: float) -> float:
        low, high = self.limits.dwell_time_s
        if not low * (1 - _SLACK) <= seconds <= high * (1 + _SLACK):
            self._refuse(f"dwell_time_s: expected {low:g} to {high:g} s, got {seconds:g}.")
        return seconds

    def _check_dose(self, x: float, y: float, seconds: float) -> None:
        if self.limits.dose_s is None:
            return
        near = [s for at_x, at_y, s in self.used.doses if math.hypot(at_x - x, at_y - y) <= self.limits.dose_within_nm]
        if sum(near) + seconds > self.limits.dose_s * (1 + _SLACK):
            total = sum(near) + seconds
            self._refuse(f"dose: expected up to {self.limits.dose_s:g} s at one place, this would make {total:.4g} s.")

    def _check_current(self) -> None:
        most = self.limits.current_A
        if most is None:
            return
        current = self.read().get("current_A")
        if current is not None and not abs(current) <= most:
            self._refuse(f"current: expected up to {most:g} A, the instrument reads {current:g}.")

    def _expect(self, fulfilled: bool, verb: str, what: str) -> None:
        if not fulfilled:
            self._tell("failed", {"verb": verb, "error": what})
            self._make_safe(f"{verb} went wrong")
            raise InstrumentError(f"{verb}: {what}.")

    def _make_safe(self, why: str) -> None:
        self._is_safe = True
        failed = self._quietly("make_safe")
        self._tell("made_safe", {"why": why} | ({"error": failed} if failed else {}))

    def _quietly(self, verb: str) -> str | None:
        try:
            self._of_driver(verb)()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None

    def _tell(self, what: str, facts: dict[str, Any]) -> None:
        # a record that cannot be written must not keep an instrument from being made safe
        with suppress(AdatomError):
            self._on_event(what, facts)
