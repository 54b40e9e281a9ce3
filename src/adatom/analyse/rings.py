"""Rings of bonds: the faces of the planar graph that the bonds make."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from adatom.analyse.neighbours import Neighbours

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rings:
    """Closed rings of bonds with nothing inside.

    Attributes
    ----------
    size : (k,) atoms of each.
    centre : (k, 2) mean of their positions.
    area : (k,) in the unit of the positions squared.
    atoms : (sum of sizes,) numbers of the atoms of all rings, one ring after the other, each in order around it.
    start : (k + 1,) where each begins in `atoms`.
    """

    size: NDArray[np.int64]
    centre: Array
    area: Array
    atoms: NDArray[np.int64]
    start: NDArray[np.int64]

    def of(self, ring: int) -> NDArray[np.int64]:
        """Atoms of one ring, in order around it."""
        return self.atoms[self.start[ring] : self.start[ring + 1]]

    def counts(self) -> dict[int, int]:
        """How many rings there are of each size."""
        sizes, n = np.unique(self.size, return_counts=True)
        return {int(size): int(count) for size, count in zip(sizes, n, strict=True)}


def find_rings(positions: Array, neighbours: Neighbours) -> Rings:
    """Find all rings that hold no other bond.

    Parameters
    ----------
    positions : (n, 2)
    neighbours : bonds that do not cross, as those between nearest neighbours do not.

    Notes
    -----
    Whoever walks along a bond and at each atom takes the next bond clockwise walks around one face, and every face is
    walked so just once. Faces on the outside are walked the other way round; ends and bridges, which are no part of a
    ring, are taken out first. The cost is that of sorting the bonds.
    """
    bonds = _without_ends_and_bridges(neighbours)
    if not len(bonds.first):
        nothing = np.zeros(0, dtype=np.int64)
        return Rings(nothing, np.zeros((0, 2)), np.zeros(0), nothing, np.zeros(1, dtype=np.int64))
    following = _next_along_face(bonds)
    label = _cycles(following)
    vector = bonds.vector
    # twice the signed area, about the face's own first atom to keep rounding small
    n_faces = int(label.max()) + 1
    size = np.bincount(label, minlength=n_faces)
    member, start = _in_order(following, label, n_faces)
    atoms = bonds.first[member]
    face = np.repeat(np.arange(n_faces), size)
    away = np.zeros((len(member), 2))
    step = np.cumsum(vector[member], axis=0)
    away[1:] = step[:-1]
    away -= away[start[:-1]][face]
    cross = away[:, 0] * vector[member, 1] - away[:, 1] * vector[member, 0]
    area = 0.5 * np.bincount(face, cross, n_faces)
    mean = np.stack([np.bincount(face, away[:, k], n_faces) / size for k in (0, 1)], axis=1)
    centre = positions[atoms[start[:-1]]] + np.asarray(mean, dtype=float)
    inner = area > 0
    kept = inner[face]
    return Rings(
        size[inner],
        centre[inner],
        np.asarray(area[inner], dtype=float),
        atoms[kept],
        np.concatenate([[0], np.cumsum(size[inner])]),
    )


def _next_along_face(bonds: Neighbours) -> NDArray[np.int64]:
    """Number (m,) of the bond after each one: at its end, the bond just before its reverse in the order of angles."""
    back = bonds.reverse
    first_of = bonds.start[:-1][bonds.second]
    count = bonds.coordination[bonds.second]
    return first_of + (back - first_of - 1) % count


def _cycles(following: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number (m,) of the cycle of a permutation that each element is in."""
    m = len(following)
    graph = sparse.coo_array((np.ones(m, dtype=np.int8), (np.arange(m), following)), shape=(m, m))
    label: NDArray[np.int64] = csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
    return label


def _in_order(
    following: NDArray[np.int64], label: NDArray[np.int64], n_faces: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bonds of all faces, one face after the other, each in the order of walking, and where each face begins."""
    size = np.bincount(label, minlength=n_faces)
    start = np.concatenate([[0], np.cumsum(size)])
    at = np.full(n_faces, -1, dtype=np.int64)
    at[label[::-1]] = np.arange(len(label))[::-1]  # the first bond of each face
    member = np.empty(len(label), dtype=np.int64)
    walking = np.arange(n_faces)
    for step in range(int(size.max())):
        walking = walking[size[walking] > step]
        member[start[walking] + step] = at[walking]
        at[walking] = following[at[walking]]
    return member, start


def _without_ends_and_bridges(neighbours: Neighbours) -> Neighbours:
    """Bonds that have a face on either side that is not the same one."""
    bonds = neighbours
    while len(bonds.first):
        many = bonds.coordination >= 2
        kept = many[bonds.first] & many[bonds.second]
        if kept.all():
            label = _cycles(_next_along_face(bonds))
            kept = label != label[bonds.reverse]
            if kept.all():
                break
        bonds = bonds.of(kept)
    return bonds
