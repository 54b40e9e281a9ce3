"""How fast atoms diffuse, with the error of their places taken out.

The steps of a diffusing atom whose place is known to a deviation s have the variance ``2 D t + 2 s^2`` along each axis,
and each is anticorrelated with the next by ``-s^2``. Their sine transform is uncorrelated, with variances
``2 D t + 2 s^2 (1 - cos(pi k / (n + 1)))``, so the likelihood of both unknowns is a plain sum (Berglund, Phys. Rev. E
82, 011917 (2010), 10.1103/PhysRevE.82.011917; exposure of a place is taken to be short against a frame). Fits of
straight lines to mean square displacements, whose points are strongly correlated, are less precise (Michalet & Berglund
2012, 10.1103/PhysRevE.85.061916); the displacements are given beside it to look at.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft, stats

from adatom.analyse.steps import check_interval, follows, tracked

Array = NDArray[np.float64]

_GRID = 41
_ZOOMS = 5
_FEWEST_STEPS = 3


@dataclass(frozen=True)
class Diffusion:
    """What the steps say.

    Attributes
    ----------
    coefficient, low, high : D with its interval [unit^2 / s, or unit^2 / frame]; `low` is 0 where standing still is as
        likely.
    position_std : error of the places along each axis, in the unit of the table.
    n_steps : from a frame to the next.
    """

    coefficient: float
    low: float
    high: float
    position_std: float
    n_steps: int


def diffusion(
    atoms: pd.DataFrame,
    *,
    track: str = "track",
    columns: tuple[str, str] | None = None,
    frame_time_s: float | None = None,
    confidence: float = 0.95,
) -> Diffusion:
    """The coefficient of diffusion that all tracks have in common; of one atom, if the table holds one.

    Parameters
    ----------
    atoms : table with ``frame``, `track` and places.
    columns : of the places; by default without drift, where that was taken out.
    frame_time_s : from one frame to the next [s].

    Returns
    -------
    NaN with an interval of all numbers where there are fewer than three steps.

    Raises
    ------
    ArgumentError : if a column is missing, or a number is out of range.

    Notes
    -----
    The interval is where twice the profile's log-likelihood is within the quantile of chi square of its highest. It
    takes diffusion to be free, the same in all directions and for all atoms. Of atoms on sites, which hop, it is the
    effective one; of atoms in cages it is close to 0.
    """
    check_interval(confidence, frame_time_s)
    time = 1.0 if frame_time_s is None else frame_time_s
    power, weight, number = _spectrum(*_pieces(atoms, track, columns or place_columns(atoms)))
    n_steps = int(number.sum()) // 2
    scale = float(power.sum() / number.sum()) if n_steps else 0.0
    if n_steps < _FEWEST_STEPS or scale <= 0:
        return Diffusion(np.nan, 0.0, np.inf, np.nan, n_steps)
    a, low, high, b = _profile(power / scale, weight, number, float(stats.chi2.ppf(confidence, 1)))
    a, low, high = (each * scale / (2 * time) for each in (a, low, high))
    return Diffusion(a, low, high, float(np.sqrt(b * scale)), n_steps)


def place_columns(atoms: pd.DataFrame) -> tuple[str, str]:
    """Those without drift, where it was taken out."""
    return ("x_undrifted", "y_undrifted") if "x_undrifted" in atoms else ("x", "y")


def mean_square_displacement(
    atoms: pd.DataFrame,
    *,
    track: str = "track",
    columns: tuple[str, str] | None = None,
    frame_time_s: float | None = None,
    longest: int = 10,
) -> pd.DataFrame:
    """One row a lag: ``lag`` [s, or frames], ``msd``, ``msd_std`` (over tracks) in unit^2, ``n`` pairs.

    Frames that lack the atom do not matter here: pairs are those that are a lag apart.
    """
    names = columns or place_columns(atoms)
    known = tracked(atoms, names, track)
    rows = []
    for lag in range(1, longest + 1):
        later = known.assign(frame=known["frame"] - lag)
        pairs = known.merge(later, on=[track, "frame"], suffixes=("", "_later"))
        if pairs.empty:
            break
        square = sum((pairs[f"{name}_later"] - pairs[name]) ** 2 for name in names)
        each = pd.Series(square).groupby(pairs[track]).mean()
        std = float(each.std() / np.sqrt(len(each))) if len(each) > 1 else np.nan
        rows.append((lag * (1.0 if frame_time_s is None else frame_time_s), float(np.mean(square)), std, len(pairs)))
    return pd.DataFrame(rows, columns=["lag", "msd", "msd_std", "n"])


def _pieces(atoms: pd.DataFrame, track: str, names: tuple[str, str]) -> tuple[Array, NDArray[np.int64]]:
    """Steps (n, 2) along both axes, and the number of the unbroken piece of a track that each is of."""
    known = tracked(atoms, names, track)
    next_too = follows(known, track)
    steps = np.diff(known[list(names)].to_numpy(float), axis=0)[next_too]
    rows = np.flatnonzero(next_too)
    piece = np.cumsum(np.r_[True, np.diff(rows) > 1])[: len(rows)] if len(rows) else rows
    return steps, piece


def _spectrum(steps: Array, piece: NDArray[np.int64]) -> tuple[Array, Array, NDArray[np.int64]]:
    """Squares of the sine transforms of the steps of all pieces, how much each has of the error of places, and how many
    squares are summed up in each: those that have as much of it.
    """
    powers, weights = [np.zeros(0)], [np.zeros(0)]
    for number in np.unique(piece):
        mine = steps[piece == number]
        n = len(mine)
        powers.append((fft.dst(mine, type=1, axis=0, norm="ortho") ** 2).ravel())
        weights.append(np.repeat(2 - 2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)), 2))
    weight, group, count = np.unique(np.concatenate(weights).round(3), return_inverse=True, return_counts=True)
    power: Array = np.bincount(group, np.concatenate(powers), len(weight)).astype(np.float64)
    return power, weight, count.astype(np.int64)


def _profile(
    power: Array, weight: Array, number: NDArray[np.int64], allowed: float
) -> tuple[float, float, float, float]:
    """The likeliest variance of true steps, its interval, and the likeliest variance of places; powers are 1 in the
    mean.

    Both are looked for on grids, which draw together around what is likely.
    """
    a_range, b_range = (1e-7, 1e3), (1e-7, 1e3)
    found = (np.nan,) * 4
    for _ in range(_ZOOMS):
        a, b = (np.r_[0.0, np.geomspace(*each, _GRID - 1)] for each in (a_range, b_range))
        variance = np.maximum(a[:, None, None] + b[None, :, None] * weight, 1e-12)  # (a, b, k)
        loss = (number * np.log(variance) + power / variance).sum(axis=2)  # twice the negative logarithm
        best = np.unravel_index(int(loss.argmin()), loss.shape)
        profile = loss.min(axis=1) - loss.min()
        inside = np.flatnonzero(profile <= allowed)
        found = (float(a[best[0]]), *_ends(a, profile, inside, allowed), float(b[best[1]]))
        near = np.argwhere(loss - loss.min() <= max(2 * allowed, 4.0))
        (a_low, b_low), (a_high, b_high) = near.min(axis=0), near.max(axis=0)
        a_range, b_range = _around(a, a_low, a_high), _around(b, b_low, b_high)
    return found


def _ends(a: Array, profile: Array, inside: NDArray[np.int64], allowed: float) -> tuple[float, float]:
    """Where the profile crosses what is allowed, between points of the grid."""
    first, last = int(inside[0]), int(inside[-1])
    low = 0.0 if first == 0 else float(np.interp(allowed, profile[[first, first - 1]], a[[first, first - 1]]))
    high = float(np.interp(allowed, profile[[last, last + 1]], a[[last, last + 1]])) if last + 1 < len(a) else np.inf
    return low, high


def _around(grid: Array, low: int, high: int) -> tuple[float, float]:
    """The part of a grid from one point before to one after."""
    start = float(grid[max(low - 1, 1)])
    return start, max(float(grid[min(high + 1, len(grid) - 1)]), 1.0001 * start)
