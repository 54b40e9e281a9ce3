"""By how much a place is expected to beat the best one known."""

from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, log_ndtr

from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array

_FAR = -1e6  # deviations below the best, beyond which 1 - x erfcx(x) has no digits left
_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True)
class ExpectedImprovement:
    """Logarithm of the expected improvement, which is exact where the improvement itself would be rounded to 0.

    Parameters
    ----------
    margin : by how much the best must be beaten to count, in the unit of the weighted outputs.

    Notes
    -----
    Source: D. R. Jones, M. Schonlau, W. J. Welch, J. Global Optim. 13, 455 (1998), doi:10.1023/A:1008306431147; in
    logarithms S. Ament et al., NeurIPS (2023), doi:10.48550/arXiv.2310.20708.
    """

    margin: float = 0.0
    is_logarithm = True

    def __call__(self, outlook: Outlook) -> Array:
        worth = outlook.worth
        return log_expected_improvement(worth.mean[:, 0] - outlook.best - self.margin, worth.std[:, 0])


def log_expected_improvement(above: Array, std: Array) -> Array:
    """log E[max(0, N(above, std))]."""
    certain = np.log(np.maximum(above, 1e-300))
    safe = np.where(std > 0, std, 1.0)
    return np.where(std > 0, np.log(safe) + _log_h(above / safe), certain)


def _log_h(z: Array) -> Array:
    """log(phi(z) + z Phi(z)); for negative z by the scaled complementary error function, whose logarithm is safe."""
    near = np.maximum(z, -1.0)
    log_phi = -0.5 * near**2 - _LOG_SQRT_2PI
    direct = np.log(np.exp(log_phi) + near * np.exp(log_ndtr(near)))
    left = np.clip(z, _FAR, -1.0)
    ratio = left * np.sqrt(np.pi / 2) * erfcx(-left / np.sqrt(2))  # z Phi(z) / phi(z)
    # far out 1 + ratio cancels, and is 1 / z^2 to a relative error of 3 / z^2
    shortened = np.where(left < -1e3, -2 * np.log(-left), np.log1p(np.maximum(ratio, -1 + 1e-12)))
    far = -0.5 * np.minimum(z, -1.0) ** 2 - _LOG_SQRT_2PI + shortened
    return np.where(z > -1, direct, far)
