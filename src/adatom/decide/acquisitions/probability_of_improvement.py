"""How likely a place is to beat the best one known."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class ProbabilityOfImprovement:
    """Logarithm of the probability.

    Parameters
    ----------
    margin : by how much the best must be beaten to count, in the unit of the weighted outputs; with 0, a place
        beside the best one is often preferred.

    Notes
    -----
    Source: H. J. Kushner, J. Basic Eng. 86, 97 (1964), doi:10.1115/1.3653121.
    """

    margin: float = 0.0
    is_logarithm = True

    def __call__(self, outlook: Outlook) -> Array:
        worth = outlook.worth
        above = worth.mean[:, 0] - outlook.best - self.margin
        return np.asarray(log_ndtr(above / np.maximum(worth.std[:, 0], 1e-300)))
