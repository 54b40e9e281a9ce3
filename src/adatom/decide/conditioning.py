"""What would be believed if some candidates had been measured already, and turned out as expected."""

import numpy as np

from adatom.decide.posterior import Array, Indices, Posterior


class Conditioned:
    """What is believed of a pool of candidates, one measurement after the other.

    Deviations follow exactly, because those of a Gaussian process do not depend on what is measured; the means are
    taken to stay.

    Parameters
    ----------
    posterior : of all candidates.
    pool : (m,), those that count here.

    Notes
    -----
    Source: D. Ginsbourger, R. Le Riche, L. Carraro, in Computational Intelligence in Expensive Optimization Problems
    (2010), doi:10.1007/978-3-642-10701-6_6.
    """

    def __init__(self, posterior: Posterior, pool: Indices) -> None:
        self._mean, self._noise_std = posterior.mean[pool], posterior.noise_std[pool]
        self._covariance = np.array(posterior.covariance(pool), dtype=float)  # (k, m, m)

    def measure(self, which: int) -> None:
        """Take number `which` of the pool as measured once."""
        for covariance, noise in zip(self._covariance, self._noise_std[which], strict=True):
            column = covariance[:, which].copy()
            variance = column[which] + noise**2
            if variance > 0:
                covariance -= np.outer(column, column / variance)

    def posterior(self, which: Indices) -> Posterior:
        """Of some of the pool."""
        variance = np.diagonal(self._covariance, axis1=1, axis2=2).T[which]
        return Posterior(
            self._mean[which],
            np.sqrt(np.maximum(variance, 0)),
            self._noise_std[which],
            lambda some: self._covariance[:, which[some]][:, :, which[some]],
        )


def joint_draws(posterior: Posterior, which: Indices, n: int, rng: np.random.Generator) -> Array:
    """(n, m, k), draws of the true values of the candidates `which` together."""
    covariance = posterior.covariance(which)
    draws = []
    for mean, each in zip(posterior.mean[which].T, covariance, strict=True):
        draws.append(mean + rng.standard_normal((n, len(which))) @ _root(each).T)
    return np.stack(draws, axis=-1)


def _root(covariance: Array) -> Array:
    """A matrix whose square is the covariance; rounding may have made that slightly indefinite."""
    size = max(float(np.trace(covariance)) / len(covariance), 1e-300)
    for jitter in (1e-10, 1e-8, 1e-6):
        try:
            return np.asarray(np.linalg.cholesky(covariance + jitter * size * np.eye(len(covariance))))
        except np.linalg.LinAlgError:
            continue
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))
