"""Expected improvement: by how much a place is expected to beat the best one so far."""

from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, log_ndtr

from adatom.decide.acquisition import Situation, first_output
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class ExpectedImprovement:
    """The logarithm of the expected improvement, which keeps its order where the improvement itself would be 0.

    Parameters
    ----------
    margin : by which the best one has to be beaten, in the unit of the quantity.

    Notes
    -----
    J. Mockus, V. Tiesis & A. Zilinskas, 1978; the logarithm: S. Ament et al., NeurIPS 2023, arXiv 2310.20708.
    """

    margin: float = 0.0
    needs_model: bool = True
    gain: str = "logarithm"

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        mean, std, best = first_output(situation)
        return np.log(std) + log_of_improvement((mean - best - self.margin) / std)


def log_of_improvement(z: Array) -> Array:
    """Logarithm of pdf(z) + z cdf(z), of a standard normal, for any z."""
    high = z > -1
    result = np.empty_like(z)
    result[high] = np.log(np.exp(-0.5 * z[high] ** 2) / np.sqrt(2 * np.pi) + z[high] * np.exp(log_ndtr(z[high])))
    low = z[~high]
    # pdf (1 + z cdf / pdf), where the ratio is known without either being 0
    ratio = np.sqrt(np.pi / 2) * erfcx(-low / np.sqrt(2))
    left = np.where(low > -1e4, 1 + low * ratio, 1 / low**2)
    result[~high] = -0.5 * low**2 - 0.5 * np.log(2 * np.pi) + np.log(np.maximum(left, 1e-300))
    return result
