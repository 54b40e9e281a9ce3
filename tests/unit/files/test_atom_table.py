"""Atom tables on the way back from a file."""

import json

import numpy as np
import pandas as pd
import pytest

from adatom.data.atoms import make_atoms
from adatom.errors import FileFormatError, MissingFileError, UnitError
from adatom.files.atom_table import read_atoms


@pytest.fixture
def atoms() -> pd.DataFrame:
    columns = {
        "x": [0.1, 0.4],
        "y": [0.2, 1.3],
        "x_std": [0.01, 0.02],
        "y_std": [0.01, np.nan],
        "species": ["Mo", "S2"],
    }
    table = make_atoms(columns, units="nm", image_shape=(30, 20), pixel_size=(0.05, 0.04), history=["read"])
    table["snr"] = [3.0, 4.0]
    return table


def test_parquet_keeps_all(atoms, tmp_path):
    atoms.to_parquet(tmp_path / "atoms.parquet")
    again = read_atoms(tmp_path)
    pd.testing.assert_frame_equal(again, atoms)
    assert again.attrs["units"] == "nm" and tuple(again.attrs["pixel_size"]) == (0.05, 0.04)
    assert tuple(again.attrs["image_shape"]) == (30, 20) and again.attrs["history"] == ["read"]


def test_csv_takes_units_from_the_summary_beside_it(atoms, tmp_path):
    atoms.to_csv(tmp_path / "atoms.csv", index=False)
    summary = {"units": "nm", "pixel_size": [0.05, 0.04], "image_shape": [30, 20]}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    again = read_atoms(tmp_path / "atoms.csv")
    assert again["x"].tolist() == [0.1, 0.4] and again["snr"].tolist() == [3.0, 4.0]
    assert again.attrs["units"] == "nm" and again.attrs["image_shape"] == (30, 20)
    assert again.attrs["pixel_size"] == (0.05, 0.04)


def test_bare_table_is_in_px_of_an_image_as_large_as_its_atoms_need(tmp_path):
    (tmp_path / "mine.csv").write_text("x,y\n3.5,10\n8,2\n")
    atoms = read_atoms(tmp_path / "mine.csv")
    assert atoms.attrs["units"] == "px" and atoms.attrs["image_shape"] == (11, 9)
    assert atoms["species"].tolist() == ["atom", "atom"]
    in_nm = read_atoms(tmp_path / "mine.csv", pixel_size_nm=0.1)
    assert in_nm["x"].tolist() == pytest.approx([0.35, 0.8]) and in_nm.attrs["units"] == "nm"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "columns x and y, got a, b"),
        ("x,y\n1,two\n", "numbers"),
        ("x,y\n1,inf\n", "finite"),
        ("", "CSV or parquet"),
        ("\x00\xff", "atoms: expected"),
    ],
)
def test_what_is_no_table_is_told(text, told, tmp_path):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(FileFormatError, match=told):
        read_atoms(tmp_path / "mine.csv")


@pytest.mark.parametrize("summary", ["[1]", "{", '{"units": 3, "pixel_size": "x", "image_shape": [-1, 2, 3]}'])
def test_damaged_summary_is_passed_over(summary, tmp_path):
    (tmp_path / "atoms.csv").write_text("x,y\n1,2\n")
    (tmp_path / "summary.json").write_text(summary)
    assert read_atoms(tmp_path).attrs["units"] == "px"


def test_missing_file_and_needless_pixel_size_are_told(atoms, tmp_path):
    with pytest.raises(MissingFileError, match="adatom find"):
        read_atoms(tmp_path / "atoms.csv")
    with pytest.raises(MissingFileError, match="folder"):
        read_atoms(tmp_path)
    atoms.to_parquet(tmp_path / "atoms.parquet")
    with pytest.raises(UnitError, match="pixel_size"):
        read_atoms(tmp_path, pixel_size_nm=0.1)
