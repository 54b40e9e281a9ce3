"""What flows through Adatom: the schema of images, atom tables and training sets, their units and their history."""

from adatom.data.atoms import ATOM_COLUMNS, check_atoms, make_atoms, nearest_distances, spacing
from adatom.data.image import check_image, make_image, pixel_size_nm
from adatom.data.units import length_in_nm

__all__ = [
    "ATOM_COLUMNS",
    "check_atoms",
    "check_image",
    "length_in_nm",
    "make_atoms",
    "make_image",
    "nearest_distances",
    "pixel_size_nm",
    "spacing",
]
