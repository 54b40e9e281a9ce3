"""Found atoms against known atoms."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Match:
    """A one-to-one matching.

    Attributes
    ----------
    found, known : (m,) rows of the matched pairs.
    distance : (m,) their distances.
    n_found, n_known : how many there were in all.
    """

    found: NDArray[np.int64]
    known: NDArray[np.int64]
    distance: Array
    n_found: int
    n_known: int

    @property
    def precision(self) -> float:
        """Share of the found atoms that are known; 1 if none was found."""
        return len(self.found) / self.n_found if self.n_found else 1.0

    @property
    def recall(self) -> float:
        """Share of the known atoms that were found; 1 if there is none."""
        return len(self.known) / self.n_known if self.n_known else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.n_found + self.n_known
        return 2 * len(self.found) / total if total else 1.0

    @property
    def rms(self) -> float:
        """Root mean square distance of the matched pairs; NaN if there are none."""
        return float(np.sqrt(np.mean(self.distance**2))) if len(self.distance) else float("nan")


def match_likeliest_first(found: Array, probability: Array, known: Array, *, tolerance: float) -> NDArray[np.int64]:
    """The known position (m, 2) that each find (n, 2) takes, -1 where it takes none.

    The likeliest find chooses first, the closest that is free within `tolerance`: so what is right does not depend on
    how many of the unlikely ones are counted.
    """
    mine = np.full(len(found), -1)
    if not len(known):
        return mine
    free = np.ones(len(known), dtype=bool)
    near = cKDTree(known).query_ball_point(found, tolerance)
    for k in np.argsort(-probability, kind="stable"):
        choice = np.array([j for j in near[k] if free[j]], dtype=np.int64)
        if len(choice):
            mine[k] = choice[np.hypot(*(known[choice] - found[k]).T).argmin()]
            free[mine[k]] = False
    return mine


def match_positions(found: Array, known: Array, *, tolerance: float) -> Match:
    """Pair each found position (n, 2) with at most one known position (m, 2) within `tolerance`, the closest first."""
    found, known = (np.asarray(a, dtype=float).reshape(-1, 2) for a in (found, known))
    pairs_found, pairs_known, distances = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    if len(found) and len(known):
        close = cKDTree(found).sparse_distance_matrix(cKDTree(known), tolerance, output_type="ndarray")
        order = np.argsort(close["v"], kind="stable")
        free_found, free_known = np.ones(len(found), bool), np.ones(len(known), bool)
        chosen = []
        for k in order:
            i, j = close["i"][k], close["j"][k]
            if free_found[i] and free_known[j]:
                free_found[i] = free_known[j] = False
                chosen.append(k)
        pairs_found, pairs_known = close["i"][chosen].astype(np.int64), close["j"][chosen].astype(np.int64)
        distances = close["v"][chosen]
    return Match(pairs_found, pairs_known, distances, len(found), len(known))
