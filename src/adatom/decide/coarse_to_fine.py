"""A raster from coarse to fine: each level of a grid is finished before places between its own are taken."""

from dataclasses import dataclass

import numpy as np

from adatom.decide.acquisition import Situation
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class CoarseToFine:
    """Levels of a grid, each twice as fine as the one before; within a level by chance, so that a search that ends in
    between has seen the whole of the field.

    Parameters
    ----------
    seed : of the order within a level.
    """

    seed: int = 0
    needs_model: bool = False

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        level = np.minimum(*(_level(along) for along in situation.places.T))
        # the first number of the situation's generator differs from ask to ask; the order within a level must not
        chance = np.random.default_rng([self.seed, 2]).random(len(level))
        return level + chance


def _level(along: Array) -> Array:
    """How coarse a grid has to be not to miss each of some numbers along one axis: the powers of two in its rank."""
    rank = np.unique(np.round(along, 9), return_inverse=True)[1]
    power = np.zeros(len(rank))
    for exponent in range(1, 31):
        power[rank % 2**exponent == 0] = exponent
    return power
