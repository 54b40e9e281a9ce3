"""How long atoms stay what they are, from tracks that begin and end with the movie."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from adatom.analyse.steps import check_interval, follows, tracked

Array = NDArray[np.float64]

_PRIOR = 0.5  # Jeffreys' prior of a probability


@dataclass(frozen=True)
class Survival:
    """Kaplan-Meier estimate of the share of stays that last longer than a time.

    Attributes
    ----------
    time : of each step, in s (frames without a frame time), from 0.
    share, low, high : of the stays that go on, with a pointwise interval.
    """

    time: Array
    share: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Lifetimes:
    """Of each class.

    Attributes
    ----------
    table : one row a class: ``class``, ``n_stays``, ``n_ended`` (seen to end), ``n_censored`` (cut by the movie's or
        the track's end), ``lifetime``, ``lifetime_low``, ``lifetime_high`` [s, or frames].
    survival : class to curve.
    unit : ``s`` or ``frames``.
    """

    table: pd.DataFrame
    survival: dict[object, Survival]
    unit: str


def lifetimes(
    atoms: pd.DataFrame,
    column: str = "state",
    *,
    track: str = "track",
    frame_time_s: float | None = None,
    confidence: float = 0.95,
) -> Lifetimes:
    """Mean time that an atom spends in a class before it becomes another one.

    Parameters
    ----------
    atoms : table with ``frame``, `track` and `column`, see `adatom.analyse.transitions.transitions`.
    frame_time_s : from one frame to the next [s].

    Raises
    ------
    ArgumentError : if a column is missing, or a number is out of range.

    Notes
    -----
    Maximum likelihood for exponential stays seen once a frame: of ``n`` steps that begin in the class ``k`` leave it,
    the lifetime is ``-1 / ln(1 - k / n)`` frames, whether or not the beginning and the end of a stay were seen. The
    interval is the Beta posterior's under Jeffreys' prior. An atom that is lost is cut off, and has not changed.
    Changes there and back between two frames are not seen. Where the survival curve is no exponential the mean is still
    that of its kind, but says little.
    """
    check_interval(confidence, frame_time_s)
    known = tracked(atoms, [column], track)
    if pd.api.types.is_numeric_dtype(known[column]):
        known = known[known[column] != 0]
    step = 1.0 if frame_time_s is None else frame_time_s
    tail = 0.5 * (1 - confidence)
    kind, next_too = known[column].to_numpy(), follows(known, track)
    begins = np.flatnonzero(np.r_[True, ~next_too | (kind[1:] != kind[:-1])][: len(kind)])
    length = np.diff(np.r_[begins, len(kind)])
    last = begins + length - 1
    ended = np.r_[next_too, False][last] if len(last) else np.zeros(0, bool)
    rows, survival = [], {}
    for each in np.unique(kind):
        mine = kind[begins] == each
        # a stay of m frames was at risk m - 1 times without leaving, and once more if it was seen to leave
        at_risk, left = int((length[mine] - 1 + ended[mine]).sum()), int(ended[mine].sum())
        shape = left + _PRIOR, at_risk - left + _PRIOR
        times = [
            step / -np.log1p(-p) if p > 0 else np.inf
            for p in (left / at_risk if at_risk else np.nan, *stats.beta.ppf([1 - tail, tail], *shape))
        ]
        if left == 0:  # nothing was seen to end: any longer time would do
            times = [np.inf if at_risk else np.nan, times[1], np.inf]
        rows.append((each, int(mine.sum()), left, int(mine.sum()) - left, *times))
        survival[each] = _kaplan_meier(length[mine], ended[mine], step, confidence)
    names = ["class", "n_stays", "n_ended", "n_censored", "lifetime", "lifetime_low", "lifetime_high"]
    return Lifetimes(pd.DataFrame(rows, columns=names), survival, "frames" if frame_time_s is None else "s")


def _kaplan_meier(length: NDArray[np.int64], ended: NDArray[np.bool_], step: float, confidence: float) -> Survival:
    """Share of stays that go on (Kaplan & Meier 1958), with Greenwood's deviation on the scale of log(-log)."""
    z = stats.norm.ppf(0.5 + 0.5 * confidence)
    most = int(length.max(initial=0))
    at_risk = np.array([(length > m).sum() + ((length == m) & ended).sum() for m in range(1, most + 1)])
    left = np.array([((length == m) & ended).sum() for m in range(1, most + 1)])
    known = at_risk > 0
    at_risk, left = at_risk[known], left[known]
    share = np.cumprod(1 - left / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(left / (at_risk * (at_risk - left))) / np.log(share) ** 2
        log = np.log(-np.log(share))
        low, high = (np.exp(-np.exp(log + sign * z * np.sqrt(variance))) for sign in (1, -1))
    sure = (share > 0) & (share < 1)
    low, high = np.where(sure, low, share), np.where(sure, high, share)
    time: Array = step * np.arange(len(share) + 1, dtype=np.float64)
    curves: list[Array] = [np.r_[1.0, each].astype(np.float64) for each in (share, low, high)]
    return Survival(time, *curves)
