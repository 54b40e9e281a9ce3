"""What an instrument may be asked for, and how much of it was used up."""

import threading
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from adatom.data.ranges import NonNegativeRange, PositiveRange, Range, StrictModel
from adatom.errors import ArgumentError, LimitError

_ELECTRON_CHARGE_C = 1.602176634e-19
_MOST_PLACES = 100_000

Positive = Annotated[float, Field(gt=0)]


class Dose(StrictModel):
    """How long the probe may stay at a place, in all: in seconds, or in electrons of a beam.

    Places are squares of a grid over the range; who measures on the border of two can give a spot the dose of both.
    """

    place_nm: Positive = Field(description="edge of the squares in which time is summed up")
    seconds: Positive | None = Field(default=None, description="of the probe in a square")
    electrons_per_nm2: Positive | None = Field(
        default=None, description="in the place of seconds; needs beam_current_A"
    )
    beam_current_A: Positive | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.seconds is None) == (self.electrons_per_nm2 is None):
            raise ValueError("a dose is seconds or electrons_per_nm2, one of both")
        if (self.electrons_per_nm2 is None) != (self.beam_current_A is None):
            raise ValueError("electrons_per_nm2 and beam_current_A go together")
        return self

    @property
    def seconds_per_place(self) -> float:
        """Whichever way it was said."""
        if self.seconds is not None:
            return self.seconds
        assert self.electrons_per_nm2 is not None and self.beam_current_A is not None  # checked when it was made
        return self.electrons_per_nm2 * self.place_nm**2 * _ELECTRON_CHARGE_C / self.beam_current_A


class Rectangle(StrictModel):
    """A part of the scanner's range, borders included."""

    x_nm: Range
    y_nm: Range


class Limits(StrictModel):
    """What an instrument may be asked for. What is not stated here of bias and energy is not allowed at all."""

    x_nm: Range = Field(description="where the probe may be, corners of scans included")
    y_nm: Range
    speed_nm_per_s: Positive = Field(description="of the probe over the sample, in moves and along scan lines")
    total_time_s: Positive = Field(description="of the whole experiment, by the instrument's clock")
    scan_nm: PositiveRange | None = Field(default=None, description="width and height of a scan")
    dwell_time_s: NonNegativeRange = Field(default=(0.0, 10.0), description="at a pixel or a point of a spectrum")
    bias_V: Range | None = Field(default=None, description="in spectra; without it there are none along bias")
    bias_step_V: Positive | None = Field(
        default=None, description="in spectra, from a point to the next, and from and to the bias before"
    )
    bias_ramp_V_per_s: Positive | None = Field(default=None, description="the same by the dwell time")
    energy_eV: Range | None = Field(default=None, description="in spectra; without it there are none along energy")
    current_A: Positive | None = Field(default=None, description="either way, read before and after each action")
    dose: Dose | None = None
    moves: Annotated[int, Field(ge=0)] | None = Field(default=None, description="in all; the start of a scan is none")
    keep_out: tuple[Rectangle, ...] = Field(default=(), description="no place, path or scan may touch these")
    arrival_nm: Positive = Field(default=1.0, description="how far from its target a move may end")

    @model_validator(mode="after")
    def _places_can_be_counted(self) -> Self:
        if self.dose is not None:
            sides = [(high - low) / self.dose.place_nm for low, high in (self.x_nm, self.y_nm)]
            if (sides[0] + 1) * (sides[1] + 1) > _MOST_PLACES:
                raise ValueError(f"a dose is summed up in at most {_MOST_PLACES} places; make dose.place_nm larger")
        return self


def limits_from(facts: Mapping[str, Any] | Limits) -> Limits:
    """Limits as a plan states them.

    Raises
    ------
    ArgumentError : if a key is unknown or a value makes no sense.
    """
    if isinstance(facts, Limits):
        return facts
    try:
        return Limits.model_validate(dict(facts))
    except ValidationError as error:
        raise ArgumentError(f"limits: {first_problem(error)}") from error


