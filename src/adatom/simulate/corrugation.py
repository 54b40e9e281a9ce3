"""How high the atoms of a simulated scan stand over what is around them: the unit of its heights."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from adatom.simulate.atoms_in_image import Specimen

Array = NDArray[np.float64]


def corrugation(image: Array, specimen: Specimen, of_lone_atom: float) -> float:
    """Median height of the atoms in `image` (y, x) over the lowest point around each; `of_lone_atom` if few."""
    size = len(image)
    inside = (np.abs(specimen.x - (size - 1) / 2) < size / 2) & (np.abs(specimen.y - (size - 1) / 2) < size / 2)
    positions = np.column_stack([specimen.x, specimen.y])[inside]
    if len(positions) < 3:
        return of_lone_atom
    apart = float(np.median(cKDTree(positions).query(positions, k=2)[0][:, 1]))
    lowest = ndimage.minimum_filter(image, size=2 * max(2, min(round(apart), size // 2)) + 1)
    column, row = np.round(positions).astype(int).T
    return float(np.median((image - lowest)[row, column]))
