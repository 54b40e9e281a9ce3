"""A grid, line by line, as instruments scan."""

from dataclasses import dataclass

import numpy as np

from adatom.decide.acquisition import Situation
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class Grid:
    """Every place in turn: along x, then the next line."""

    needs_model: bool = False

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        order = np.lexsort((situation.places[:, 0], situation.places[:, 1]))
        score = np.empty(len(order))
        score[order] = -np.arange(len(order), dtype=float)
        return score
