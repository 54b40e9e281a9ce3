"""Atoms in an image to structures in three dimensions, relaxed if asked, and back to the image."""

from adatom.structures.against_image import Comparison, compare_with_image, without_unseen
from adatom.structures.bonds import measure_bonds, pixel_size_warning
from adatom.structures.build import atoms_to_structure, image_positions
from adatom.structures.relaxation import Relaxation, relax
from adatom.structures.writing import write_structure

__all__ = [
    "Comparison",
    "Relaxation",
    "atoms_to_structure",
    "compare_with_image",
    "image_positions",
    "measure_bonds",
    "pixel_size_warning",
    "relax",
    "without_unseen",
    "write_structure",
]
