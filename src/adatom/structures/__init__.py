"""Atoms in an image to structures in three dimensions, relaxed if asked, and back to the image."""

from adatom.structures.build import atoms_to_structure, image_positions
from adatom.structures.writing import write_structure

__all__ = ["atoms_to_structure", "image_positions", "write_structure"]
