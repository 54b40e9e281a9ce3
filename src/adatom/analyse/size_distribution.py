"""The distribution of particle sizes, with confidence intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adatom.errors import ArgumentError

Array = NDArray[np.float64]

_FEWEST = 2  # particles whose scatter says anything


@dataclass(frozen=True)
class SizeDistribution:
    """Sizes of whole particles, each counted as often as larger ones are cut by the border.

    Attributes
    ----------
    column : what was measured.
    n, n_cut : particles that count, and those that the border cuts.
    mean, median, std : of the distribution; each with its ``_low`` and ``_high`` in `intervals`.
    intervals : ``{"mean": (low, high), ...}``, NaN with fewer than two particles.
    edges : (bin + 1,) of the histogram.
    share, share_low, share_high : (bin,) share of the particles in each bin.
    confidence : of the intervals.
    """

    column: str
    n: int
    n_cut: int
    mean: float
    median: float
    std: float
    intervals: dict[str, tuple[float, float]]
    edges: Array
    share: Array
    share_low: Array
    share_high: Array
    confidence: float


def size_distribution(
    table: pd.DataFrame,
    column: str = "diameter",
    *,
    bins: int | Array = 12,
    confidence: float = 0.95,
    n_samples: int = 1000,
    random_state: int = 0,
) -> SizeDistribution:
    """Sizes of the particles that the border does not cut.

    Parameters
    ----------
    table : of `measure_particles`; several tables may be joined.
    column : what to count: ``diameter``, ``area``, ``height``, ...; particles without a value are left out.
    bins : number of bins of the histogram, or their edges.
    confidence : of the intervals, which come from drawing particles again at random (percentile bootstrap).
    n_samples : how often they are drawn.

    Raises
    ------
    ArgumentError : if the column is missing, or `confidence` is not between 0 and 1.

    Notes
    -----
    Each particle has the weight that `measure_particles` gives it, so that the sizes are those of all particles of the
    specimen and not of those that happened to be whole in the image. Particles are taken to be independent.
    """
    if column not in table.columns or "touches_border" not in table.columns:
        raise ArgumentError(f"column: expected one of {', '.join(map(str, table.columns))}, got {column!r}.")
    if not 0 < confidence < 1:
        raise ArgumentError(f"confidence: expected a number between 0 and 1, got {confidence}.")
    cut = table["touches_border"].to_numpy(bool)
    values = table[column].to_numpy(float)
    counts = ~cut & np.isfinite(values)
    values, weights = values[counts], table["frame_weight"].to_numpy(float)[counts]
    edges = _edges(values, bins)
    names = ("mean", "median", "std")
    found = _statistics(values, weights, edges)
    nothing = np.full(len(edges) - 1, np.nan)
    low, high = (np.concatenate([np.full(3, np.nan), nothing]) for _ in range(2))
    if len(values) >= _FEWEST:
        rng = np.random.default_rng(random_state)
        drawn = rng.integers(len(values), size=(n_samples, len(values)))
        samples = np.array([_statistics(values[which], weights[which], edges) for which in drawn])
        low, high = np.quantile(samples, (0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence), axis=0)
    return SizeDistribution(
        column=column,
        n=len(values),
        n_cut=int(cut.sum()),
        **{name: float(found[k]) for k, name in enumerate(names)},
        intervals={name: (float(low[k]), float(high[k])) for k, name in enumerate(names)},
        edges=edges,
        share=found[3:],
        share_low=low[3:],
        share_high=high[3:],
        confidence=confidence,
    )


def _edges(values: Array, bins: int | Array) -> Array:
    if not isinstance(bins, (int, np.integer)):
        return np.asarray(bins, dtype=float)
    if not len(values):
        return np.linspace(0.0, 1.0, bins + 1)
    return np.histogram_bin_edges(values, bins=int(bins)).astype(float)


def _statistics(values: Array, weights: Array, edges: Array) -> Array:
    """Mean, median, standard deviation, and the share in each bin."""
    if not len(values):
        return np.full(2 + len(edges), np.nan)
    share = weights / weights.sum()
    mean = float(share @ values)
    order = np.argsort(values)
    # the middle of each step of the cumulative distribution, so that equal weights give the usual median
    middle = np.cumsum(share[order]) - 0.5 * share[order]
    median = float(np.interp(0.5, middle, values[order]))
    variance = float(share @ (values - mean) ** 2) / max(1 - float((share**2).sum()), 1e-12)
    counted = np.histogram(values, bins=edges, weights=share)[0]
    return np.concatenate([[mean, median, np.sqrt(variance) if len(values) > 1 else np.nan], counted])
