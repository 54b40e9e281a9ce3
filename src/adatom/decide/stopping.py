"""When enough was measured. A rule looks at a search and says in one sentence why to stop, or None to go on."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from adatom.decide.search import Search
from adatom.errors import ArgumentError


class StoppingRule(Protocol):
    """When to stop."""

    def __call__(self, search: Search, *, elapsed_s: float = 0.0) -> str | None:
        """Why to stop now, `elapsed_s` after the beginning; None to go on."""


@dataclass(frozen=True)
class Budget:
    """Stops when so much was spent, or when nothing is left to measure.

    Parameters
    ----------
    points : measurements, failed ones too; None for any number.
    seconds : since the beginning, as the caller counts them; None for any time.
    """

    points: int | None = None
    seconds: float | None = None

    def __call__(self, search: Search, *, elapsed_s: float = 0.0) -> str | None:
        spent = len(search.measured) + len(search.failed)
        if self.points is not None and spent >= self.points:
            return f"The budget of {self.points} measurements is spent."
        if self.seconds is not None and elapsed_s >= self.seconds:
            return f"The budget of {self.seconds:g} s is spent, after {spent} measurements."
        if not len(search.open()) and not len(search.pending):
            return f"All candidates were measured, {len(search.failed)} of them in vain."
        return None


@dataclass(frozen=True)
class UncertaintyBelow:
    """Stops when the map is known well enough.

    Parameters
    ----------
    std : of the weighted outputs, in their unit; > 0.
    share : of the candidates that may be measured and were not, whose deviation has to be below; 0 to 1.
    n_least : values that have to be known before a model is believed.
    """

    std: float
    share: float = 0.95
    n_least: int = 20

    def __post_init__(self) -> None:
        if not (self.std > 0 and 0 < self.share <= 1):
            raise ArgumentError(f"stopping: expected std above 0 and a share of 0 to 1, got {self}.")

    def __call__(self, search: Search, *, elapsed_s: float = 0.0) -> str | None:
        if len(search.measured) < max(self.n_least, 2) or not len(search.open()):
            return None
        reached = float(np.quantile(search.worth().std[search.open(), 0], self.share))
        if reached > self.std:
            return None
        return f"At {self.share:.0%} of the open candidates the deviation is {reached:.3g} or less, below {self.std:g}."


@dataclass(frozen=True)
class NoMoreImprovement:
    """Stops when nothing better was found for a while, and the model expects nothing better either.

    Parameters
    ----------
    regret : by how much an open candidate may still be better, in the unit of the weighted outputs; >= 0.
    n_last : measurements that brought nothing better.
    deviations : above the mean, up to which a candidate may be better.
    n_least : values that have to be known before a model is believed.

    Notes
    -----
    What is best is what the model believes best at measured places, so that one lucky value does not stop a search.
    """

    regret: float = 0.0
    n_last: int = 20
    deviations: float = 2.0
    n_least: int = 30

    def __post_init__(self) -> None:
        if self.regret < 0 or self.n_last < 1:
            raise ArgumentError(f"stopping: expected regret of 0 or more and n_last of 1 or more, got {self}.")

    def __call__(self, search: Search, *, elapsed_s: float = 0.0) -> str | None:
        measured, candidates = search.measured, search.open()
        if len(measured) < max(self.n_least, self.n_last + 2) or not len(candidates):
            return None
        worth = search.worth()
        believed = worth.mean[measured, 0]
        if believed[-self.n_last :].max() > believed[: -self.n_last].max():
            return None
        may_be = float((worth.mean[candidates, 0] + self.deviations * worth.std[candidates, 0]).max())
        gap = may_be - float(believed.max())
        if gap > self.regret:
            return None
        return (
            f"The last {self.n_last} measurements brought nothing better, and no open candidate is likely to be better "
            f"by more than {max(gap, 0):.3g}."
        )
