"""Atom tables as `adatom find` writes them, read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adatom.data.atoms import ATOM_COLUMNS, make_atoms
from adatom.errors import FileFormatError, MissingFileError, UnitError

# A table this large was not made from an image by anybody.
_LARGEST_BYTES = 2**31


def read_atoms(path: str | Path, *, pixel_size_nm: float | None = None) -> pd.DataFrame:
    """Read an atom table, see `adatom.data.atoms`.

    Parameters
    ----------
    path : ``atoms.csv`` or ``atoms.parquet``, or the folder that holds one. Units, shape and pixel size of the image
        are a parquet file's own; to a CSV file they come from the ``summary.json`` beside it, and else from its
        extent.
    pixel_size_nm : pixel size of the image that positions in px are of; they become nm.

    Raises
    ------
    MissingFileError : if there is no such file.
    FileFormatError : if it is no table with finite numbers in the columns x and y.
    UnitError : if `pixel_size_nm` is given for positions that are in nm already.
    """
    path = _table_of(Path(path))
    if path.stat().st_size > _LARGEST_BYTES:
        raise FileFormatError(f"atoms: expected a table below 2 GB, got {path.name} with {path.stat().st_size} bytes.")
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except Exception as error:  # pandas and pyarrow raise many types on what is no table
        raise FileFormatError(f"atoms: expected a CSV or parquet table, got {path.name} ({error}).") from error
    atoms = _checked(table, path)
    if pixel_size_nm is not None:
        if atoms.attrs["units"] == "nm":
            raise UnitError("pixel_size: expected a table in px, got one in nm. Leave the pixel size out.")
        for name in ("x", "y", "x_std", "y_std"):
            atoms[name] *= pixel_size_nm
        atoms.attrs |= {"units": "nm", "pixel_size": (pixel_size_nm, pixel_size_nm)}
    return atoms


def _table_of(path: Path) -> Path:
    if path.is_dir():
        found = [path / name for name in ("atoms.parquet", "atoms.csv") if (path / name).is_file()]
        if not found:
            raise MissingFileError(f"atoms: expected a folder with atoms.parquet or atoms.csv, got {path}.")
        return found[0]
    if not path.is_file():
        raise MissingFileError(f"atoms: {path} is not there. adatom find FILE --out DIR writes DIR/<name>/atoms.csv.")
    return path


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    missing = [name for name in ("x", "y") if name not in table.columns]
    if missing:
        raise FileFormatError(
            f"atoms: expected the columns x and y, got {', '.join(map(str, list(table.columns)[:12]))} in {path.name}."
        )
    numbers = [name for name in ATOM_COLUMNS if name in table.columns and name != "species"]
    try:
        columns: dict[str, Any] = {name: table[name].to_numpy(dtype=float) for name in numbers}
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"atoms: expected numbers in {', '.join(numbers)}, got others ({error}).") from error
    if not (np.isfinite(columns["x"]).all() and np.isfinite(columns["y"]).all()):
        raise FileFormatError(f"atoms: expected finite x and y, got some that are not in {path.name}.")
    if "species" in table.columns:
        columns["species"] = ["" if name is None or name != name else str(name) for name in table["species"]]
    else:
        columns["species"] = ["atom"] * len(table)
    stated = {str(name): value for name, value in table.attrs.items()}
    facts = stated if "units" in stated else _facts_beside(path)
    units = "nm" if facts.get("units") == "nm" else "px"
    atoms = make_atoms(
        columns,
        units=units,
        image_shape=_image_shape(facts, columns, units),
        pixel_size=_pixel_size(facts),
        history=[str(step) for step in facts.get("history", [])],
    )
    for name in table.columns:
        if name not in ATOM_COLUMNS:
            atoms[name] = table[name].to_numpy()
    return atoms


def _facts_beside(path: Path) -> dict[str, Any]:
    """What the summary in the same folder says of the table; nothing where there is none that can be read."""
    try:
        facts = json.loads((path.parent / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _pixel_size(facts: dict[str, Any]) -> tuple[float, float] | None:
    size = facts.get("pixel_size")
    try:
        y, x = (size, size) if isinstance(size, int | float) else size  # type: ignore[misc]  # None ends below
        y, x = float(y), float(x)
    except (TypeError, ValueError):
        return None
    return (y, x) if np.isfinite([y, x]).all() and min(y, x) > 0 else None


def _image_shape(facts: dict[str, Any], columns: dict[str, Any], units: str) -> tuple[int, int]:
    """Rows and columns as stated; else as many as the atoms need."""
    try:
        rows, across = (int(n) for n in facts["image_shape"])
        if rows > 0 and across > 0:
            return rows, across
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    size_y, size_x = (_pixel_size(facts) or (1.0, 1.0)) if units == "nm" else (1.0, 1.0)
    largest = (columns["y"].max(initial=0.0) / size_y, columns["x"].max(initial=0.0) / size_x)
    rows, across = (int(min(np.ceil(n) + 1, 2**31)) for n in largest)
    return rows, across
