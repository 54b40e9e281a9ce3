"""Grains: pieces of one orientation, or of one twin, and the atoms at their boundaries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from adatom.analyse.bond_order import BondOrder, smoothed_order
from adatom.analyse.neighbours import Neighbours
from adatom.analyse.twins import part_twins

Array = NDArray[np.float64]

_LEAST_ORDER = 0.6
_FEWEST_ATOMS = 12


@dataclass(frozen=True)
class Grains:
    """Grains, the largest first.

    Attributes
    ----------
    grain : (n,) number of each atom's grain from 0, -1 for atoms of none.
    is_boundary : (n,) whether an atom of another grain is among its neighbours, or it is of none where there are two
        or more.
    orientation : (k,) of each grain [radians], within half a turn of its symmetry.
    """

    grain: NDArray[np.int64]
    is_boundary: NDArray[np.bool_]
    orientation: Array


def find_grains(neighbours: Neighbours, bonds: BondOrder, *, misorientation_deg: float = 4.0) -> Grains:
    """Join neighbours whose bonds point the same way, and part twins (`adatom.analyse.twins`).

    Parameters
    ----------
    misorientation_deg : neighbours whose local orientations, each a mean over an atom and its neighbours, differ by
        more than this are of different grains; slow bending of a crystal does not part it.
    """
    n = neighbours.n_atoms
    psi = smoothed_order(neighbours, bonds.psi)
    ordered = np.abs(psi) > _LEAST_ORDER
    difference = np.angle(psi[neighbours.first] * psi[neighbours.second].conj()) / bonds.fold
    joined = np.abs(difference) < np.deg2rad(misorientation_deg)
    joined &= ordered[neighbours.first] & ordered[neighbours.second]
    graph = sparse.coo_array(
        (np.ones(int(joined.sum())), (neighbours.first[joined], neighbours.second[joined])), shape=(n, n)
    )
    label = csgraph.connected_components(graph, directed=False)[1] if n else np.zeros(0, dtype=np.int64)
    sizes = np.bincount(label)
    kept = np.argsort(-sizes, kind="stable")
    kept = kept[sizes[kept] >= _FEWEST_ATOMS]
    number = np.full(len(sizes), -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    grain = number[label] if n else label
    joined_pieces = _joined(grain, psi, bonds.fold, misorientation_deg)
    adopted = _adopted(neighbours, part_twins(neighbours, joined_pieces, fewest_atoms=_FEWEST_ATOMS))
    kept = np.arange(adopted.max(initial=-1) + 1)
    meets = np.zeros(n, dtype=bool)
    differs = adopted[neighbours.first] != adopted[neighbours.second]
    np.logical_or.at(meets, neighbours.first[differs], True)
    if len(kept) > 1:
        meets |= adopted < 0
    else:
        meets[:] = False
    orientation = np.array([np.angle(psi[adopted == k].sum()) / bonds.fold for k in range(len(kept))])
    return Grains(adopted, meets, orientation)


def _joined(
    grain: NDArray[np.int64], psi: NDArray[np.complex128], fold: int, misorientation_deg: float
) -> NDArray[np.int64]:
    """Pieces of the same orientation, parted by dirt or a hole, as one grain; the largest first again."""
    n_pieces = int(grain.max(initial=-1)) + 1
    mean = np.array([psi[grain == k].sum() for k in range(n_pieces)])
    target = np.arange(n_pieces)
    for k in range(n_pieces):
        for other in range(k):
            if target[other] == other:
                apart = abs(np.angle(mean[k] * mean[other].conj())) / fold
                if apart < 0.5 * np.deg2rad(misorientation_deg):
                    target[k] = other
                    break
    names, number = np.unique(target, return_inverse=True)
    joined = np.where(grain >= 0, number[np.maximum(grain, 0)], -1) if n_pieces else grain
    order = np.argsort(-np.bincount(joined[joined >= 0], minlength=len(names)), kind="stable")
    return np.where(joined >= 0, np.argsort(order)[np.maximum(joined, 0)], -1) if n_pieces else joined


def _adopted(neighbours: Neighbours, grain: NDArray[np.int64]) -> NDArray[np.int64]:
    """Atoms of no grain all of whose neighbours with one are of the same grain become its own: a vacancy's rim."""
    grain = grain.copy()
    for _ in range(3):
        known = grain[neighbours.second] >= 0
        lowest = np.full(neighbours.n_atoms, np.iinfo(np.int64).max)
        highest = np.full(neighbours.n_atoms, -1)
        np.minimum.at(lowest, neighbours.first[known], grain[neighbours.second[known]])
        np.maximum.at(highest, neighbours.first[known], grain[neighbours.second[known]])
        mine = (grain < 0) & (highest >= 0) & (lowest == highest)
        if not mine.any():
            break
        grain[mine] = highest[mine]
    return grain
