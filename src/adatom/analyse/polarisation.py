"""How far atoms are off the centre of the neighbours of another kind around them: the polarisation of a perovskite."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.errors import ArgumentError, ShapeError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OffCentre:
    """Displacement of each inner atom from the mean of its cage.

    Attributes
    ----------
    atom : (k,) numbers of the inner atoms that have a whole cage.
    vector : (k, 2) from the centre of the cage to the atom, in the unit of the positions.
    vector_std : (k, 2) its standard deviation.
    """

    atom: NDArray[np.int64]
    vector: Array
    vector_std: Array


def off_centre(
    positions: Array,
    is_inner: NDArray[np.bool_],
    is_cage: NDArray[np.bool_],
    *,
    n_cage: int = 4,
    positions_std: Array | None = None,
) -> OffCentre:
    """Off-centre vectors, such as those of B columns in the squares of A columns of a perovskite along [001].

    Parameters
    ----------
    positions : (n, 2) of all atoms.
    is_inner, is_cage : (n,) which atoms are displaced, and which make the cages.
    n_cage : atoms of a cage; those around an inner atom must lie all around it, or it is left out, as at a border.
    positions_std : (n, 2) standard deviations of the positions; None: not known.

    Raises
    ------
    ShapeError, ArgumentError : on masks of another length, or fewer cage atoms than a cage has.
    """
    positions = np.asarray(positions, dtype=float)
    if not len(positions) == len(is_inner) == len(is_cage):
        raise ShapeError(f"is_inner: expected one value for each of {len(positions)} atoms, got {len(is_inner)}.")
    cage = np.flatnonzero(is_cage)
    if n_cage < 3 or len(cage) < n_cage:
        raise ArgumentError(f"n_cage: expected at least 3 and as many atoms of the cage, got {n_cage} and {len(cage)}.")
    inner = np.flatnonzero(is_inner)
    nothing = OffCentre(inner[:0], np.zeros((0, 2)), np.zeros((0, 2)))
    if not len(inner):
        return nothing
    distance, near = cKDTree(positions[cage]).query(positions[inner], k=n_cage)
    around = positions[cage[near]] - positions[inner][:, None]
    angle = np.sort(np.arctan2(around[..., 1], around[..., 0]), axis=1)
    gap = np.diff(np.concatenate([angle, angle[:, :1] + 2 * np.pi], axis=1), axis=1)
    whole = (gap.max(axis=1) < 1.5 * 2 * np.pi / n_cage) & (distance[:, -1] < 1.6 * np.median(distance))
    std = np.full((len(positions), 2), np.nan) if positions_std is None else np.asarray(positions_std, dtype=float)
    variance = std[inner] ** 2 + (std[cage[near]] ** 2).sum(axis=1) / n_cage**2
    return OffCentre(inner[whole], -around.mean(axis=1)[whole], np.sqrt(variance[whole]))
