"""Atoms and images to findings."""

from adatom.analyse.lattice import Lattice, find_lattice, find_species_lattice

__all__ = ["Lattice", "find_lattice", "find_species_lattice"]
