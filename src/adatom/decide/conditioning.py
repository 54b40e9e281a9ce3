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
        self._before = posterior.covariance(pool)  # (k, m, m)
        self._variance = np.diagonal(self._before, axis1=1, axis2=2).copy()  # (k, m)
        # each measurement takes the square of one column off the covariance
        self._columns = np.zeros((len(self._before), len(pool), 0))  # (k, m, measured)

    def measure(self, which: int) -> None:
        """Take number `which` of the pool as measured once."""
        covariance = self._before[:, :, which] - np.einsum("kmj,kj->km", self._columns, self._columns[:, which])
        variance = covariance[:, which] + self._noise_std[which] ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            column = np.where(variance[:, None] > 0, covariance / np.sqrt(variance)[:, None], 0.0)
        self._variance -= column**2
        self._columns = np.concatenate([self._columns, column[:, :, None]], axis=2)

    def posterior(self, which: Indices) -> Posterior:
        """Of some of the pool."""

        def joint(some: Indices) -> Array:
            rows = which[some]
            columns = self._columns[:, rows]
            return np.asarray(self._before[:, rows[:, None], rows] - columns @ columns.transpose(0, 2, 1))

        std = np.sqrt(np.maximum(self._variance[:, which].T, 0))
        return Posterior(self._mean[which], std, self._noise_std[which], joint)


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
