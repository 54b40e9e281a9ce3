"""Compromises between several outputs, all of which are to be high: their front, and the volume that it covers."""

import numpy as np
from numpy.typing import NDArray

from adatom.decide.posterior import Array
from adatom.errors import ShapeError


def pareto_front(values: Array) -> NDArray[np.bool_]:
    """(n,) which rows of (n, k) no other row beats: none is as good in all outputs and better in one."""
    values = np.asarray(values, dtype=float)
    as_good = (values[:, None] >= values[None]).all(axis=2)
    better = (values[:, None] > values[None]).any(axis=2)
    return np.asarray(~(as_good & better).any(axis=0))


def hypervolume(values: Array, reference: Array) -> float:
    """Volume between `reference` (k,) and the front of (n, k), exact, for two or three outputs.

    Raises
    ------
    ShapeError : if there are other numbers of outputs.
    """
    return FreeSpace(values, reference).volume()


class FreeSpace:
    """What lies above a front: upright columns, each of which is free from its floor upwards.

    Parameters
    ----------
    values : (n, k), what is reached; k is 2 or 3.
    reference : (k,), what lies below it in any output does not count.

    Raises
    ------
    ShapeError : if there are other numbers of outputs, or the reference has another.
    """

    def __init__(self, values: Array, reference: Array) -> None:
        values, reference = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
        if values.ndim != 2 or values.shape[1] not in (2, 3) or reference.shape != values.shape[1:]:
            raise ShapeError(
                f"values: expected (n, 2) or (n, 3) and as many in the reference, got {values.shape} and "
                f"{reference.shape}. Weigh the outputs, or leave some out."
            )
        front = values[(values > reference).all(axis=1)]
        front = np.unique(front[pareto_front(front)], axis=0) if len(front) else front
        edges = [np.unique(np.append(front[:, axis], reference[axis])) for axis in range(values.shape[1] - 1)]
        low = np.stack(np.meshgrid(*edges, indexing="ij"), axis=-1).reshape(-1, len(edges))
        ends = [np.append(edge[1:], np.inf) for edge in edges]
        self._high = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, len(edges))
        # a point covers the columns that begin below it
        covers = (front[None, :, :-1] > low[:, None]).all(axis=2)
        self._floor = np.where(covers, front[None, :, -1], reference[-1]).max(axis=1, initial=reference[-1])
        self._low = low
        self._reference = reference

    def volume(self) -> float:
        """Below the floors, above the reference."""
        covered = self._floor > self._reference[-1]
        widths = (self._high[covered] - self._low[covered]).prod(axis=1)
        return float((widths * (self._floor[covered] - self._reference[-1])).sum())

    def gain(self, points: Array) -> Array:
        """(m,), the volume that each of (m, k) adds alone."""
        width = np.minimum(points[:, None, :-1], self._high) - self._low
        above = points[:, None, -1] - self._floor
        return np.asarray((np.maximum(width, 0).prod(axis=2) * np.maximum(above, 0)).sum(axis=1))
