"""Which of the two sublattices of a honeycomb an atom stands on, from the directions of its bonds alone."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

_FEWEST = 20
_LONGEST_BOND = 1.3  # in the median distance of nearest neighbours
_AGREES = 0.5  # of the mean of exp(3 i angle) over an atom's bonds, along the lattice's own direction
_MOST = 0.7  # share of the atoms that must stand on one or the other


def honeycomb_sublattices(positions: Array) -> NDArray[np.int64] | None:
    """Tell the two sublattices of a honeycomb apart.

    Parameters
    ----------
    positions : (n, 2) x and y in any unit.

    Returns
    -------
    Number (n,) of each atom's sublattice, 0 or 1, and -1 where its bonds do not say; None if less than 70 % of the
    atoms have a honeycomb's bonds in one orientation.

    Notes
    -----
    The three bonds of an atom are 120 degrees apart, and those of the other sublattice point the opposite way, so
    ``exp(3 i angle)`` is the same for all bonds of a sublattice and has the other sign on the other. A missing
    neighbour changes nothing; shear and drift change it little. Brightness is not asked, so an atom of another element
    shows.
    """
    if len(positions) < _FEWEST:
        return None
    distance, nearest = cKDTree(positions).query(positions, k=4)
    is_bond = distance[:, 1:] < _LONGEST_BOND * np.median(distance[:, 1])
    bond = positions[nearest[:, 1:]] - positions[:, None]
    turn = np.exp(3j * np.arctan2(bond[..., 1], bond[..., 0]))
    mean = (turn * is_bond).sum(axis=1) / np.maximum(is_bond.sum(axis=1), 1)
    along = (mean * np.exp(-0.5j * np.angle((mean**2).sum()))).real
    number = np.where(along > _AGREES, 1, np.where(along < -_AGREES, 0, -1))
    least = min(int((number == k).sum()) for k in (0, 1))
    if (number >= 0).mean() < _MOST or least < _FEWEST // 2:
        return None
    return number
