"""Thompson sampling: the best place in one world out of those that are possible."""

from dataclasses import dataclass

import numpy as np

from adatom.decide.acquisition import Situation
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class Thompson:
    """One draw of the whole function (Thompson, Biometrika 1933, 10.1093/biomet/25.3-4.285).

    Parameters
    ----------
    most : candidates that are drawn together; of more, those whose upper bound is highest are.
    """

    most: int = 1500
    needs_model: bool = True

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        told = situation.believed
        mean, std = told.mean[:, 0], told.std[:, 0]
        bound = np.where(situation.free, mean + 3 * std, -np.inf)
        which = np.argsort(-bound, kind="stable")[: self.most]
        score = np.full(len(mean), -np.inf)
        score[which] = mean[which] + drawn(told.covariance(which)[0], situation.rng, 1)[0]
        return score


def drawn(covariance: Array, rng: np.random.Generator, n: int) -> Array:
    """Draws (n, m) from a normal distribution of mean 0."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    result: Array = rng.standard_normal((n, len(covariance))) @ factor.T
    return result
