"""Tables of atoms that somebody marked: those that Adatom writes, and those that ImageJ does."""

from pathlib import Path

import pandas as pd
import xarray as xr

from adatom.data import pixel_size_nm
from adatom.errors import FileFormatError, MissingFileError


def read_marks(path: str | Path, image: xr.DataArray, *, in_pixels: bool | None = None) -> pd.DataFrame:
    """Read the marked atoms of an image from a CSV file.

    Parameters
    ----------
    path : columns ``x`` and ``y``, as in Adatom's own tables, or ``X`` and ``Y``, as in ImageJ's; others are left out,
        but for ``species``.
    image : (y, x) that was marked.
    in_pixels : whether positions count pixels, the centre of the first at (0, 0); by default they do in columns ``X``
        and ``Y``, and otherwise are in the image's unit.

    Returns
    -------
    ``x``, ``y`` in the image's unit, and ``species`` where the file has it.

    Raises
    ------
    MissingFileError : if there is no such file.
    FileFormatError : if it is no table, or has no such columns, or anything but numbers in them.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"marks: expected a CSV file, got {path}, which is not there.")
    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        raise FileFormatError(f"marks: {path.name} cannot be read as a table of comma-separated values.") from error
    names = next((pair for pair in (("x", "y"), ("X", "Y")) if set(pair) <= set(table.columns)), None)
    if names is None:
        found = ", ".join(map(str, table.columns[:8]))
        raise FileFormatError(f"marks: expected columns x and y, or X and Y, in {path.name}, got {found}.")
    columns = [pd.to_numeric(table[name], errors="coerce") for name in names]
    if any(column.isna().any() for column in columns):
        raise FileFormatError(f"marks: expected numbers as positions in {path.name}, got something else in some rows.")
    x, y = (column.to_numpy(dtype=float) for column in columns)
    step_y, step_x = pixel_size_nm(image) or (1.0, 1.0)
    if in_pixels if in_pixels is not None else names == ("X", "Y"):
        x, y = x * step_x, y * step_y
    marks = pd.DataFrame({"x": x, "y": y})
    if "species" in table:
        marks["species"] = table["species"].astype(str).to_numpy()
    return marks
