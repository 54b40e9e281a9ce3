"""Sites of a lattice on which no atom was found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.analyse.lattice_sites import LatticeSites

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]

# Of its nearest sites of the same sublattice more than this share must be known for a site to be one.
_MOST = 0.5
# A site is empty where no atom is nearer than this share of the distance of neighbours.
_TAKEN = 0.45
# Vacancies beside vacancies are looked for so many times.
_ROUNDS = 4


@dataclass(frozen=True)
class Vacancies:
    """Empty sites.

    Attributes
    ----------
    positions : (k, 2) where the atom would be, from its neighbours on the same sublattice.
    positions_std : (k, 2) standard deviation of that, from how far atoms are off their sites.
    sublattice : (k,) number of the sublattice.
    """

    positions: Array
    positions_std: Array
    sublattice: NDArray[np.int64]


def find_vacancies(positions: Array, sites: LatticeSites, box: Box, others: Array | None = None) -> Vacancies:
    """Find the sites of each sublattice that no atom is on.

    Parameters
    ----------
    positions : (n, 2) of the atoms that the sites are of.
    sites : the sublattices.
    others : (m, 2) of atoms of other grains, which may stand where this one's lattice goes on.
    box : left, top, right, bottom of what was measured, in the unit of the positions; nearer to its border than half
        the distance of neighbours no site is asked for.

    Notes
    -----
    A site inside a crystal has most of its neighbours of the same sublattice; one outside, at a straight edge, has
    less than half. So an edge makes no vacancies, and groups of missing atoms are filled from their rim inwards; a hole
    wider than a few sites is told as its rim only.
    """
    near = _beside_a_site(sites.vectors)
    tree = cKDTree(positions if others is None else np.concatenate([positions, others]))
    apart = float(np.median(tree.query(positions, k=2)[0][:, 1]))
    found: list[tuple[Array, Array, int]] = []
    for k in range(len(sites.origin)):
        mine = sites.sublattice == k
        known_cell, known_place = sites.cell[mine], positions[mine]
        for _ in range(_ROUNDS):
            cell, place, n = _beside(known_cell, known_place, near, sites.vectors)
            left, top, right, bottom = box
            margin = 0.5 * apart
            inside = (place[:, 0] > left + margin) & (place[:, 0] < right - margin)
            inside &= (place[:, 1] > top + margin) & (place[:, 1] < bottom - margin)
            chosen = inside & (n > _MOST * len(near))
            cell, place, n = cell[chosen], place[chosen], n[chosen]
            if not len(cell):
                break
            known_cell, known_place = np.concatenate([known_cell, cell]), np.concatenate([known_place, place])
            empty = tree.query(place)[0] > _TAKEN * apart
            found += [(place[i], sites.spread / np.sqrt(n[i]), k) for i in np.flatnonzero(empty)]
    if not found:
        return Vacancies(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    places, stds, numbers = zip(*found, strict=True)
    return Vacancies(np.array(places), np.array(stds), np.array(numbers, dtype=np.int64))


def _beside_a_site(vectors: Array) -> NDArray[np.int64]:
    """Multiples (k, 2) of the vectors that are the sites around one: six of a hexagonal lattice, eight of a square."""
    around = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)
    distance = np.linalg.norm(around @ vectors, axis=1)
    return around[(distance > 0) & (distance < 1.5 * np.linalg.norm(vectors, axis=1).max())]


def _beside(
    cell: NDArray[np.int64], place: Array, near: NDArray[np.int64], vectors: Array
) -> tuple[NDArray[np.int64], Array, NDArray[np.int64]]:
    """Cells beside the known ones that are not among them, where their neighbours put them, and how many these are."""
    beside = (cell[:, None] + near[None]).reshape(-1, 2)
    put = (place[:, None] + near[None] @ vectors).reshape(-1, 2)
    low = beside.min(axis=0)
    width = int(np.ptp(beside[:, 1])) + 1
    code, known = ((each[:, 0] - low[0]) * width + each[:, 1] - low[1] for each in (beside, cell))
    new = ~np.isin(code, known)
    codes, number, count = np.unique(code[new], return_inverse=True, return_counts=True)
    mean = np.stack([np.bincount(number, put[new, axis], len(codes)) / count for axis in (0, 1)], axis=1)
    return np.column_stack([codes // width + low[0], codes % width + low[1]]), mean, count
