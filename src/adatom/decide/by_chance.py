"""Places by chance: what every policy has to beat."""

from dataclasses import dataclass

from adatom.decide.acquisition import Situation
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class ByChance:
    """Scores by chance."""

    needs_model: bool = False

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        return situation.rng.random(len(situation.places))
