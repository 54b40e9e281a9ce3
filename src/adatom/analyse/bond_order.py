"""How the bonds of an atom are arranged: coordination, bond-orientational order, and the symmetry it has locally."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.analyse.neighbours import Neighbours

Array = NDArray[np.float64]

# Symmetries of bonds that are asked for.
FOLDS = (2, 3, 4, 5, 6)


@dataclass(frozen=True)
class BondOrder:
    """Bond-orientational order of each atom (Halperin & Nelson 1978, 10.1103/PhysRevLett.41.121).

    Attributes
    ----------
    fold : bonds of a perfect site repeat so many times a turn: 4 or 6 (a honeycomb's, 3, count as 6).
    psi : (n,) complex, mean of exp(i fold angle) over an atom's bonds; 0 for an atom without any.
    """

    fold: int
    psi: NDArray[np.complex128]

    @property
    def order(self) -> Array:
        """|psi| (n,), 1 for a perfect site."""
        return np.abs(self.psi)

    @property
    def orientation(self) -> Array:
        """Direction (n,) of the bonds, within +-pi / fold [radians]."""
        return np.angle(self.psi) / self.fold


def bond_order(neighbours: Neighbours, fold: int | None = None) -> BondOrder:
    """Order of `fold`; by default the one of 4 and 6 in which the atoms agree better with their own neighbours."""
    if fold is not None:
        return BondOrder(fold, local_order(neighbours, fold))
    found = [BondOrder(each, local_order(neighbours, each)) for each in (6, 4)]
    return max(found, key=lambda one: float(np.mean(one.order)) if len(one.psi) else 0.0)


def local_order(neighbours: Neighbours, fold: int) -> NDArray[np.complex128]:
    """Mean (n,) of exp(i fold angle) over each atom's bonds."""
    turned: NDArray[np.complex128] = neighbours.sum(np.exp(1j * fold * neighbours.angle))
    return turned / np.maximum(neighbours.coordination, 1)


def smoothed_order(neighbours: Neighbours, psi: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Mean (n,) of an atom's own order and those of its neighbours, which noise moves less."""
    joined: NDArray[np.complex128] = psi + neighbours.sum(psi[neighbours.second])
    return joined / (1 + neighbours.coordination)


def local_symmetry(neighbours: Neighbours) -> NDArray[np.int64]:
    """The fold (n,) out of 2 to 6 in which each atom's bonds are ordered best, 0 for atoms with fewer than two bonds.

    Bonds that repeat three times a turn do so six times as well; of such folds the smaller one is told.
    """
    order = np.stack([np.abs(local_order(neighbours, fold)) for fold in FOLDS])
    best = order.max(axis=0)
    first = (order >= best - 0.1).argmax(axis=0)
    return np.where(neighbours.coordination >= 2, np.array(FOLDS)[first], 0)
