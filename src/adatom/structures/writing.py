"""Structures as files that simulations start from: POSCAR, CIF, extended XYZ."""

from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adatom.data.atomic_file import write_atomically
from adatom.errors import ArgumentError
from adatom.simulate.structures import FORMATS, is_structure_file

if TYPE_CHECKING:
    from ase import Atoms

# What an extended XYZ file says of each atom beside element and place.
_TOLD = ("row", "found_as", "probability", "position_std", "to_border", "fixed", "moved")


def structure_format(path: Path) -> str:
    """The format that a file's name asks for, as ase calls it.

    Raises
    ------
    ArgumentError : if it asks for none that is known.
    """
    if not is_structure_file(path.name):
        raise ArgumentError(f"out: expected POSCAR or a name with {', '.join(FORMATS)}, got {path.name!r}.")
    return FORMATS.get(path.suffix.lower(), "vasp")


def write_structure(structure: "Atoms", path: str | Path) -> None:
    """Write a structure, whole or not at all.

    Parameters
    ----------
    path : POSCAR, CONTCAR, .vasp or .poscar (atoms sorted by element, Cartesian coordinates; atoms held fixed in
        selective dynamics), .cif, .xyz or .extxyz (with all that is known of each atom in columns of its own).
    """
    from ase.io import write

    path = Path(path)
    kind = structure_format(path)
    if kind == "cif":
        content = BytesIO()
        write(content, structure, format="cif")
        write_atomically(path, content.getvalue())
        return
    text = StringIO()
    if kind == "vasp":
        write(text, structure, format="vasp", sort=True, direct=False)
        text = StringIO(_with_comment(text.getvalue(), structure))
    else:
        plain = _plain(structure)
        told = [name for name in _TOLD if name in plain.arrays]
        write(text, plain, format="extxyz", columns=["symbols", "positions", *told], write_results=False)
    write_atomically(path, text.getvalue())


def _with_comment(poscar: str, structure: "Atoms") -> str:
    """The same with more in its first line, which is free."""
    first, _, rest = poscar.partition("\n")
    heights = _printable(structure.info.get("heights", ""))
    return f"{first.strip()} (Adatom: {len(structure)} atoms; {heights})\n{rest}"


def _plain(structure: "Atoms") -> "Atoms":
    """A copy that says only what the format holds: numbers and words."""
    plain = structure.copy()
    plain.set_constraint()
    plain.info = {name: value for name, value in plain.info.items() if isinstance(value, str | float | int)}
    if "found_as" in plain.arrays:
        words = np.array(["_".join(name.split()) or "-" for name in map(_printable, plain.arrays["found_as"])])
        plain.set_array("found_as", None)
        plain.set_array("found_as", words)
    return plain


def _printable(name: str) -> str:
    """No quotes and no controls, which would break a line of the file."""
    return "".join(c if c.isascii() and c.isprintable() and c not in "\"'\\{}[]=," else "_" for c in str(name))
