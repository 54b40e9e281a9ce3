"""When to stop: each rule says why in a sentence, or nothing."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from adatom.decide.search import Search


class StopRule(Protocol):
    """A reason to stop."""

    def __call__(self, search: Search, seconds: float) -> str | None:
        """The reason, after so many seconds, or None."""


@dataclass(frozen=True)
class Budget:
    """So many measurements, failed ones included, or so much time."""

    points: int | None = None
    seconds: float | None = None

    def __call__(self, search: Search, seconds: float) -> str | None:
        """The reason, or None."""
        done = len(search.measured) + len(search.failed)
        if self.points is not None and done >= self.points:
            return f"All {self.points} measurements were made."
        if self.seconds is not None and seconds >= self.seconds:
            return f"The time of {self.seconds:g} s is over."
        return None


@dataclass(frozen=True)
class UncertaintyBelow:
    """The map is known: the root mean square of the deviations is below a share of the spread of what was measured."""

    share: float

    def __call__(self, search: Search, seconds: float) -> str | None:
        """The reason, or None."""
        if search.surrogate is None or len(search.measured) < max(search.n_first, 4):
            return None
        told = search.belief()
        typical = float(np.sqrt(np.mean(told.std[search.allowed, 0] ** 2)))
        spread = float(search.values[:, 0].std())
        if typical >= self.share * spread:
            return None
        return f"The map is known: its error is {typical:.3g}, below {self.share:g} of the spread of {spread:.3g}."


@dataclass(frozen=True)
class NoImprovement:
    """The best is found: no place that is left is likely to beat it by a share of the spread, `points` times in a row.

    Likely is within two deviations of the true value.
    """

    share: float
    points: int = 5

    def __call__(self, search: Search, seconds: float) -> str | None:
        """The reason, or None."""
        if search.surrogate is None or len(search.measured) < max(search.n_first, self.points + 1):
            return None
        values = search.values[:, 0] * (-1 if search.minimise else 1)
        spread = float(values.std())
        if values[-self.points :].max() > values[: -self.points].max() + self.share * spread:
            return None
        told, free = search.belief(), search.free()
        if not free.any():
            return "No place is left."
        mean = told.mean[:, 0] * (-1 if search.minimise else 1)
        hope = float((mean + 2 * told.std[:, 0])[free].max() - mean[search.measured].max())
        if hope >= self.share * spread:
            return None
        return f"No place is likely to be better by more than {hope:.3g}, less than {self.share:g} of the spread."
