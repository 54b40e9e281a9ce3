"""What is believed once some places were chosen but not measured yet: their means came true."""

import numpy as np

from adatom.decide.posterior import Array, Indices, Posterior

_AT_ONCE = 400  # candidates whose covariance with another one is asked for


def after(posterior: Posterior, chosen: list[int]) -> Posterior:
    """The posterior when each of some candidates, one after the other, was measured to be what it is believed to be.

    Means stay, and deviations shrink as they will, exactly so for Gaussian beliefs (D. Ginsbourger, R. Le Riche & L.
    Carraro, 2010, 10.1007/978-3-642-10701-6_6: the kriging believer).
    """
    if not chosen:
        return posterior
    variance = posterior.std**2  # (n, k)
    taken: list[Array] = []  # (n, k) each: what a measurement takes of the covariances, as a factor
    for candidate in chosen:
        row = _with_all(posterior, candidate)
        for before in taken:
            row = row - before * before[candidate]
        total = variance[candidate] + posterior.noise_std[candidate] ** 2 + 1e-12 * (posterior.std.max() ** 2 + 1e-300)
        taken.append(row / np.sqrt(total))
        variance = np.maximum(variance - taken[-1] ** 2, 0.0)

    def joint(which: Indices) -> Array:
        whole = posterior.covariance(which)
        for each in taken:
            part = each[which].T  # (k, m)
            whole = whole - part[:, :, None] * part[:, None, :]
        return whole

    return Posterior(posterior.mean, np.sqrt(variance), posterior.noise_std, joint)


def _with_all(posterior: Posterior, candidate: int) -> Array:
    """Covariances (n, k) of one candidate with all."""
    n, k = posterior.mean.shape
    row = np.empty((n, k))
    for first in range(0, n, _AT_ONCE):
        others = np.arange(first, min(first + _AT_ONCE, n))
        if posterior.joint is None:
            row[others] = np.where((others == candidate)[:, None], posterior.std[others] ** 2, 0.0)
        else:
            row[others] = posterior.covariance(np.r_[candidate, others])[:, 0, 1:].T
    return row
