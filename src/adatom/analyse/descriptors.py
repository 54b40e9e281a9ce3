"""What is known of each atom's surroundings, as rows of numbers: what statistics of many variables begin with."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adatom.errors import ShapeError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Descriptors:
    """One row of numbers for each atom that has all of them.

    Attributes
    ----------
    values : (n, feature).
    rows : (n,) position of each in the table of atoms, from 0; atoms that lack a number are left out.
    shape : of the features of one atom: (y, x) of a patch, (neighbour, 2) of vectors.
    step : width of a patch's pixel, in `units`; NaN where the features are no picture.
    units : ``nm`` or ``px``.
    """

    values: Array
    rows: NDArray[np.int64]
    shape: tuple[int, ...]
    step: float = float("nan")
    units: str = "px"

    @property
    def is_picture(self) -> bool:
        """Whether the features of an atom are the pixels of a patch."""
        return bool(np.isfinite(self.step))

    def pictures(self) -> xr.DataArray:
        """Patches as (sample, y, x), the atom at 0 in coordinates in `units`.

        Raises
        ------
        ShapeError : if the features are no pictures.
        """
        if not self.is_picture:
            raise ShapeError(f"descriptors: expected those of patches, got features of shape {self.shape}.")
        coords = {
            dim: (dim, (np.arange(side) - side // 2) * self.step, {"units": self.units})
            for dim, side in zip("yx", self.shape, strict=True)
        }
        values = self.values.reshape(len(self.values), *self.shape)
        return xr.DataArray(values, dims=("sample", "y", "x"), coords=coords, name="patches")


def with_columns(atoms: pd.DataFrame, rows: NDArray[np.int64], columns: dict[str, NDArray]) -> pd.DataFrame:
    """The atoms with further columns, whose values belong to some of the rows; NaN in the others, 0 if integer.

    Raises
    ------
    ShapeError : if the rows are not those of this table.
    """
    if len(rows) and rows.max() >= len(atoms):
        raise ShapeError(
            f"atoms: expected the table that was described, of {rows.max() + 1} rows or more, got {len(atoms)}."
        )
    table = atoms.copy()
    table.attrs = dict(atoms.attrs)
    for name, values in columns.items():
        filled = np.zeros(len(atoms), values.dtype) if values.dtype.kind in "iu" else np.full(len(atoms), np.nan)
        filled[rows] = values
        table[name] = filled
    return table
