"""How often atoms change from one class to another, from frame to frame of a movie, with intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from adatom.analyse.steps import check_interval, follows, tracked

Array = NDArray[np.float64]

# Of Jeffreys' priors: half a count of each transition (Dirichlet), and half an event in no time (Gamma).
_PRIOR = 0.5


@dataclass(frozen=True)
class Transitions:
    """Transitions between classes; rows are the class before, columns the class after.

    Attributes
    ----------
    classes : (k,) names of the classes.
    counts : (k, k) numbers of steps from one frame to the next, those that stay on the diagonal.
    probability, low, high : (k, k) of a step, its mean and credible interval; all alike where nothing was seen.
    rate, rate_low, rate_high : (k, k) changes per second (per frame without a frame time), NaN on the diagonal.
    confidence : of the intervals.
    """

    classes: NDArray
    counts: NDArray[np.int64]
    probability: Array
    low: Array
    high: Array
    rate: Array
    rate_low: Array
    rate_high: Array
    confidence: float

    def table(self) -> pd.DataFrame:
        """One row for each pair of classes."""
        before, after = np.meshgrid(self.classes, self.classes, indexing="ij")
        return pd.DataFrame(
            {
                "before": before.ravel(),
                "after": after.ravel(),
                **{name: getattr(self, name).ravel() for name in ("counts", "probability", "low", "high")},
                **{name: getattr(self, name).ravel() for name in ("rate", "rate_low", "rate_high")},
            }
        )


def transitions(
    atoms: pd.DataFrame,
    column: str = "component",
    *,
    track: str = "track",
    frame_time_s: float | None = None,
    confidence: float = 0.95,
) -> Transitions:
    """Count what atoms that are linked from frame to frame change into.

    Parameters
    ----------
    atoms : table with the columns ``frame``, `track` (number of the atom through the frames, below 0 or NaN for none)
        and `column` (its class in each frame; 0 or NaN where it is not known, which counts for nothing).
    frame_time_s : from one frame to the next [s].
    confidence : of the intervals, between 0 and 1.

    Raises
    ------
    ArgumentError : if a column is missing, or an atom is twice in a frame.

    Notes
    -----
    Only steps from a frame to the very next are counted. Probabilities of a row have a Dirichlet posterior under
    Jeffreys' prior, so each a Beta interval; rates, if constant, a Gamma posterior of changes in the time at risk.
    They take steps to be independent: neighbours that change together make intervals too narrow.
    """
    check_interval(confidence, frame_time_s)
    known = tracked(atoms, [column], track)
    if pd.api.types.is_numeric_dtype(known[column]):
        known = known[known[column] != 0]
    classes = np.unique(known[column].to_numpy())
    kind = np.searchsorted(classes, known[column])
    next_too = follows(known, track)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (kind[:-1][next_too], kind[1:][next_too]), 1)
    tail = 0.5 * (1 - confidence)
    shape = counts + _PRIOR
    total = shape.sum(axis=1, keepdims=True)
    rest = np.maximum(total - shape, 1e-9)
    step = 1.0 if frame_time_s is None else frame_time_s
    # an atom that changes does so in the middle of a step, on average
    at_risk = step * (0.5 * counts.sum(axis=1) + 0.5 * np.diag(counts))[:, None] + np.zeros(counts.shape)
    with np.errstate(divide="ignore"):
        rate, rate_low, rate_high = (
            np.where(np.eye(len(classes), dtype=bool), np.nan, value / np.where(at_risk > 0, at_risk, np.nan))
            for value in (counts.astype(float), stats.gamma.ppf(tail, shape), stats.gamma.ppf(1 - tail, shape))
        )
    return Transitions(
        classes=classes,
        counts=counts,
        probability=shape / total,
        low=stats.beta.ppf(tail, shape, rest),
        high=stats.beta.ppf(1 - tail, shape, rest),
        rate=rate,
        rate_low=rate_low,
        rate_high=rate_high,
        confidence=confidence,
    )
