"""Atoms in an image to structures in three dimensions, relaxed if asked, and back to the image.

What compares with an image loads torch, with the room that fits atoms: everything here is loaded when asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_ROOMS = {
    "Comparison": "adatom.structures.against_image",
    "Relaxation": "adatom.structures.relaxation",
    "atoms_to_structure": "adatom.structures.build",
    "compare_with_image": "adatom.structures.against_image",
    "image_positions": "adatom.structures.build",
    "measure_bonds": "adatom.structures.bonds",
    "pixel_size_warning": "adatom.structures.bonds",
    "relax": "adatom.structures.relaxation",
    "without_unseen": "adatom.structures.against_image",
    "write_structure": "adatom.structures.writing",
}
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

if TYPE_CHECKING:
    from adatom.structures.against_image import Comparison, compare_with_image, without_unseen
    from adatom.structures.bonds import measure_bonds, pixel_size_warning
    from adatom.structures.build import atoms_to_structure, image_positions
    from adatom.structures.relaxation import Relaxation, relax
    from adatom.structures.writing import write_structure


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'adatom.structures' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