def first_problem(error: ValidationError) -> str:
    """The first setting that makes no sense, and why."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    return f"{key}: {first['msg']}." if key else f"{first['msg']}."


class Used(StrictModel):
    """What was used up so far, as it goes into a record and back."""

    time_s: Annotated[float, Field(ge=0)] = 0.0
    moves: Annotated[int, Field(ge=0)] = 0
    dose_s: tuple[tuple[int, int, float], ...] = Field(default=(), description="row, column of a place, seconds there")


class Budget:
    """What is left of time, moves and dose. Actions are charged before they begin, so none is free by failing.

    Parameters
    ----------
    used : before this budget, by the same experiment.
    clock : seconds, of the instrument.
    """

    def __init__(self, limits: Limits, used: Used, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._started = clock()
        self._time_before = used.time_s
        self._moves = used.moves
        self._lock = threading.Lock()
        self._dose: np.ndarray | None = None
        if limits.dose is not None:
            sides = [int((high - low) / limits.dose.place_nm) + 1 for low, high in (limits.y_nm, limits.x_nm)]
            self._dose = np.zeros(sides)
            for row, column, seconds in used.dose_s:
                if not (0 <= row < sides[0] and 0 <= column < sides[1] and seconds >= 0):
                    raise LimitError("used: expected doses at places inside the limits, got others.")
                self._dose[row, column] += seconds

    def used(self) -> Used:
        """Up to now."""
        dose: tuple[tuple[int, int, float], ...] = ()
        with self._lock:
            if self._dose is not None:
                where = np.nonzero(self._dose)
                dose = tuple(
                    (int(row), int(column), float(self._dose[row, column])) for row, column in zip(*where, strict=True)
                )
            return Used(time_s=self.time_s, moves=self._moves, dose_s=dose)

    @property
    def moves(self) -> int:
        """Used up to now."""
        return self._moves

    @property
    def time_s(self) -> float:
        """Used up to now."""
        return self._time_before + max(0.0, self._clock() - self._started)

    def charge_time(self, takes_s: float) -> None:
        """Refuse what would not be done in time; what is, the clock counts.

        Raises
        ------
        LimitError : if the time left is shorter.
        """
        left = self._limits.total_time_s - self.time_s
        if takes_s > left:
            raise LimitError(
                f"total_time_s: expected actions within {self._limits.total_time_s:g} s, got one of {takes_s:.4g} s "
                f"with {max(left, 0):.4g} s left."
            )

    def charge_move(self) -> None:
        """Count a move.

        Raises
        ------
        LimitError : if it is one too many.
        """
        with self._lock:
            if self._limits.moves is not None and self._moves >= self._limits.moves:
                raise LimitError(f"moves: expected at most {self._limits.moves} in all, got one more.")
            self._moves += 1

    def charge_dose(self, x_nm: tuple[float, float], y_nm: tuple[float, float], seconds: float) -> None:
        """Spread `seconds` evenly over a rectangle, or give them to one place where its sides are zero.

        Raises
        ------
        LimitError : if that is too much for one of its places.
        """
        dose = self._limits.dose
        if dose is None or self._dose is None:
            return
        rows = _shares(self._limits.y_nm[0], dose.place_nm, self._dose.shape[0], y_nm)
        columns = _shares(self._limits.x_nm[0], dose.place_nm, self._dose.shape[1], x_nm)
        with self._lock:
            after = self._dose + seconds * np.outer(rows, columns)
            touched = np.outer(rows, columns) > 0
            if (after[touched] > dose.seconds_per_place).any():
                raise LimitError(
                    f"dose: expected at most {dose.seconds_per_place:.4g} s at a place of {dose.place_nm:g} nm, got "
                    f"{after[touched].max():.4g} s. Measure elsewhere."
                )
            self._dose = after


def _shares(low: float, step: float, n: int, interval: tuple[float, float]) -> np.ndarray:
    """(n,) shares of an interval in each of `n` cells from `low` on; they sum up to 1."""
    start, end = interval
    if end <= start:
        shares = np.zeros(n)
        shares[min(max(int((start - low) / step), 0), n - 1)] = 1.0
        return shares
    edges = low + step * np.arange(n + 1)
    overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    return np.asarray(np.clip(overlap, 0, None) / (end - start))
