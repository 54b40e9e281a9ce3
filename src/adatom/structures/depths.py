"""How high above each other the atoms of a column are, which no image tells: by a model that is stated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.analyse import find_lattice
from adatom.errors import ArgumentError
from adatom.simulate.columns import Columns, project
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.structures import CATALOGUE, is_structure_file, known_structure, read_structure
from adatom.structures.elements import Column

Array = NDArray[np.float64]

# What stands on top of a layer is so far above its topmost atoms, and more atoms than a site has heights for are so far
# from each other [nm]: lengths of bonds, roughly.
ON_TOP_NM, _APART_NM = 0.2, 0.25
_CELLS = 8  # of a crystal that is laid under atoms, to each side


@dataclass(frozen=True)
class DepthModel:
    """Heights of atoms.

    Attributes
    ----------
    name : what is stated of it.
    columns : of the crystal that tells the heights; None for a flat layer.
    repeats : of the crystal along the beam.
    template : name or file of the crystal; "" for none.
    """

    name: str
    columns: Columns | None = None
    repeats: int = 1
    template: str = ""

    def heights(self, column: Column, number: int | None = None) -> list[tuple[str, float]]:
        """Element and z [nm] of each atom of a column, z towards the viewer.

        Parameters
        ----------
        number : of the crystal's column at whose place it is; by default the one of that name.

        Notes
        -----
        A column with fewer atoms than its site has lost the lower ones: an image does not tell.
        """
        if self.columns is None:
            return _stacked(column.symbols, [0.0])
        if not column.site:
            top = max(-depth for atoms in self.columns.atoms for _, depth in atoms)
            return _stacked(column.symbols, [top + ON_TOP_NM])
        names = self.columns.names
        if number is None and column.formula in names:
            number = names.index(column.formula)
        if number is None and column.site in names:
            number = names.index(column.site)
        if number is None:
            raise ArgumentError(
                f"template: expected a crystal with a column {column.site}, got {self.name} with "
                f"{', '.join(dict.fromkeys(names))}. Give another, or --elements NAME=FORMULA."
            )
        held = self.columns.atoms[number]
        if names[number] == column.formula:
            return self._repeated([(symbol, -depth) for symbol, depth in held])
        return self._repeated(_stacked(column.symbols, [-depth for _, depth in held]))

    def _repeated(self, held: list[tuple[str, float]]) -> list[tuple[str, float]]:
        assert self.columns is not None
        return [(symbol, z - k * self.columns.repeat_nm) for k in range(self.repeats) for symbol, z in held]

    def numbers(self, positions: Array, columns: Sequence[Column]) -> list[int | None]:
        """Which of the crystal's columns each of the columns at `positions` (n, 2) [nm] is.

        None where the name tells it; else, of columns of one name at different heights, by laying the crystal under
        the atoms.

        Raises
        ------
        ArgumentError : if the atoms do not fit the crystal.
        """
        crystal = self.columns
        if crystal is None:
            return [None] * len(columns)
        names = crystal.names
        heights: dict[str, set[tuple[float, ...]]] = {name: set() for name in names}
        for name, atoms in zip(names, crystal.atoms, strict=True):
            heights[name].add(tuple(round(depth, 4) for _, depth in atoms))
        ambiguous = {name for name, all_of_it in heights.items() if len(all_of_it) > 1}
        asked = np.array([column.site in ambiguous for column in columns], dtype=bool)
        if not asked.any():
            return [None] * len(columns)
        found = _laid_under(positions, crystal, self.name)
        return [int(number) if is_asked else None for number, is_asked in zip(found, asked, strict=True)]


def choose_depths(
    columns: Sequence[Column], *, template: str | Path | None = None, thickness_nm: float | None = None
) -> DepthModel:
    """How high atoms are: flat, or as a crystal has them.

    Parameters
    ----------
    columns : all that occur.
    template : name in the catalogue of structures, also with a zone axis (``Au [110]``), or a CIF, POSCAR or
        extended-XYZ file, looked at along [001]. By default atoms are in one plane, unless columns hold several atoms:
        then a layer of the catalogue with such columns.
    thickness_nm : of a crystal that is no layer; by default one repeat along the beam.

    Raises
    ------
    ArgumentError : if columns hold several atoms and no crystal tells their heights, or a thickness makes no sense.
    """
    if thickness_nm is not None and not 0 < thickness_nm < 1000:
        raise ArgumentError(f"thickness: expected 0 to 1000 nm, got {thickness_nm}.")
    if template is None:
        stacked = [column for column in columns if len(column.symbols) > 1]
        name = _known_layer(columns) if stacked else None
        if stacked and name is None:
            raise ArgumentError(
                f"template: expected a crystal that tells how high the atoms of the column {stacked[0].formula} are, "
                "got none. Give --template with a name (MoS2, SrTiO3, 'Au [110]') or a structure file."
            )
        if thickness_nm is not None:
            raise ArgumentError("thickness: expected a crystal that repeats along the beam, got none. Give --template.")
        if name is None:
            return DepthModel("flat: all atoms at z = 0")
        template = name
    return _of_crystal(template, thickness_nm)


def crystal_of(template: str | Path | None) -> tuple[str, Columns | None]:
    """Name and columns of a crystal given as for `choose_depths`; of none, none."""
    if template is None:
        return "", None
    if is_structure_file(str(template)):
        return Path(template).name, project(read_structure(Path(template)))
    known = known_structure(str(template))
    return str(template), project(known.build(), known.zone_axis)


def _of_crystal(template: str | Path, thickness_nm: float | None) -> DepthModel:
    name, crystal = crystal_of(template)
    assert crystal is not None  # a template was given
    if not crystal.repeat_nm:
        if thickness_nm is not None:
            raise ArgumentError(f"thickness: expected none with {name}, which is a layer, got {thickness_nm}.")
        return DepthModel(f"a layer of {name}", crystal, template=str(template))
    repeats = max(1, round((thickness_nm or 0.0) / crystal.repeat_nm))
    thickness = repeats * crystal.repeat_nm
    stated = f"columns of {name}, {thickness:.3g} nm thick ({repeats} x {crystal.repeat_nm:.3g})"
    return DepthModel(stated, crystal, repeats, str(template))


def _known_layer(columns: Sequence[Column]) -> str | None:
    """The layer of the catalogue that has most of these columns, and all with several atoms."""
    sites = {column.site for column in columns if column.site}
    stacked = {column.formula for column in columns if len(column.symbols) > 1}
    best: tuple[int, str] | None = None
    for name, known in CATALOGUE.items():
        structure = known.build()
        if structure.pbc[2]:
            continue
        held = set(project(structure, known.zone_axis).names)
        if stacked <= held and (best is None or len(sites & held) > best[0]):
            best = (len(sites & held), name)
    return None if best is None else best[1]


def _stacked(symbols: Sequence[str], heights: Sequence[float]) -> list[tuple[str, float]]:
    """Atoms at the heights of a site, from the top; more of them than that about its middle."""
    if len(symbols) <= len(heights):
        return list(zip(symbols, sorted(heights, reverse=True), strict=False))
    middle, n = float(np.mean(heights)), len(symbols)
    return [(symbol, middle + _APART_NM * (0.5 * (n - 1) - k)) for k, symbol in enumerate(symbols)]


def _laid_under(positions: Array, crystal: Columns, name: str) -> NDArray[np.int64]:
    """Number of the crystal's column at each position (n, 2) [nm]."""
    from adatom.matching.sites import Crystal, register  # with it torch, which nothing else here needs

    edge = float(np.linalg.norm(crystal.vectors, axis=1).max())
    extent = float(np.ptp(positions, axis=0).max()) if len(positions) else 0.0
    sites, number = fill_lattice(crystal.vectors, crystal.basis, max(_CELLS * edge, 0.8 * extent))
    spacing = float(np.median(cKDTree(sites).query(sites, k=2)[0][:, 1]))
    measured, ideal = find_lattice(positions), find_lattice(sites)
    laid = None
    if measured is not None and ideal is not None:
        heights = np.ones(len(sites))
        laid = register(
            positions,
            np.ones(len(positions)),
            Crystal(sites, np.zeros(len(sites), dtype=np.int64), heights, ideal.vectors[None], spacing, False),
            measured.vectors,
        )
    if laid is None:
        raise ArgumentError(
            f"template: expected atoms on the sites of {name}, got a pattern that does not fit it. Give another "
            "crystal or zone axis."
        )
    nearest: NDArray[np.int64] = number[cKDTree(laid.predicted).query(positions)[1]]
    return nearest
