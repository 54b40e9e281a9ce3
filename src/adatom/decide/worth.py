"""What changes how much a candidate is worth: the time it takes, and conditions that outputs have to meet."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.special import log_ndtr

from adatom.decide.posterior import Array, Posterior
from adatom.errors import ArgumentError


@dataclass(frozen=True)
class Costs:
    """Time that a measurement takes.

    Parameters
    ----------
    speed_nm_per_s : of the probe on its way; > 0.
    measure_s : at the place; > 0.
    """

    speed_nm_per_s: float
    measure_s: float

    def __post_init__(self) -> None:
        if not (self.speed_nm_per_s > 0 and self.measure_s > 0):
            raise ArgumentError(f"costs: expected speed and time above 0, got {self}.")

    def seconds(self, here: Array, places: Array) -> Array:
        """(m,), to go from `here` (2,) to each of `places` (m, 2) and measure."""
        return np.asarray(np.hypot(*(places - here).T) / self.speed_nm_per_s + self.measure_s)


@dataclass(frozen=True)
class Constraint:
    """What an output has to be where the best place is looked for.

    Parameters
    ----------
    output : its number, from 0.
    at_least, at_most : its limits, in its unit; None where there is none.
    """

    output: int
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, values: Array) -> NDArray[np.bool_]:
        """(m,), which rows of (m, k) meet it."""
        low, high = self._limits()
        return np.asarray((values[:, self.output] >= low) & (values[:, self.output] <= high))

    def log_probability(self, posterior: Posterior) -> Array:
        """(n,), how likely the true value meets it, as a logarithm."""
        mean, std = posterior.mean[:, self.output], np.maximum(posterior.std[:, self.output], 1e-300)
        low, high = self._limits()
        # from the side on which the difference of the two keeps its digits
        is_low = mean < low
        upper = log_ndtr(np.where(is_low, mean - low, high - mean) / std)
        lower = log_ndtr(np.where(is_low, mean - high, low - mean) / std)
        return np.asarray(upper + np.log(np.maximum(-np.expm1(np.minimum(lower - upper, 0)), 1e-300)))

    def _limits(self) -> tuple[float, float]:
        return -np.inf if self.at_least is None else self.at_least, np.inf if self.at_most is None else self.at_most


def local_penalty(
    places: Array, picked: Array, picked_mean: Array, picked_std: Array, best: float, slope: float
) -> Array:
    """(m,), logarithm of the probability that the best place is not near one that was picked already.

    A value cannot rise by more than `slope` a nm: around a pick, that leaves out a disc of uncertain radius.

    Notes
    -----
    Source: J. Gonzalez et al., AISTATS (2016), doi:10.48550/arXiv.1505.08052.
    """
    away = np.hypot(*(places[:, None] - picked[None]).transpose(2, 0, 1))  # (m, picks)
    z = (slope * away - best + picked_mean) / np.maximum(picked_std, 1e-300)
    return np.asarray(log_ndtr(z).sum(axis=1))


def steepest(places: Array, mean: Array, n_neighbours: int = 8) -> float:
    """The largest change of the mean (n,) between near candidates [unit of the mean per nm]."""
    n_neighbours = min(n_neighbours, len(places) - 1)
    if n_neighbours < 1:
        return 0.0
    away, which = KDTree(places).query(places, k=n_neighbours + 1)
    change = np.abs(mean[which[:, 1:]] - mean[:, None])
    return float((change / np.maximum(away[:, 1:], 1e-12)).max())


def per_second(scores: Array, seconds: Array, *, is_logarithm: bool) -> Array:
    """Scores a second. Those that are no logarithms count from the lowest of them on."""
    if is_logarithm:
        return scores - np.log(seconds)
    known = np.isfinite(scores)
    if not known.any():
        return scores
    return np.where(known, (scores - scores[known].min()) / seconds, -np.inf)


def shared(scores: Array, log_probability: Array, *, is_logarithm: bool) -> Array:
    """Scores times a probability; of those that are no logarithms, candidates that are likelier to fail come last."""
    if is_logarithm:
        return scores + log_probability
    known = scores[np.isfinite(scores)]
    depth = (known.max() - known.min() + 1) if len(known) else 1.0
    return np.where(log_probability < np.log(0.5), scores - depth * (1 - log_probability), scores)
