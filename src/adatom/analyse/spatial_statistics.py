"""Whether atoms or defects lie at random: densities, pair distribution and Ripley's K, with confidence."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import cKDTree

from adatom.errors import ArgumentError

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]

Statistic = Callable[[Array, float, float, Array], Array]  # points, width, height and edges of bins to values

_MOST_PAIRS = 5_000_000


def count_interval(n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the mean of a Poisson number of which `n` was counted (Garwood 1936, 10.2307/2333958)."""
    if n < 0 or not 0 < confidence < 1:
        raise ArgumentError(f"n, confidence: expected a count and a number between 0 and 1, got {n} and {confidence}.")
    tail = (1 - confidence) / 2
    low = float(stats.chi2.ppf(tail, 2 * n) / 2) if n else 0.0
    return low, float(stats.chi2.ppf(1 - tail, 2 * n + 2) / 2)


def share_interval(n: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a share, `n` of `of` (Clopper & Pearson 1934, 10.1093/biomet/26.4.404)."""
    if not 0 <= n <= of or not 0 < confidence < 1:
        raise ArgumentError(f"n, of: expected counts with n <= of, got {n} and {of}.")
    found = stats.binomtest(n, of).proportion_ci(confidence) if of else None
    return (0.0, 1.0) if found is None else (float(found.low), float(found.high))


@dataclass(frozen=True)
class PairStatistics:
    """A statistic of distances against complete randomness.

    Attributes
    ----------
    distance : (k,) in the unit of the positions.
    value : (k,) g(r), which is 1 at random; or L(r) - r, which is 0.
    low, high : (k,) band in which 95 % of sets of as many points at random lie at each distance.
    p_value : of the largest deviation from randomness, over all distances at once.
    """

    distance: Array
    value: Array
    low: Array
    high: Array
    p_value: float


def pair_distribution(
    positions: Array, box: Box, *, longest: float | None = None, n_bins: int = 60, n_random: int = 99, seed: int = 0
) -> PairStatistics:
    """Pair distribution function g(r): how many pairs there are at a distance, over how many there would be at random.

    Parameters
    ----------
    positions : (n, 2) points in the box.
    box : left, top, right, bottom of what was measured, in the unit of the positions.
    longest : largest distance; by default a quarter of the box's shorter side.
    n_random : sets of points at random that the band and the p-value come from.

    Notes
    -----
    Each pair counts by the inverse of the part of the box in which a pair with its vector fits (translational edge
    correction; Ohser 1983): nothing is left out at the border.
    """
    return _against_randomness(positions, box, longest, n_bins, n_random, seed, _density)


def ripley_l(
    positions: Array, box: Box, *, longest: float | None = None, n_bins: int = 60, n_random: int = 99, seed: int = 0
) -> PairStatistics:
    """Ripley's K as L(r) - r with L = sqrt(K / pi): above 0 points cluster up to this distance, below they avoid.

    Parameters and edge correction: see `pair_distribution`. Source: Ripley 1977, 10.1111/j.2517-6161.1977.tb01615.x.
    """
    return _against_randomness(positions, box, longest, n_bins, n_random, seed, _l_function)


def _against_randomness(
    positions: Array, box: Box, longest: float | None, n_bins: int, n_random: int, seed: int, statistic: Statistic
) -> PairStatistics:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if not (width > 0 and height > 0):
        raise ArgumentError(f"box: expected left < right and top < bottom, got {box}.")
    positions = np.asarray(positions, dtype=float).reshape(-1, 2)
    if len(positions) < 3:
        raise ArgumentError(f"positions: expected at least three points, got {len(positions)}.")
    longest = 0.25 * min(width, height) if longest is None else longest
    if not 0 < longest < min(width, height):
        raise ArgumentError(f"longest: expected between 0 and the box's shorter side, got {longest}.")
    if len(positions) ** 2 * np.pi * longest**2 / (width * height) > 2 * _MOST_PAIRS:
        longest = float(np.sqrt(2 * _MOST_PAIRS * width * height / np.pi) / len(positions))
    edges = np.linspace(0, longest, n_bins + 1)
    rng = np.random.default_rng(seed)
    measured = statistic(positions, width, height, edges)
    random = np.array(
        [
            statistic(rng.uniform((left, top), (right, bottom), (len(positions), 2)), width, height, edges)
            for _ in range(n_random)
        ]
    )
    low, high = np.quantile(random, [0.025, 0.975], axis=0)
    # a rank test of the largest deviation in units of its own scatter: one p-value for all distances
    centre, scatter = random.mean(axis=0), np.maximum(random.std(axis=0), 1e-12)
    often = scatter > 1e-3 * scatter.max()
    largest = [np.abs((one - centre) / scatter)[often].max() for one in (measured, *random)]
    p_value = float(np.mean(np.array(largest) >= largest[0]))
    distance = 0.5 * (edges[1:] + edges[:-1]) if statistic is _density else edges[1:]
    return PairStatistics(distance, measured, low, high, p_value)


def _weighted_pairs(positions: Array, width: float, height: float, edges: Array) -> Array:
    """Share (k,) of the pairs between the edges, each over the part of the box in which its vector fits."""
    tree = cKDTree(positions)
    pairs = tree.query_pairs(edges[-1], output_type="ndarray")
    vector = np.abs(positions[pairs[:, 0]] - positions[pairs[:, 1]])
    weight = 2 * width * height / ((width - vector[:, 0]) * (height - vector[:, 1]))
    counts: Array = np.histogram(np.hypot(*vector.T), bins=edges, weights=weight)[0]
    return counts / (len(positions) * (len(positions) - 1))


def _density(positions: Array, width: float, height: float, edges: Array) -> Array:
    share = _weighted_pairs(positions, width, height, edges)
    return share * width * height / (np.pi * np.diff(edges**2))


def _l_function(positions: Array, width: float, height: float, edges: Array) -> Array:
    k = np.cumsum(_weighted_pairs(positions, width, height, edges)) * width * height
    return np.sqrt(k / np.pi) - edges[1:]
