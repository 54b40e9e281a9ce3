"""Upper confidence bound: as good as a place may well be."""

from dataclasses import dataclass

from adatom.decide.acquisition import Situation, first_output
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class UpperConfidenceBound:
    """Mean plus some deviations.

    Parameters
    ----------
    deviations : the more, the more is explored.

    Notes
    -----
    N. Srinivas, A. Krause, S. Kakade & M. Seeger, ICML 2010, arXiv 0912.3995.
    """

    deviations: float = 2.0
    needs_model: bool = True

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        mean, std, _ = first_output(situation)
        return mean + self.deviations * std
