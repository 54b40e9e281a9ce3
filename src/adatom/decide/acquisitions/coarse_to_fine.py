"""A coarse raster, then the ones between its points, and so on."""

from dataclasses import dataclass

import numpy as np

from adatom.decide.designs import nearest_candidates, rank_scores
from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class CoarseToFine:
    """Rasters line by line, each of half the spacing of the one before, until they are finer than the candidates.

    Parameters
    ----------
    n_first : points of the first raster along the longer side.
    """

    n_first: int = 4
    needs_model = False
    is_order = True

    def __call__(self, outlook: Outlook) -> Array:
        low, high = outlook.all_places.min(axis=0), outlook.all_places.max(axis=0)
        spacing = max(float((high - low).max()), 1e-12) / self.n_first
        order = []
        for level in range(16):
            columns, rows = np.maximum(1, np.round((high - low) / spacing * 2**level)).astype(int)
            y, x = np.divmod(np.arange(rows * columns), columns)
            wanted = low + (np.column_stack([x, y]) + 0.5) / [columns, rows] * (high - low)
            order.append(nearest_candidates(outlook.all_places, wanted))
            if columns * rows > 4 * len(outlook.all_places):
                break
        return rank_scores(np.concatenate(order), outlook)
