"""Si(111)-7x7: the twelve adatoms of the dimer-adatom-stacking-fault (DAS) model.

Each triangular half of the cell holds six adatoms in a triangle of edge four 1x1 lattice constants about its centroid:
three near the corner holes and three in between, two 1x1 lattice constants apart. Across the dimer rows that bound the
halves, adatoms are sqrt(3) lattice constants apart. Source: Takayanagi, Tanishiro, Takahashi & Takahashi,
J. Vac. Sci. Technol. A 3, 1502 (1985), 10.1116/1.573160.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from adatom.simulate.crystal import Crystal

if TYPE_CHECKING:
    from adatom.simulate.recipe import Si111

_CORNER = np.array([[1, 1], [5, 1], [1, 5]]) / 7
_CENTRE = np.array([[3, 1], [1, 3], [3, 3]]) / 7
# The other half follows by inversion through the cell's centre.
BASIS = np.concatenate([_CORNER, _CENTRE, 1 - _CORNER, 1 - _CENTRE])
IS_CORNER = np.tile(np.repeat([True, False], 3), 2)
IS_FAULTED = np.repeat([True, False], 6)


def draw_crystal(material: "Si111", rng: Generator) -> Crystal:
    corner = rng.uniform(*material.height_corner)
    faulted = rng.uniform(*material.height_faulted)
    a = material.lattice_constant_nm
    return Crystal(
        vectors=a * np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]]),
        basis=BASIS,
        species=np.zeros(12, dtype=int),
        height=np.where(IS_CORNER, corner, 1.0) * np.where(IS_FAULTED, faulted, 1.0),
    )
