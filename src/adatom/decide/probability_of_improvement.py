"""Probability of improvement: how likely a place beats the best one so far."""

from dataclasses import dataclass

from scipy.special import log_ndtr

from adatom.decide.acquisition import Situation, first_output
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class ProbabilityOfImprovement:
    """The logarithm of the probability. It likes small sure gains, so give a margin to be had (Kushner, 1964).

    Parameters
    ----------
    margin : by which the best one has to be beaten, in the unit of the quantity.
    """

    margin: float = 0.0
    needs_model: bool = True
    gain: str = "logarithm"

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        mean, std, best = first_output(situation)
        result: Array = log_ndtr((mean - best - self.margin) / std)
        return result
