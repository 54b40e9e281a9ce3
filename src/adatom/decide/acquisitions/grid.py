"""A regular grid, line by line."""

from dataclasses import dataclass

import numpy as np

from adatom.decide.designs import nearest_candidates, rank_scores
from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class Grid:
    """Before its last point is measured, a grid has blank lines at its end; afterwards follow finer ones.

    Parameters
    ----------
    n : points of the grid, about.
    """

    n: int = 100
    needs_model = False
    is_order = True

    def __call__(self, outlook: Outlook) -> Array:
        low, high = outlook.all_places.min(axis=0), outlook.all_places.max(axis=0)
        width, height = np.maximum(high - low, 1e-12)
        order, n = [], self.n
        while n < 4 * len(outlook.all_places):
            columns = min(n, max(1, round(float(np.sqrt(n * width / height)))))
            rows = max(1, round(n / columns))
            y, x = np.divmod(np.arange(rows * columns), columns)
            wanted = low + (np.column_stack([x, y]) + 0.5) / [columns, rows] * (high - low)
            order.append(nearest_candidates(outlook.all_places, wanted))
            n *= 4
        return rank_scores(np.concatenate(order) if order else np.arange(0), outlook)
