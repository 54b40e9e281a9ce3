"""An atom table as a structure in three dimensions, and its positions back in the image.

In an image y points down, in a structure up: y is turned round, z points out of the image towards the viewer. So a
structure seen from above looks like the image, and nothing is mirrored.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.data import check_atoms
from adatom.errors import ArgumentError, UnitError
from adatom.structures.depths import choose_depths, crystal_of
from adatom.structures.elements import columns_of, read_formula

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]

ANGSTROM = 10.0  # in a nm
CLOSEST_NM = 0.05  # atoms that are closer are one, found twice
_GRID_NM = 0.025  # of any number of atoms at one place only one goes on to be compared
_MOST_ATOMS = 5_000_000
_TOLD = 5  # rows that a warning names


@dataclass(frozen=True)
class _Placed:
    """Single atoms.

    Attributes
    ----------
    row : (n,) of the table.
    symbols : (n,)
    positions : (n, 3) x, y as in the image, z towards the viewer [nm].
    """

    row: NDArray[np.int64]
    symbols: NDArray[np.str_]
    positions: Array


def atoms_to_structure(
    atoms: pd.DataFrame,
    *,
    elements: Mapping[str, str] | None = None,
    template: str | Path | None = None,
    thickness_nm: float | None = None,
    vacuum_nm: float = 1.0,
    frame: int | None = None,
) -> "Atoms":
    """Make a structure of the atoms found in an image.

    Parameters
    ----------
    atoms : table in nm, see `adatom.data.atoms`.
    elements : formula for each species whose name says none: ``{"A": "Mo", "B": "S2", "hole": "none"}``; see
        `adatom.structures.elements.columns_of`.
    template, thickness_nm : what tells heights along the beam, see `adatom.structures.depths.choose_depths`.
    vacuum_nm : between the atoms and each side of the cell.
    frame : of a movie; a table of one frame needs none.

    Returns
    -------
    `ase.Atoms` [Angstrom] in a box around the atoms with vacuum on all sides, not periodic. Arrays: ``row`` (of the
    table, from 0), ``found_as`` (species), ``probability``, ``position_std`` (n, 2: along x and y [Angstrom]),
    ``to_border`` (distance from the border of the image [Angstrom]). ``info``: ``heights`` (the model of z),
    ``template`` (its crystal), ``columns`` (formula of each species), ``n_empty`` (columns without atoms),
    ``warnings``, and ``left_nm``, ``bottom_nm``, by which `image_positions` goes back.

    Raises
    ------
    UnitError : if positions are in px.
    ArgumentError : if a species says no element, no atom is left, or an argument makes no sense.
    """
    check_atoms(atoms)
    if atoms.attrs["units"] != "nm":
        raise UnitError(
            "atoms: expected positions in nm, got px: the image had no pixel size. Give --pixel-size NM "
            "(pixel_size_nm= of adatom.files.atom_table.read_atoms)."
        )
    if not 0 <= vacuum_nm <= 100:
        raise ArgumentError(f"vacuum: expected 0 to 100 nm, got {vacuum_nm}.")
    table = _one_frame(atoms, frame)
    if not np.isfinite(table[["x", "y"]].to_numpy(dtype=float)).all():
        raise ArgumentError("atoms: expected finite positions, got some that are not. Leave these rows out.")
    names = table["species"].astype(str).to_numpy()
    known_columns = _known_columns(template)
    columns = columns_of(np.unique(names), elements=elements, known_columns=known_columns)
    unknown = sorted(set(elements or {}) - set(columns))
    if unknown:
        raise ArgumentError(f"elements: expected species of the table ({', '.join(columns)}), got {unknown[0]!r}.")
    warnings: list[str] = []
    kept = _once(table, warnings)
    table, names = table.iloc[kept], names[kept]
    depths = choose_depths(list(columns.values()), template=template, thickness_nm=thickness_nm)
    flat = table[["x", "y"]].to_numpy(dtype=float)
    of_row = [columns[name] for name in names]
    number = depths.numbers(flat, of_row)
    kinds = Counter(zip(names, number, strict=True))
    held = {kind: depths.heights(columns[kind[0]], kind[1]) for kind in kinds}
    n_atoms = sum(n * len(held[kind]) for kind, n in kinds.items())
    if n_atoms > _MOST_ATOMS:
        raise ArgumentError(
            f"atoms: expected at most {_MOST_ATOMS} in a structure, got {n_atoms}. Take a thinner crystal or a part of "
            "the table."
        )
    placed = _placed(flat, held, names, number)
    if not len(placed.row):
        raise ArgumentError("atoms: expected at least one atom, got none. Look at the table, and at --elements.")
    structure = _as_ase(placed, vacuum_nm)
    _describe(structure, table, placed.row, atoms)
    structure.info |= {
        "heights": depths.name,
        "template": depths.template,
        "columns": {name: column.formula for name, column in columns.items()},
        "n_empty": int(sum(not column.symbols for column in of_row)),
        "warnings": warnings,
    }
    return structure


def image_positions(structure: "Atoms") -> Array:
    """Positions (n, 2) x, y [nm] in the image that `atoms_to_structure` made the structure of, or one relaxed from it.

    Raises
    ------
    ArgumentError : if the structure does not say where the image is.
    """
    if not {"left_nm", "bottom_nm"} <= set(structure.info):
        raise ArgumentError("structure: expected one made of an atom table, got one without left_nm and bottom_nm.")
    x, y = structure.positions[:, :2].T / ANGSTROM
    return np.column_stack([x + structure.info["left_nm"], structure.info["bottom_nm"] - y])


def _one_frame(atoms: pd.DataFrame, frame: int | None) -> pd.DataFrame:
    """Rows of one frame, numbered as in the whole table."""
    table = pd.DataFrame(atoms).reset_index(drop=True)
    frames = np.unique(table["frame"])
    if frame is None:
        if len(frames) > 1:
            raise ArgumentError(f"frame: expected a frame to be chosen of {len(frames)}, got none. Give --frame N.")
        return table
    if frame not in frames:
        found = f"one from {frames.min()} to {frames.max()}" if len(frames) else "a table with atoms"
        raise ArgumentError(f"frame: expected {found}, got {frame}.")
    return table[table["frame"] == frame]


def _known_columns(template: str | Path | None) -> list[str]:
    """Names of the columns of a crystal."""
    crystal = crystal_of(template)[1]
    names = [] if crystal is None else crystal.names
    return [name for name in dict.fromkeys(names) if read_formula(name) is not None]


def _once(table: pd.DataFrame, warnings: list[str]) -> NDArray[np.int64]:
    """Places in the table of the atoms that are kept where several are at one place: the most probable."""
    place = table[["x", "y"]].to_numpy(dtype=float)
    probability = np.nan_to_num(table["probability"].to_numpy(dtype=float), nan=0.0)
    order = np.argsort(-probability, kind="stable")
    _, first = np.unique(np.floor(place[order] / _GRID_NM), axis=0, return_index=True)
    left = np.sort(order[first])
    rank = np.empty(len(place), dtype=np.int64)
    rank[order] = np.arange(len(order))
    pairs = (
        left[cKDTree(place[left]).query_pairs(CLOSEST_NM, output_type="ndarray")]
        if len(left)
        else np.zeros((0, 2), int)
    )
    dropped: set[int] = set()
    for a, b in pairs[np.argsort(rank[pairs].min(axis=1), kind="stable")]:
        if a not in dropped and b not in dropped:
            dropped.add(int(a if rank[a] > rank[b] else b))
    kept = np.array(sorted(set(left.tolist()) - dropped), dtype=np.int64)
    gone = np.setdiff1d(np.arange(len(place)), kept)
    if len(gone):
        rows = ", ".join(str(table.index[k]) for k in gone[:_TOLD]) + (", ..." if len(gone) > _TOLD else "")
        warnings.append(
            f"{len(gone)} atoms within {CLOSEST_NM} nm of a more probable one were left out (rows {rows}): no two "
            "atoms are so close."
        )
    return kept


def _placed(
    flat: Array,
    held: Mapping[tuple[str, int | None], list[tuple[str, float]]],
    names: NDArray[np.object_],
    number: list[int | None],
) -> _Placed:
    """Atoms of all columns, in the order of the rows."""
    rows, symbols, z = [], [], []
    kind = {key: k for k, key in enumerate(held)}
    of_row = np.array([kind[key] for key in zip(names, number, strict=True)], dtype=np.int64)
    for key, k in kind.items():
        mine = np.flatnonzero(of_row == k)
        for symbol, height in held[key]:
            rows.append(mine)
            symbols.append(np.full(len(mine), symbol, dtype="<U3"))
            z.append(np.full(len(mine), height))
    if not rows:
        return _Placed(np.zeros(0, dtype=np.int64), np.zeros(0, dtype="<U3"), np.zeros((0, 3)))
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    row = row[order]
    return _Placed(row, np.concatenate(symbols)[order], np.column_stack([flat[row], np.concatenate(z)[order]]))


def _as_ase(placed: _Placed, vacuum_nm: float) -> "Atoms":
    from ase import Atoms

    low, high = placed.positions.min(axis=0), placed.positions.max(axis=0)
    size = high - low + 2 * vacuum_nm
    left, bottom, floor = low[0] - vacuum_nm, high[1] + vacuum_nm, low[2] - vacuum_nm
    x, y, z = placed.positions.T
    structure = Atoms(
        list(placed.symbols),
        positions=ANGSTROM * np.column_stack([x - left, bottom - y, z - floor]),
        # without vacuum a flat layer would have a cell of no volume, which no file can hold
        cell=ANGSTROM * np.maximum(size, 0.1),
        pbc=False,
    )
    structure.info = {"left_nm": float(left), "bottom_nm": float(bottom)}
    return structure


def _describe(structure: "Atoms", table: pd.DataFrame, row: NDArray[np.int64], atoms: pd.DataFrame) -> None:
    """Give each atom what the table knows of its row."""
    held = table.iloc[row]
    structure.set_array("row", held.index.to_numpy(dtype=np.int64))
    structure.set_array("found_as", held["species"].astype(str).to_numpy(dtype=str))
    structure.set_array("probability", held["probability"].to_numpy(dtype=float))
    structure.set_array("position_std", ANGSTROM * held[["x_std", "y_std"]].to_numpy(dtype=float))
    place = held[["x", "y"]].to_numpy(dtype=float)
    size, shape = atoms.attrs.get("pixel_size"), atoms.attrs.get("image_shape")
    if size is None or shape is None:
        low, high = place.min(axis=0), place.max(axis=0)
    else:
        low, high = -0.5 * np.array(size[::-1]), (np.array(shape[::-1]) - 0.5) * np.array(size[::-1])
    structure.set_array("to_border", ANGSTROM * np.minimum(place - low, high - place).min(axis=1))
