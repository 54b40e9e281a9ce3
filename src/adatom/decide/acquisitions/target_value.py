"""How much nearer to a wanted value a place is expected to be than the nearest one known."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class TargetValue:
    """Logarithm of the expected decrease of the distance from `value`.

    Parameters
    ----------
    value : that the weighted outputs are to reach.
    """

    value: float = 0.0
    is_logarithm = True

    def __call__(self, outlook: Outlook) -> Array:
        worth = outlook.worth
        distances = np.abs(outlook.known @ outlook.weights - self.value)
        nearest = max(float(distances.min()), 1e-6 * float(distances.max()), 1e-12)
        return log_expected_approach(worth.mean[:, 0] - self.value, worth.std[:, 0], nearest)


def log_expected_approach(off: Array, std: Array, nearest: float) -> Array:
    """log E[max(0, nearest - |N(off, std)|)]: a second difference of E[max(0, N)]."""
    std = np.maximum(std, 1e-9 * nearest)
    gain = _rise(off + nearest, std) - 2 * _rise(off, std) + _rise(off - nearest, std)
    # where the difference has no digits left, the density at the nearer edge orders places rightly
    edge = np.maximum(np.abs(off) - nearest, 0) / std
    width = np.minimum(nearest, std)
    bound = 2 * np.log(width) - np.log(std) - 0.5 * edge**2 - 0.5 * np.log(2 * np.pi)
    return np.where(gain > 1e-10 * std, np.log(np.maximum(gain, 1e-300)), bound)


def _rise(mean: Array, std: Array) -> Array:
    """E[max(0, N(mean, std))]."""
    z = mean / std
    return np.asarray(mean * ndtr(z) + std * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))
