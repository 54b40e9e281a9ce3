"""Dislocations: places around which a walk that would close in the crystal does not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import Delaunay, QhullError

Array = NDArray[np.float64]

# Triangles with a longer side, in lattice constants, cross a hole or the border and tell nothing.
_LONGEST = 2.2
_FEWEST_ATOMS = 12


@dataclass(frozen=True)
class Dislocations:
    """Cores of dislocations.

    Attributes
    ----------
    positions : (k, 2) centre of the triangles of the core.
    burgers : (k, 2) Burgers vector in multiples of the lattice's vectors, for a walk from x towards y; whoever walks
        through the image so and closes the walk in the perfect crystal ends this far from the start.
    vectors : (k, 2) the same in the unit of the positions.
    """

    positions: Array
    burgers: NDArray[np.int64]
    vectors: Array


def find_dislocations(positions: Array, vectors: Array) -> Dislocations:
    """Find the dislocations of a lattice.

    Parameters
    ----------
    positions : (n, 2) of the atoms of one sublattice in one grain.
    vectors : (2, 2) of the lattice, one a row.

    Notes
    -----
    Each side of a Delaunay triangulation is taken for the lattice vector that it is next to; around a triangle these
    add up to nothing, unless a dislocation runs through it (the elastic mapping of Stukowski, Bulatov & Arsenlis 2012,
    10.1088/0965-0393/20/8/085007, in two dimensions). Triangles with a side in common whose sums are not nothing are
    one core, and its Burgers vector is the sum of theirs: where one side was taken for the wrong vector, it is nothing.
    """
    positions, vectors = np.asarray(positions, dtype=float), np.asarray(vectors, dtype=float)
    nothing = Dislocations(np.zeros((0, 2)), np.zeros((0, 2), dtype=np.int64), np.zeros((0, 2)))
    if len(positions) < _FEWEST_ATOMS:
        return nothing
    try:
        triangulation = Delaunay(positions)
    except QhullError:  # all on one line
        return nothing
    corners = triangulation.simplices
    side = positions[np.roll(corners, -1, axis=1)] - positions[corners]  # (t, 3, 2)
    turned = side[:, 0, 0] * side[:, 1, 1] - side[:, 0, 1] * side[:, 1, 0] < 0
    multiple = np.round(side @ np.linalg.inv(vectors)).astype(np.int64)
    closure = multiple.sum(axis=1)
    closure[turned] *= -1
    lattice_constant = np.linalg.norm(vectors, axis=1).max()
    told = np.linalg.norm(side, axis=2).max(axis=1) < _LONGEST * lattice_constant
    open_ones = told & (closure != 0).any(axis=1)
    if not open_ones.any():
        return nothing
    number = np.full(len(corners), -1)
    number[open_ones] = np.arange(int(open_ones.sum()))
    beside = triangulation.neighbors[open_ones]
    first = np.repeat(np.arange(len(beside)), 3)
    second = np.where(beside.ravel() >= 0, number[beside.ravel()], -1)
    joined = second >= 0
    graph = sparse.coo_array((np.ones(int(joined.sum())), (first[joined], second[joined])), shape=(len(beside),) * 2)
    n_cores, core = csgraph.connected_components(graph, directed=False)
    total = np.stack([np.bincount(core, closure[open_ones][:, k], n_cores) for k in (0, 1)], axis=1)
    burgers = np.round(total).astype(np.int64)
    middle = positions[corners[open_ones]].mean(axis=1)
    count = np.bincount(core, minlength=n_cores)
    place = np.stack([np.bincount(core, middle[:, k], n_cores) / count for k in (0, 1)], axis=1)
    kept = (burgers != 0).any(axis=1)
    return Dislocations(place[kept], burgers[kept], burgers[kept] @ vectors)
