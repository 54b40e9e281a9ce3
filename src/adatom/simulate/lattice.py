"""Filling a region with a crystal: the sites of a two-dimensional lattice with a basis."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]


def fill_lattice(vectors: Array, basis: Array, radius: float) -> tuple[Array, NDArray[np.int64]]:
    """All sites within `radius` of the origin.

    Parameters
    ----------
    vectors : (2, 2), one lattice vector a row, (x, y).
    basis : (n, 2) fractional coordinates of the atoms of a cell.
    radius : in the unit of `vectors`; > 0.

    Returns
    -------
    (m, 2) positions (x, y) and (m,) the row of `basis` that each belongs to.
    """
    # A cell reaches the disc if its index lies within the disc's extent in reciprocal vectors.
    extent = radius * np.linalg.norm(np.linalg.inv(vectors), axis=0)  # (2,) in cells
    ranges = [np.arange(-int(np.ceil(e)) - 1, int(np.ceil(e)) + 2) for e in extent]
    cells = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    fractional = (cells + basis[None]).reshape(-1, 2)
    positions = fractional @ vectors
    site = np.tile(np.arange(len(basis)), len(cells))
    inside = (positions**2).sum(axis=1) <= radius**2
    return positions[inside], site[inside]


def without_the_later_of_close_pairs(positions: Array, apart: float) -> NDArray[np.bool_]:
    """Mask (n,) of positions (n, 2) without those that are closer than `apart` to an earlier one."""
    pairs = cKDTree(positions).query_pairs(apart, output_type="ndarray")
    kept = np.ones(len(positions), dtype=bool)
    kept[pairs.max(axis=1)] = False
    return kept
