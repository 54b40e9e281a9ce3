"""The honeycomb with two kinds of atoms."""

import numpy as np
from numpy.random import Generator

from adatom.simulate.crystal import Crystal
from adatom.simulate.recipe import HexagonalTwoAtoms

BASIS = np.array([[0.0, 0.0], [1 / 3, 1 / 3]])


def draw_crystal(material: HexagonalTwoAtoms, rng: Generator) -> Crystal:
    a = material.lattice_constant_nm
    return Crystal(
        vectors=a * np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]]),
        basis=BASIS,
        species=np.array([0, 1]),
        height=np.array([1.0, rng.uniform(*material.height_b)]),
    )
