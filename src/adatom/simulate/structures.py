"""Crystal structures by name, by one of ase's builders, or from a file, always as `ase.Atoms`.

Lengths in `ase.Atoms` are Angstrom; only here and in `adatom.simulate.columns` are they met.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adatom.data.lattice_constants import LATTICE_CONSTANTS_NM
from adatom.errors import ArgumentError, FileFormatError, MissingFileError
from adatom.simulate.si111 import BASIS as SI111_BASIS

if TYPE_CHECKING:
    from ase import Atoms

ZoneAxis = tuple[int, int, int]

# How a file is parsed goes by its name, never by a guess at its content.
FORMATS = {".cif": "cif", ".vasp": "vasp", ".poscar": "vasp", ".xyz": "extxyz", ".extxyz": "extxyz"}
_LARGEST_FILE = 10_000_000  # bytes
_MOST_ATOMS = 20_000
# Functions of ase.build that a recipe may call.
BUILDERS = ("bulk", "graphene", "mx2", "fcc100", "fcc110", "fcc111", "bcc100", "bcc110", "bcc111", "hcp0001")


@dataclass(frozen=True)
class KnownStructure:
    """A structure that is known by name.

    Attributes
    ----------
    build : makes it.
    zone_axis : along which it is usually looked at.
    source : of its numbers.
    """

    build: Callable[[], "Atoms"]
    zone_axis: ZoneAxis
    source: str


def _honeycomb(first: str, second: str, name: str) -> "Atoms":
    return _layer([first, second], [[0, 0, 0], [1 / 3, 1 / 3, 0]], 10 * LATTICE_CONSTANTS_NM[name])


def _close_packed(element: str, name: str) -> "Atoms":
    return _layer([element], [[0, 0, 0]], 10 * LATTICE_CONSTANTS_NM[name])


def _layer(symbols: list[str], places: list[list[float]], a: float) -> "Atoms":
    from ase import Atoms

    cell = [[a, 0, 0], [a / 2, a * np.sqrt(3) / 2, 0], [0, 0, 10]]
    return Atoms(symbols, cell=cell, scaled_positions=places, pbc=(True, True, False))


def _dichalcogenide(formula: str, thickness: float) -> "Atoms":
    """Two chalcogen layers `thickness` [Angstrom] apart and the metal between."""
    from ase.build import mx2

    return mx2(formula, kind="2H", a=10 * LATTICE_CONSTANTS_NM[formula], thickness=thickness, vacuum=5)


def _perovskite(a: str, b: str, edge: float, c: float, shifts: tuple[float, float, float] = (0.5, 0.0, 0.5)) -> "Atoms":
    """ABO3; `shifts` are the heights [cells] of B, of the oxygen that shares its column, and of the two beside it."""
    from ase import Atoms

    b_z, below, beside = shifts
    places = [[0, 0, 0], [0.5, 0.5, b_z], [0.5, 0.5, below], [0.5, 0, beside], [0, 0.5, beside]]
    return Atoms([a, b, "O", "O", "O"], cell=[edge, edge, c], scaled_positions=places, pbc=True)


def _cubic(element: str, structure: str, edge: float) -> "Atoms":
    from ase.build import bulk

    return bulk(element, structure, a=edge, cubic=True)


def _graphite() -> "Atoms":
    from ase.lattice.hexagonal import Graphite

    return Graphite("C", latticeconstant={"a": 10 * LATTICE_CONSTANTS_NM["HOPG"], "c": 6.70})


def _adatoms_7x7() -> "Atoms":
    places = [[x, y, 0.0] for x, y in SI111_BASIS]
    return _layer(["Si"] * len(places), places, 10 * LATTICE_CONSTANTS_NM["Si(111)-7x7"])


_WYCKOFF = "Wyckoff, Crystal Structures, 1963"
_LAYERED = "Wilson & Yoffe 1969, 10.1080/00018736900101307"
_GRAPHITE = "Cooper et al. 2012, 10.5402/2012/501686"
CATALOGUE = {
    "graphene": KnownStructure(partial(_honeycomb, "C", "C", "graphene"), (0, 0, 1), _GRAPHITE),
    "hBN": KnownStructure(partial(_honeycomb, "B", "N", "hBN"), (0, 0, 1), "Pease 1952, 10.1107/S0365110X52001064"),
    "MoS2": KnownStructure(partial(_dichalcogenide, "MoS2", 3.17), (0, 0, 1), _LAYERED),
    "WS2": KnownStructure(partial(_dichalcogenide, "WS2", 3.14), (0, 0, 1), _LAYERED),
    "MoSe2": KnownStructure(partial(_dichalcogenide, "MoSe2", 3.33), (0, 0, 1), _LAYERED),
    "WSe2": KnownStructure(partial(_dichalcogenide, "WSe2", 3.34), (0, 0, 1), _LAYERED),
    "SrTiO3": KnownStructure(partial(_perovskite, "Sr", "Ti", 3.905, 3.905), (0, 0, 1), _WYCKOFF),
    "BiFeO3": KnownStructure(
        partial(_perovskite, "Bi", "Fe", 3.965, 3.965),
        (0, 0, 1),
        "pseudo-cubic edge of Kubel & Schmid 1990, 10.1107/S0108768190006887; atoms on the ideal sites",
    ),
    "PbTiO3": KnownStructure(
        partial(_perovskite, "Pb", "Ti", 3.904, 4.152, (0.538, 0.112, 0.617)),
        (1, 0, 0),
        "Nelmes & Kuhs 1985, 10.1016/0038-1098(85)90595-2",
    ),
    "Si": KnownStructure(partial(_cubic, "Si", "diamond", 5.431), (1, 1, 0), _WYCKOFF),
    "Au": KnownStructure(partial(_cubic, "Au", "fcc", 4.078), (0, 0, 1), _WYCKOFF),
    "Cu(111)": KnownStructure(partial(_close_packed, "Cu", "Cu(111)"), (0, 0, 1), _WYCKOFF),
    "HOPG": KnownStructure(_graphite, (0, 0, 1), _GRAPHITE),
    "Si(111)-7x7": KnownStructure(_adatoms_7x7, (0, 0, 1), "adatoms of Takayanagi et al. 1985, 10.1116/1.573160"),
}


def is_structure_file(name: str) -> bool:
    """Whether a file of this name is read as a structure."""
    path = Path(name)
    return path.suffix.lower() in FORMATS or path.name.upper().startswith(("POSCAR", "CONTCAR"))


def is_known_structure(name: str) -> bool:
    """Whether `known_structure` knows this name."""
    return _without_axis(name)[0].lower() in {known.lower() for known in CATALOGUE}


def known_structure(name: str) -> KnownStructure:
    """The structure of this name, such as ``MoS2`` or, with another zone axis than the usual, ``Au [110]``.

    Raises
    ------
    ArgumentError : if there is none; names those that there are.
    """
    plain, axis = _without_axis(name)
    found = {known.lower(): entry for known, entry in CATALOGUE.items()}.get(plain.lower())
    if found is None:
        raise ArgumentError(f"structure: expected a file or one of {', '.join(CATALOGUE)}, got {name!r}.")
    return found if axis is None else replace(found, zone_axis=axis)


def _without_axis(name: str) -> tuple[str, ZoneAxis | None]:
    """A name, and the zone axis that it ends in."""
    match = re.fullmatch(r"(.+?)\s*\[(-?\d)\s*(-?\d)\s*(-?\d)\]", name.strip())
    return (name.strip(), None) if match is None else (match[1], (int(match[2]), int(match[3]), int(match[4])))


def build_structure(builder: str, arguments: dict[str, Any]) -> "Atoms":
    """Call a function of ``ase.build``, one of `BUILDERS`; lengths among its arguments are ase's, in Angstrom."""
    import ase.build

    if builder not in BUILDERS:
        raise ArgumentError(f"builder: expected one of {', '.join(BUILDERS)}, got {builder!r}.")
    try:
        atoms: Atoms = getattr(ase.build, builder)(**arguments)
    except Exception as error:  # ase raises many types on what it cannot build
        raise ArgumentError(f"builder: ase.build.{builder} cannot build {arguments} ({error}).") from error
    return check_structure(atoms, builder)


