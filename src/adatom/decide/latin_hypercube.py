"""A Latin hypercube: as even as chance can be."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import qmc

from adatom.decide.acquisition import Situation
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class LatinHypercube:
    """The places of Latin hypercubes of `size` points each, one cube after the other.

    Parameters
    ----------
    size : points of a cube; in a cube, each of as many rows and columns of the field is met once.
    seed : of the cubes.

    Notes
    -----
    M. D. McKay, R. J. Beckman & W. J. Conover, Technometrics 1979, 10.1080/00401706.1979.10489755.
    """

    size: int = 50
    seed: int = 0
    needs_model: bool = False

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        places, n_before = situation.places, len(situation.measured)
        low, high = places.min(axis=0), places.max(axis=0)
        score = np.zeros(len(places))
        cube, left = np.random.default_rng([self.seed, n_before // self.size]), n_before % self.size
        wanted = low + qmc.LatinHypercube(2, rng=cube).random(self.size) * np.where(high > low, high - low, 1.0)
        free = np.flatnonzero(situation.free)
        if len(free):  # the free candidate that is nearest to the point whose turn it is
            _, nearest = cKDTree(places[free]).query(wanted[left])
            score[free[nearest]] = 1.0
        return score
