"""One point in each of n columns, and one in each of n rows."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from adatom.decide.designs import nearest_candidates, rank_scores
from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class LatinHypercube:
    """A Latin hypercube, each point moved to the nearest candidate; another one follows when it is through.

    Parameters
    ----------
    n : points of one hypercube.

    Notes
    -----
    Source: M. D. McKay, R. J. Beckman, W. J. Conover, Technometrics 21, 239 (1979), doi:10.2307/1268522.
    """

    n: int = 100
    needs_model = False
    is_order = True

    def __call__(self, outlook: Outlook) -> Array:
        low, high = outlook.all_places.min(axis=0), outlook.all_places.max(axis=0)
        sampler = qmc.LatinHypercube(2, rng=np.random.default_rng(outlook.seed))
        n_rounds = 1 + (len(outlook.taken_places) + self.n) // self.n
        wanted = np.concatenate([sampler.random(self.n) for _ in range(n_rounds)])
        return rank_scores(nearest_candidates(outlook.all_places, low + wanted * (high - low)), outlook)
