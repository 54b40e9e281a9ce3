"""Atoms to findings."""

from adatom.analyse.lattice import Lattice, find_bright_lattice, find_lattice, find_species_lattice
from adatom.data.lattice_constants import LATTICE_CONSTANTS_NM, read_lattice_constant

__all__ = [
    "LATTICE_CONSTANTS_NM",
    "Lattice",
    "find_bright_lattice",
    "find_lattice",
    "find_species_lattice",
    "read_lattice_constant",
]
