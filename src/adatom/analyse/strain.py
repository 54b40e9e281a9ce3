"""Strain and rotation of the lattice around each atom, with their error bars."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adatom.analyse.lattice_sites import LatticeSites
from adatom.errors import ArgumentError

Array = NDArray[np.float64]

# Of the neighbours a lattice vector away, an atom needs so many, not on one line, to be told its strain.
_FEWEST = 3
_LEAST_SPREAD = 0.15


@dataclass(frozen=True)
class Strain:
    """Small strain of the neighbourhood of each atom against a reference lattice; NaN where too few neighbours are.

    Attributes
    ----------
    exx, eyy, exy : (n,) relative stretch along x and y, and half the shear; image axes, y downwards.
    rotation : (n,) from x towards y [radians].
    exx_std, eyy_std, exy_std, rotation_std : (n,) from the error bars of the positions.
    """

    exx: Array
    eyy: Array
    exy: Array
    rotation: Array
    exx_std: Array
    eyy_std: Array
    exy_std: Array
    rotation_std: Array

    @property
    def dilatation(self) -> Array:
        """Relative change (n,) of the area."""
        return self.exx + self.eyy


def local_strain(
    sites: LatticeSites, positions_std: Array | None = None, *, reference: ArrayLike | None = None
) -> Strain:
    """Strain of each atom's neighbourhood.

    Parameters
    ----------
    sites : of `adatom.analyse.lattice_sites.find_sites`.
    positions_std : (n, 2) standard deviations of x and y, in the unit of the positions; None or NaN: not known.
    reference : (2, 2) lattice vectors of no strain, any that span the lattice; by default the fitted ones, so that
        strain is against the mean.

    Raises
    ------
    ArgumentError : if the reference is another lattice than that of the sites.

    Notes
    -----
    The matrix F that best carries the reference's vectors D to an atom's neighbours onto the vectors r that are
    measured (least squares, r = F D) is 1 + strain + rotation (Falk & Langer 1998, 10.1103/PhysRevE.57.7192, with a
    lattice as the earlier state). It is linear in the positions, hence so are its errors; an atom's own position
    takes part in all its vectors, and is counted so.
    """
    neighbours, multiple = sites.steps
    n = neighbours.n_atoms
    ideal = multiple @ (sites.vectors if reference is None else _same_cell(reference, sites.vectors))  # (m, 2)
    moment = neighbours.sum(ideal[:, :, None] * ideal[:, None, :])  # (n, 2, 2)
    low, high = np.linalg.eigvalsh(moment).T
    known = (neighbours.coordination >= _FEWEST) & (low > _LEAST_SPREAD * high)
    inverse = np.full((n, 2, 2), np.nan)
    inverse[known] = np.linalg.inv(moment[known])
    # row of F times D: F = sum_j r_j w_j with the weights w_j = D_j^T M^-1
    weight = np.einsum("mi,mij->mj", ideal, inverse[neighbours.first])  # (m, 2)
    gradient = neighbours.sum(neighbours.vector[:, :, None] * np.nan_to_num(weight)[:, None, :])  # (n, 2, 2)
    gradient[~known] = np.nan
    variance = np.full((n, 2), np.nan) if positions_std is None else np.asarray(positions_std, dtype=float) ** 2
    own = neighbours.sum(np.nan_to_num(weight))  # (n, 2), minus what the atom's own position counts
    # F[i, j] = sum over neighbours of position_i * weight_j, less the own position_i * own_j
    square = neighbours.sum(variance[neighbours.second][:, :, None] * np.nan_to_num(weight)[:, None, :] ** 2)
    square += variance[:, :, None] * own[:, None, :] ** 2
    # x and y of a position are independent, so those of F[0, 1] and F[1, 0] are as well
    shear_std = 0.5 * np.sqrt(square[:, 0, 1] + square[:, 1, 0])
    shear_std[~known] = np.nan
    return Strain(
        exx=gradient[:, 0, 0] - 1,
        eyy=gradient[:, 1, 1] - 1,
        exy=0.5 * (gradient[:, 0, 1] + gradient[:, 1, 0]),
        rotation=0.5 * (gradient[:, 1, 0] - gradient[:, 0, 1]),
        exx_std=np.where(known, np.sqrt(square[:, 0, 0]), np.nan),
        eyy_std=np.where(known, np.sqrt(square[:, 1, 1]), np.nan),
        exy_std=shear_std,
        rotation_std=shear_std.copy(),
    )


def _same_cell(reference: ArrayLike, vectors: Array) -> Array:
    """The vectors of the reference lattice that correspond to those of the sites."""
    given = np.asarray(reference, dtype=float)
    if given.shape != (2, 2) or not np.isfinite(given).all() or abs(np.linalg.det(given)) < 1e-12:
        raise ArgumentError(f"reference: expected two independent vectors, got {given.tolist()}.")
    multiple = np.round(vectors @ np.linalg.inv(given))
    if abs(np.linalg.det(multiple)) != 1:
        raise ArgumentError(
            f"reference: expected vectors near those of the sites, {vectors.round(4).tolist()}, got {given.tolist()}."
        )
    same: Array = multiple @ given
    return same
