"""What stands in front of every instrument.

Plans, policies and users' code get a `Guarded` and never a driver. Python has no walls: code that wants to get around
this and looks for a way will find one. The contract is that nothing leads to the driver in ordinary use, and that what
a policy asks for by mistake or by malice in its *arguments* is never done when it is outside the limits.
"""

import contextlib
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import xarray as xr

from adatom.errors import ArgumentError, InstrumentError, LimitError
from adatom.instruments import checks
from adatom.instruments.instrument import Instrument, ScanFrame, SpectrumSettings
from adatom.instruments.limits import Budget, Limits, Used
from adatom.instruments.replies import checked_facts, checked_reading, checked_scan, checked_spectrum_reply, checked_xy
from adatom.instruments.worker import TooLateError, Worker

Event = dict[str, Any]

# An action may take this many times what it should, and `grace_s` on top.
_PATIENCE = 2.0
_SAFE_WITHIN_S = 20.0
_LONGEST_S = 1e7  # threads wait no longer than some hundred years


class Guarded:
    """An instrument behind its limits, with the same verbs.

    Each action is checked before anything moves: places, paths, corners, all values of a spectrum, speeds, times, dose.
    What is not allowed raises `LimitError`; what the instrument did not do raises `InstrumentError`; either way it is
    made safe first, and made ready again before the next action. Nothing else is ever raised. After `stop`, and after
    an action that hung, no verb is done until a person calls `release`. It is closed, and made safe, at the end of a
    ``with``, when it is forgotten, and when the program ends; a program that is killed leaves it as it is.

    Parameters
    ----------
    driver : the instrument, which nobody else may keep.
    limits : what is allowed.
    used : what the same experiment used up before it was interrupted.
    on_event : called with each event, a dictionary that JSON knows: ``event`` (``starts``, ``done``, ``failed``,
        ``refused``, ``made_safe``, ``stopped``, ``watchdog``, ``dead_man``, ``released``), ``clock_s``, ``time_s`` and
        ``moves`` used, and with them ``verb``, ``arguments``, ``reason``. It may come from other
        threads, but one at a time. An action
        begins only after ``starts`` was taken; if it raises, nothing goes on until `release`.
    dead_man_s : the instrument is made safe when nobody called a verb or `alive` for so long.
    grace_s : how much longer than twice its time an action may take before it counts as hung.
    """

    __slots__ = ("__weakref__",)

    def __init__(
        self,
        driver: Instrument,
        limits: Limits,
        *,
        used: Used | None = None,
        on_event: Callable[[Event], None] | None = None,
        dead_man_s: float | None = None,
        grace_s: float = 30.0,
    ) -> None:
        if not isinstance(limits, Limits):
            raise ArgumentError(f"limits: expected adatom.instruments.Limits, got {type(limits).__name__}.")
        for name, value in (("dead_man_s", dead_man_s), ("grace_s", grace_s)):
            if value is not None and not value > 0:
                raise ArgumentError(f"{name}: expected seconds above 0, got {value!r}.")
        guard = _Guard(driver, limits, used or Used(), on_event, dead_man_s, grace_s)
        _GUARDS[self] = guard
        weakref.finalize(self, guard.forget)  # when it is forgotten, and when the program ends

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def limits(self) -> Limits:
        """What is allowed; nobody can change it."""
        return _guard_of(self).limits

    def used(self) -> Used:
        """What was used up so far, to be kept for `used` of the next one."""
        return _guard_of(self).used()

    def describe(self) -> dict[str, Any]:
        """What the instrument offers."""
        facts: dict[str, Any] = _guard_of(self).ask("describe", checked_facts)
        return facts

    def position(self) -> tuple[float, float]:
        """x and y of the probe [nm], as read back."""
        place: tuple[float, float] = _guard_of(self).ask("position", checked_xy)
        return place

    def read(self) -> dict[str, float]:
        """What the instrument says of itself, units in the names."""
        reading: dict[str, float] = _guard_of(self).ask("read", checked_reading)
        return reading

    def clock(self) -> float:
        """Seconds by the instrument's clock."""
        return _guard_of(self).clock()

    def state(self) -> dict[str, Any]:
        """What the instrument needs to be opened again as it is."""
        facts: dict[str, Any] = _guard_of(self).ask("state", checked_facts)
        return facts

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float) -> None:
        """Bring the probe there, and see by its read-back that it has arrived."""
        _guard_of(self).move(x_nm, y_nm, speed_nm_per_s)

    def scan(self, frame: ScanFrame) -> xr.Dataset:
        """One variable (y, x) a channel."""
        return _guard_of(self).scan(frame)

    def spectrum(self, settings: SpectrumSettings) -> xr.DataArray:
        """Along the axis asked for, where the probe is."""
        return _guard_of(self).spectrum(settings)

    def make_safe(self) -> None:
        """Stop and withdraw; the next action makes ready again."""
        _guard_of(self).make_safe("asked for")

    def make_ready(self) -> None:
        """Nothing to do: the next action makes ready what was made safe."""

    def alive(self) -> None:
        """A sign of life, where no verb is called for long."""
        _guard_of(self).alive()

    def stop(self, reason: str = "emergency stop") -> None:
        """Stop at once, from any thread, and do nothing more until `release`."""
        _guard_of(self).stop("stopped", reason)

    def release(self) -> None:
        """Allow actions again after a stop: a person's word, never a policy's.

        Raises
        ------
        InstrumentError : if an action still hangs; then the instrument has to be closed and opened again.
        """
        _guard_of(self).release()

    @property
    def stopped(self) -> str | None:
        """Why nothing is done at present; None where nothing stands in the way."""
        return _guard_of(self).stopped

    def close(self) -> None:
        """Make safe and let go."""
        _guard_of(self).close()


