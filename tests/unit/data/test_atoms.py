import numpy as np
import pandas as pd
import pytest

from adatom.data import ATOM_COLUMNS, check_atoms, make_atoms, spacing
from adatom.errors import ArgumentError, ShapeError


def some_atoms(**columns: list) -> pd.DataFrame:
    return make_atoms(columns, units="nm", image_shape=(60, 80), pixel_size=(0.2, 0.1), history=["read"])


def test_missing_columns_are_nan_and_the_frame_is_the_first():
    atoms = some_atoms(x=[1, 2], y=[3, 4], species=["Mo", "S"])
    assert tuple(atoms.columns) == ATOM_COLUMNS
    assert atoms["frame"].tolist() == [0, 0]
    assert atoms["species"].tolist() == ["Mo", "S"]
    assert atoms[["x_std", "y_std", "probability", "flux"]].isna().all(axis=None)


def test_table_knows_its_unit_and_its_image():
    attrs = some_atoms(x=[], y=[]).attrs
    assert attrs == {"units": "nm", "image_shape": (60, 80), "pixel_size": (0.2, 0.1), "history": ["read"]}


def test_misspelt_column_is_told():
    with pytest.raises(ArgumentError, match="got probabilty"):
        some_atoms(x=[1], y=[1], probabilty=[0.5])


@pytest.mark.parametrize("n_atoms", [0, 1, 3])
def test_own_tables_pass_the_check(n_atoms):
    atoms = some_atoms(x=[1.0] * n_atoms, y=[1.0] * n_atoms)
    assert check_atoms(atoms) is atoms


@pytest.mark.parametrize("column", ATOM_COLUMNS)
def test_missing_column_is_named(column):
    with pytest.raises(ShapeError, match=f"none called {column}"):
        check_atoms(some_atoms(x=[1], y=[1]).drop(columns=column))


def test_table_without_unit_is_told():
    atoms = some_atoms(x=[1], y=[1])
    atoms.attrs = {}
    with pytest.raises(ShapeError, match="units"):
        check_atoms(atoms)


def test_spacing_is_the_distance_of_nearest_neighbours():
    x, y = (a.ravel() for a in np.meshgrid(np.arange(5) * 0.3, np.arange(4) * 0.5))
    assert spacing(some_atoms(x=x, y=y)) == pytest.approx(0.3)


def test_atoms_of_different_frames_are_no_neighbours():
    assert spacing(some_atoms(x=[0, 1, 0.1, 1.1], y=[0, 0, 0, 0], frame=[0, 0, 1, 1])) == pytest.approx(1.0)


@pytest.mark.parametrize("frames", [[], [0], [0, 1, 2]])
def test_lonely_atoms_have_no_spacing(frames):
    assert np.isnan(spacing(some_atoms(x=[1.0] * len(frames), y=[1.0] * len(frames), frame=frames)))
