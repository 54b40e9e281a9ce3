"""Designs that no model has a say in: wanted places to candidates, and their order to scores."""

import numpy as np
from scipy.spatial import KDTree

from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array, Indices


def nearest_candidates(places: Array, wanted: Array) -> Indices:
    """(w,), the candidate that is nearest to each wanted place."""
    return np.asarray(KDTree(places).query(wanted)[1], dtype=np.int64)


def rank_scores(order: Indices, outlook: Outlook) -> Array:
    """(m,), higher the earlier a candidate first stands in `order`; what does not stand there comes last, at random."""
    rank = np.full(len(outlook.all_places), np.inf)
    first, where = np.unique(order, return_index=True)
    rank[first] = where
    scores = -rank[outlook.numbers]
    return np.where(np.isfinite(scores), scores, -2.0 * len(order) - 1 - outlook.rng.random(len(scores)))