class _Guard:
    """Holds the driver. Only this module knows which guard belongs to which `Guarded`."""

    def __init__(
        self,
        driver: Instrument,
        limits: Limits,
        used: Used,
        on_event: Callable[[Event], None] | None,
        dead_man_s: float | None,
        grace_s: float,
    ) -> None:
        self.limits = limits
        self.stopped: str | None = None
        self._driver = driver
        self._on_event = on_event
        self._grace_s = grace_s
        self._acting = threading.RLock()
        self._telling = threading.RLock()
        self._is_safe = True  # not known, hence made ready before the first action
        self._is_closed = threading.Event()
        self._worker = Worker("adatom instrument")
        self._last_sign = time.monotonic()
        self._clock_s = 0.0
        self._budget = Budget(limits, used, self.clock)
        if dead_man_s is not None:
            threading.Thread(
                target=self._watch_for_life, args=(dead_man_s,), name="adatom dead man", daemon=True
            ).start()

    # --- verbs

    def move(self, x_nm: Any, y_nm: Any, speed_nm_per_s: Any) -> None:
        def check() -> tuple[dict[str, float], float]:
            x, y = checks.checked_place(self.limits, x_nm, y_nm)
            speed = checks.checked_speed(self.limits, speed_nm_per_s)
            start = self._position()
            checks.check_path(self.limits, start, (x, y))
            takes_s = float(np.hypot(x - start[0], y - start[1])) / speed
            self._budget.charge_time(takes_s)
            self._budget.charge_move()
            return {"x_nm": x, "y_nm": y, "speed_nm_per_s": speed}, takes_s

        def arrived(_: Any, asked: dict[str, float]) -> None:
            x, y = self._position()
            away = float(np.hypot(x - asked["x_nm"], y - asked["y_nm"]))
            if away > self.limits.arrival_nm:
                raise InstrumentError(
                    f"move: expected the probe within {self.limits.arrival_nm:g} nm of ({asked['x_nm']:.6g}, "
                    f"{asked['y_nm']:.6g}) nm, got ({x:.6g}, {y:.6g}) nm by its read-back."
                )

        self._act("move", check, lambda asked: self._driver.move(**asked), arrived, dict)

    def scan(self, frame: Any) -> xr.Dataset:
        def check() -> tuple[ScanFrame, float]:
            asked = checks.checked_frame(self.limits, frame)
            start = self._position()
            corner = asked.x_nm - asked.width_nm / 2, asked.y_nm - asked.height_nm / 2
            checks.check_path(self.limits, start, corner)
            way_s = float(np.hypot(corner[0] - start[0], corner[1] - start[1])) / self.limits.speed_nm_per_s
            self._budget.charge_time(asked.takes_s + way_s)
            across = asked.x_nm - asked.width_nm / 2, asked.x_nm + asked.width_nm / 2
            down = asked.y_nm - asked.height_nm / 2, asked.y_nm + asked.height_nm / 2
            self._budget.charge_dose(across, down, asked.takes_s)
            return asked, asked.takes_s + way_s

        image: xr.Dataset = self._act("scan", check, lambda asked: self._driver.scan(asked), checked_scan, _frame_facts)
        return image

    def spectrum(self, settings: Any) -> xr.DataArray:
        def check() -> tuple[SpectrumSettings, float]:
            x, y = self._position()
            checks.checked_place(self.limits, x, y, margin_nm=self.limits.arrival_nm)
            bias_V = self._reading().get("bias_V")
            asked = checks.checked_spectrum(self.limits, settings, bias_V)
            self._budget.charge_time(asked.takes_s)
            self._budget.charge_dose((x, x), (y, y), asked.takes_s)
            return asked, asked.takes_s

        values: xr.DataArray = self._act(
            "spectrum", check, lambda asked: self._driver.spectrum(asked), checked_spectrum_reply, _spectrum_facts
        )
        return values

    def ask(self, verb: str, checked: Callable[[Any], Any]) -> Any:
        """A question, which moves nothing and is answered after a stop too."""
        with self._acting:
            self.alive()
            try:
                return checked(self._call(verb, getattr(self._driver, verb), 0.0))
            except InstrumentError as error:
                self.make_safe(str(error))
                raise

    # --- the way of each action

    def _act(
        self,
        verb: str,
        check: Callable[[], tuple[Any, float]],
        perform: Callable[[Any], Any],
        verify: Callable[[Any, Any], Any],
        facts: Callable[[Any], dict[str, Any]],
    ) -> Any:
        with self._acting:
            self.alive()
            if self.stopped is not None:
                raise InstrumentError(f"{verb}: refused after a stop ({self.stopped}). A person has to release it.")
            asked, takes_s = self._checked(verb, check)
            try:
                if self._is_safe:
                    self._call("make_ready", self._driver.make_ready, 0.0)
                    self._is_safe = False
                self._check_current(verb)
                self._tell("starts", verb=verb, arguments=facts(asked), must=True)
                result = self._call(verb, lambda: self._unless_stopped(verb, perform, asked), takes_s)
                verify(result, asked)
                self._check_current(verb)
            except LimitError:
                raise
            except BaseException as error:
                reason = str(error) if isinstance(error, InstrumentError) else f"{type(error).__name__}: {error}"
                self.make_safe(f"{verb} failed")
                self._tell("failed", verb=verb, reason=reason)
                if isinstance(error, InstrumentError) or not isinstance(error, Exception):
                    raise
                raise InstrumentError(f"{verb}: failed ({reason}).") from error
            finally:
                self.alive()
            if self.stopped is not None:  # while it was done
                self.make_safe(self.stopped)
                raise InstrumentError(f"{verb}: stopped ({self.stopped}).")
            self._tell("done", verb=verb)
            return result

    def _unless_stopped(self, verb: str, perform: Callable[[Any], Any], asked: Any) -> Any:
        """Asked last of all, as a stop may come while the instrument is made ready."""
        if self.stopped is not None:
            raise InstrumentError(f"{verb}: not begun, as it was stopped ({self.stopped}).")
        return perform(asked)

    def _checked(self, verb: str, check: Callable[[], tuple[Any, float]]) -> tuple[Any, float]:
        try:
            return check()
        except LimitError as error:
            self._refuse(verb, error)
            raise
        except InstrumentError as error:  # what it said of its place
            self.make_safe(f"{verb} could not begin")
            self._tell("failed", verb=verb, reason=str(error))
            raise
        except Exception as error:  # an argument that raises when it is looked at
            refusal = LimitError(f"{verb}: expected plain arguments, got one that raises {type(error).__name__}.")
            self._refuse(verb, refusal)
            raise refusal from None

    def _refuse(self, verb: str, error: LimitError) -> None:
        self.make_safe(f"{verb} was refused")
        self._tell("refused", verb=verb, reason=str(error))

    def _check_current(self, verb: str) -> None:
        if self.limits.current_A is None:
            return
        current_A = self._reading().get("current_A")
        if current_A is None:
            raise InstrumentError(f"{verb}: expected the instrument to read current_A, which the limits name.")
        if abs(current_A) > self.limits.current_A:
            error = LimitError(
                f"current_A: expected at most {self.limits.current_A:.4g} A, got {current_A:.4g} A at {verb}. "
                "Has the probe touched the sample?"
            )
            self._refuse(verb, error)
            raise error

    def _call(self, verb: str, action: Callable[[], Any], takes_s: float) -> Any:
        """Have the driver do something within its time; whatever it raises becomes our error."""
        limit_s = min(_PATIENCE * takes_s + self._grace_s, _LONGEST_S)
        try:
            return self._worker.do(action, limit_s)
        except TooLateError:
            reason = f"{verb} was not done after {limit_s:.3g} s"
            self.stop("watchdog", reason)
            raise InstrumentError(f"{verb}: expected to be done in {takes_s:.3g} s, but {reason}.") from None
        except InstrumentError:
            raise
        except Exception as error:
            raise InstrumentError(f"{verb}: the driver failed ({type(error).__name__}: {error}).") from error

    def _position(self) -> tuple[float, float]:
        return checked_xy(self._call("position", self._driver.position, 0.0))

    def _reading(self) -> dict[str, float]:
        return checked_reading(self._call("read", self._driver.read, 0.0))

    def clock(self) -> float:
        """The last one known where the instrument says none: budgets never fail."""
        try:
            now = checks.number("clock", self._driver.clock())
        except Exception:
            now = self._clock_s
        self._clock_s = max(self._clock_s, now)
        return self._clock_s

    # --- safety

    def used(self) -> Used:
        return self._budget.used()

    def make_safe(self, reason: str) -> None:
        """In a thread of its own, as the driver may hang; where that fails, nothing is done any more."""
        self._is_safe = True
        problem: str | None = None
        try:
            with Worker("adatom make safe") as hand:
                hand.do(self._driver.make_safe, _SAFE_WITHIN_S)
        except TooLateError:
            problem = f"not done after {_SAFE_WITHIN_S:g} s"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if problem is not None and self.stopped is None:
            self.stopped = f"it could not be made safe: {problem}"
        self._tell("made_safe", reason=reason, problem=problem)

    def stop(self, event: str, reason: str) -> None:
        self.stopped = str(reason)[:500]
        self.make_safe(self.stopped)
        self._tell(event, reason=self.stopped)

    def release(self) -> None:
        if not self._worker.is_free():
            raise InstrumentError("release: an action still hangs. Look at the instrument, close it and open it again.")
        self.stopped = None
        self.alive()
        self._tell("released")

    def alive(self) -> None:
        self._last_sign = time.monotonic()

    def close(self) -> None:
        if self._is_closed.is_set():
            return
        self._is_closed.set()
        self.make_safe("closed")
        self.stopped = self.stopped or "it was closed"
        try:
            if self._worker.is_free():
                self._call("close", self._driver.close, 0.0)
        finally:
            self._worker.end()

    def forget(self) -> None:
        """Close for somebody who is not there to be told of an error."""
        with contextlib.suppress(InstrumentError):
            self.close()

    def _watch_for_life(self, dead_man_s: float) -> None:
        while not self._is_closed.wait(min(dead_man_s / 10, 1.0)):
            if self._is_safe or time.monotonic() - self._last_sign < dead_man_s:
                continue
            if self._acting.acquire(blocking=False):  # what goes on is the watchdog's
                try:
                    self.make_safe(f"nobody was there for {dead_man_s:g} s")
                    self._tell("dead_man", reason=f"nobody was there for {dead_man_s:g} s")
                finally:
                    self._acting.release()

    def _tell(self, event: str, *, must: bool = False, **facts: Any) -> None:
        if self._on_event is None:
            return
        told = {"event": event, "clock_s": self.clock(), "time_s": self._budget.time_s, "moves": self._budget.moves}
        try:
            with self._telling:
                self._on_event({**told, **{name: value for name, value in facts.items() if value is not None}})
        except Exception as error:
            self.stopped = self.stopped or f"the record failed ({type(error).__name__}: {error})"
            if must:
                raise InstrumentError(f"{event}: not begun, as {self.stopped}.") from error


_GUARDS: "weakref.WeakKeyDictionary[Guarded, _Guard]" = weakref.WeakKeyDictionary()


def _guard_of(guarded: Guarded) -> _Guard:
    guard = _GUARDS.get(guarded)
    if guard is None:
        raise InstrumentError("instrument: expected one that was opened here, got a copy. Open it anew.")
    return guard


def _frame_facts(frame: ScanFrame) -> dict[str, Any]:
    return {**vars(frame), "channels": list(frame.channels)}


def _spectrum_facts(settings: SpectrumSettings) -> dict[str, Any]:
    return {**vars(settings), "values": [float(value) for value in settings.values]}