def read_structure(path: Path) -> "Atoms":
    """Read a CIF, POSCAR or extended-XYZ file.

    Raises
    ------
    MissingFileError, FileFormatError : if it is not there, too large, of no known kind, or not to be read.
    ArgumentError : if it holds what cannot be simulated: sites that are partly occupied, elements that are none.
    """
    from ase.io import read

    kind = "vasp" if path.name.upper().startswith(("POSCAR", "CONTCAR")) else FORMATS.get(path.suffix.lower())
    if kind is None:
        raise FileFormatError(f"structure: expected {', '.join(FORMATS)} or POSCAR, got {path.name}.")
    if not path.is_file():
        raise MissingFileError(f"structure: there is no file {path}.")
    if path.stat().st_size > _LARGEST_FILE:
        raise FileFormatError(f"structure: expected at most {_LARGEST_FILE / 1e6:.0f} MB, got {path.name}.")
    try:
        atoms: Any = read(path, format=kind, index=-1)
    except Exception as error:  # as above
        raise FileFormatError(f"structure: {path.name} cannot be read as {kind} ({_first_line(error)}).") from error
    occupancy = atoms.info.get("occupancy") or {}
    for site in occupancy.values():
        if len(site) > 1 or min(site.values()) < 0.999:
            shares = ", ".join(f"{element} {share:g}" for element, share in site.items())
            raise ArgumentError(
                f"structure: expected sites that are full, got one of {path.name} with {shares}. "
                "Give the main element the site, and the other as a point defect with its share."
            )
    return check_structure(atoms, path.name)


def check_structure(atoms: "Atoms", name: str) -> "Atoms":
    """Return `atoms` unchanged if they are a crystal with a cell, of known elements, and not too many.

    Raises
    ------
    ArgumentError
    """
    if not 0 < len(atoms) <= _MOST_ATOMS:
        raise ArgumentError(f"structure: expected 1 to {_MOST_ATOMS} atoms, got {len(atoms)} in {name}.")
    if (atoms.numbers < 1).any():
        raise ArgumentError(f"structure: expected known elements, got an atom of none in {name}.")
    area = float(np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1])))
    if not np.isfinite(atoms.positions).all() or area < 1e-3:
        raise ArgumentError(f"structure: expected a cell with two edges in the plane, got none in {name}.")
    return atoms


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
