"""Atom tables: plain `pandas.DataFrame`, one row an atom, with a schema that is stated and checked here.

=========== =================================================================================================
frame       number of the frame, 0 in a still
x, y        position in the image's unit (``attrs["units"]``: ``nm`` or ``px``); x along columns, y along rows
            downwards; the centre of the first pixel is (0, 0)
x_std,      standard deviation of the position in the same unit; NaN where it could not be estimated
y_std
species     name of the class
probability between 0 and 1: how sure the method is that an atom is here (by a `Segmenter`: one of this species)
flux        height of the fitted peak times its area, in the image's value unit times pixels; NaN if not fitted
=========== =================================================================================================

What finds or analyses atoms adds columns; `adatom.find` adds ``refined`` (whether the position was fitted in the image,
or is the one first seen), ``snr`` (signal-to-noise ratio of the fitted peak), ``brightness`` where columns fall into
bright and dim ones, and on honeycombs ``sublattice`` (A, the brighter one, or B) and ``odd_probability`` (that the
atom's flux is not usual for its sublattice). Asked for a coverage it adds ``species_set``: the species that an atom may
be, such as ``S2|V_S``; empty where it is like none of them (`adatom.models.conformal`). A model that knows several
species adds ``species_probability``.

An ensemble adds what its members leave open (`adatom.locate.joined`), all before the fit in the image:

=============== =============================================================================================
n_members       members that saw the atom, however unlikely it seemed to them
probability_std standard deviation of its probability between the members
x_std_data,     the part of the position's deviation that each member states itself: what the data leave open
y_std_data
x_std_model,    the part that the members disagree in: what the model does not know; NaN where one alone saw it
y_std_model
entropy_data,   doubt of what is here, nothing or an atom of which species [nat]: the mean of the members' own, and
entropy_model   what their disagreement adds
=============== =============================================================================================

``attrs``: ``units``, ``image_shape`` (rows, columns), ``pixel_size`` ((y, x) [nm], or None), ``history``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.errors import ArgumentError, ShapeError

ATOM_COLUMNS = ("frame", "x", "y", "x_std", "y_std", "species", "probability", "flux")


def make_atoms(
    columns: Mapping[str, Any],
    *,
    units: str,
    image_shape: tuple[int, int],
    pixel_size: tuple[float, float] | None,
    history: Iterable[str] = (),
) -> pd.DataFrame:
    """Make an atom table; columns that are missing become NaN (`frame`: 0, `species`: "").

    Raises
    ------
    ArgumentError : if a column is not one of the schema.
    """
    unknown = [name for name in columns if name not in ATOM_COLUMNS]
    if unknown:
        raise ArgumentError(f"atoms: expected columns out of {', '.join(ATOM_COLUMNS)}, got {unknown[0]}.")
    n_atoms = len(columns["x"])
    table = pd.DataFrame(
        {
            "frame": np.asarray(columns.get("frame", np.zeros(n_atoms)), dtype=np.int64),
            **{name: np.asarray(columns.get(name, np.full(n_atoms, np.nan)), float) for name in ATOM_COLUMNS[1:5]},
            "species": pd.Series(list(columns.get("species", [""] * n_atoms)), dtype="object"),
            **{name: np.asarray(columns.get(name, np.full(n_atoms, np.nan)), float) for name in ATOM_COLUMNS[6:]},
        }
    )
    table.attrs = {
        "units": units,
        "image_shape": tuple(int(n) for n in image_shape),
        "pixel_size": None if pixel_size is None else tuple(float(s) for s in pixel_size),
        "history": list(history),
    }
    return table


def check_atoms(atoms: pd.DataFrame) -> pd.DataFrame:
    """Return `atoms` unchanged if it has every column of the schema.

    Raises
    ------
    ShapeError : if a column or an attribute is missing.
    """
    missing = [name for name in ATOM_COLUMNS if name not in atoms.columns]
    if missing:
        raise ShapeError(f"atoms: expected the columns {', '.join(ATOM_COLUMNS)}, got none called {missing[0]}.")
    if "units" not in atoms.attrs:
        raise ShapeError("atoms: expected attrs['units'] to be 'nm' or 'px', got none.")
    return atoms


def spacing(atoms: pd.DataFrame | Mapping[str, NDArray[Any]]) -> float:
    """Median distance of an atom to its nearest neighbour in its frame, NaN with fewer than two atoms.

    `atoms` is a table, or its columns ``frame``, ``x`` and ``y`` alone; the unit is theirs.
    """
    frame, positions = np.asarray(atoms["frame"]), np.column_stack([atoms["x"], atoms["y"]])
    distances = [nearest_distances(positions[frame == number]) for number in np.unique(frame)]
    joined = np.concatenate(distances) if distances else np.zeros(0)
    return float(np.median(joined)) if joined.size else float("nan")


def nearest_distances(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance (n,) of each position (n, 2) to the nearest other one; empty with fewer than two."""
    if len(positions) < 2:
        return np.zeros(0)
    distances: NDArray[np.float64] = cKDTree(positions).query(positions, k=2)[0][:, 1]
    return distances
