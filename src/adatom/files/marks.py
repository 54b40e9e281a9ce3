"""Tables of atoms that somebody marked: those that Adatom writes, those that ImageJ does, and extended-XYZ files."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from adatom.data import pixel_size_nm
from adatom.errors import ArgumentError, FileFormatError, MissingFileError

_XYZ = (".xyz", ".extxyz")
_ANGSTROM_NM = 0.1
_ONE_COLUMN_NM = 0.02  # atoms of a structure that lie so close in projection are one column


def read_marks(
    path: str | Path,
    image: xr.DataArray,
    *,
    in_pixels: bool | None = None,
    class_column: str | None = None,
    swap_xy: bool = False,
    flip_y: bool = False,
) -> pd.DataFrame:
    """Read the marked atoms of an image from a CSV or extended-XYZ file.

    Parameters
    ----------
    path : a CSV file with columns ``x`` and ``y``, as in Adatom's own tables, or ``X`` and ``Y``, as in ImageJ's;
        others are left out. Or a file ending in .xyz or .extxyz, with lengths in Angstrom from the centre of the first
        pixel: elements are the classes, and atoms above each other are one column, named after what is in it.
    image : (y, x) that was marked.
    in_pixels : whether positions count pixels, the centre of the first at (0, 0); by default they do in columns ``X``
        and ``Y``, and otherwise are in the image's unit. An XYZ file never counts pixels.
    class_column : column of a CSV file that says the class of each atom; by default ``species``, where there is one.
    swap_xy : take what is called x for y.
    flip_y : positions count y upwards, from the centre of the last row.

    Returns
    -------
    ``x``, ``y`` in the image's unit, and ``species`` where the file has it.

    Raises
    ------
    MissingFileError : if there is no such file.
    FileFormatError : if it is no table, or has no such columns, or anything but numbers in them.
    ArgumentError : if a structure is given for an image without a pixel size.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"marks: expected a CSV or extended-XYZ file, got {path}, which is not there.")
    step_y, step_x = pixel_size_nm(image) or (1.0, 1.0)
    if path.suffix.lower() in _XYZ:
        if pixel_size_nm(image) is None:
            raise ArgumentError(
                f"marks: expected an image with a pixel size, as {path.name} is in Angstrom. Give one (--pixel-size)."
            )
        marks, counts_pixels = _read_structure(path), False
    else:
        marks, are_imagej = _read_table(path, class_column)
        counts_pixels = are_imagej if in_pixels is None else in_pixels
    if swap_xy:
        marks = marks.rename(columns={"x": "y", "y": "x"})
    if counts_pixels:
        marks["x"], marks["y"] = marks["x"] * step_x, marks["y"] * step_y
    if flip_y:
        marks["y"] = (image.sizes["y"] - 1) * step_y - marks["y"]
    return marks[["x", "y", *(name for name in ("species",) if name in marks)]]


def _read_table(path: Path, class_column: str | None) -> tuple[pd.DataFrame, bool]:
    """Marks as the file has them, and whether its columns are named as ImageJ does."""
    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        raise FileFormatError(f"marks: {path.name} cannot be read as a table of comma-separated values.") from error
    names = next((pair for pair in (("x", "y"), ("X", "Y")) if set(pair) <= set(table.columns)), None)
    found = ", ".join(map(str, table.columns[:8]))
    if names is None:
        raise FileFormatError(f"marks: expected columns x and y, or X and Y, in {path.name}, got {found}.")
    columns = [pd.to_numeric(table[name], errors="coerce") for name in names]
    if any((~np.isfinite(column)).any() for column in columns):
        raise FileFormatError(f"marks: expected numbers as positions in {path.name}, got something else in some rows.")
    x, y = (column.to_numpy(dtype=float) for column in columns)
    marks = pd.DataFrame({"x": x, "y": y})
    if class_column is not None and class_column not in table:
        raise FileFormatError(f"marks: expected a column {class_column} in {path.name}, got {found}.")
    column = class_column or "species"
    if column in table:
        if table[column].isna().any():
            raise FileFormatError(f"marks: expected a class for each atom in column {column} of {path.name}, got none.")
        marks["species"] = table[column].astype(str).to_numpy()
    return marks, names == ("X", "Y")


def _read_structure(path: Path) -> pd.DataFrame:
    """Columns of atoms, in nm."""
    from ase import Atoms
    from ase.io import read  # 0.3 s: only where there is a structure

    try:
        atoms = read(path, index=-1, format="extxyz")
        assert isinstance(atoms, Atoms)
        xy = _ANGSTROM_NM * np.asarray(atoms.get_positions(), dtype=float)[:, :2]
        symbols = np.array(atoms.get_chemical_symbols())
        if not len(xy) or not np.isfinite(xy).all():
            raise ValueError("no atoms, or positions that are no numbers")
    except Exception as error:  # ase raises whatever its parser met
        raise FileFormatError(f"marks: {path.name} cannot be read as an extended-XYZ file ({error}).") from error
    column = _columns(xy)
    n_columns = column.max() + 1
    n_atoms = np.bincount(column)
    return pd.DataFrame(
        {
            "x": np.bincount(column, xy[:, 0]) / n_atoms,
            "y": np.bincount(column, xy[:, 1]) / n_atoms,
            "species": ["".join(sorted(set(symbols[column == k]))) for k in range(n_columns)],
        }
    )


def _columns(xy: np.ndarray) -> np.ndarray:
    """Number of the column that each atom belongs to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    pairs = cKDTree(xy).query_pairs(_ONE_COLUMN_NM, output_type="ndarray")
    near = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(xy), len(xy)))
    number: np.ndarray = connected_components(near, directed=False)[1]
    return number
