import numpy as np
import pandas as pd
import pytest

from adatom.data import make_image
from adatom.errors import ArgumentError, FileFormatError, MissingFileError
from adatom.files.marks import read_marks

IMAGE = make_image(np.zeros((20, 30)), pixel_size=(0.1, 0.2))


def write(tmp_path, text: str):
    path = tmp_path / "marks.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_imagej_counts_pixels_and_adatom_the_unit_of_the_image(tmp_path):
    imagej = read_marks(write(tmp_path, " ,X,Y\n1,10,5\n2,20,6\n"), IMAGE)
    assert imagej.to_dict("list") == {"x": pytest.approx([2.0, 4.0]), "y": pytest.approx([0.5, 0.6])}
    ours = read_marks(write(tmp_path, "frame,x,y,species\n0,2.0,0.5,Mo\n"), IMAGE)
    assert ours.to_dict("list") == {"x": [2.0], "y": [0.5], "species": ["Mo"]}


def test_which_of_the_two_can_be_said(tmp_path):
    path = write(tmp_path, "x,y\n10,5\n")
    assert read_marks(path, IMAGE, in_pixels=True)["x"].tolist() == [2.0]
    assert read_marks(path, make_image(np.zeros((20, 30))), in_pixels=True)["x"].tolist() == [10.0]


def test_a_table_of_no_marks_is_empty(tmp_path):
    assert isinstance(read_marks(write(tmp_path, "x,y\n"), IMAGE), pd.DataFrame)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "x,y\n1,there\n", "x,y\n1,\n", "", "x,y\n1,2,3,4\n1\n2,3,4,5,6\n"])
def test_what_is_no_table_of_positions_is_told(tmp_path, text):
    with pytest.raises(FileFormatError, match="marks"):
        read_marks(write(tmp_path, text), IMAGE)


def test_a_picture_or_nothing_at_all_is_told(tmp_path):
    path = tmp_path / "marks.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    with pytest.raises(FileFormatError, match=r"marks\.csv"):
        read_marks(path, IMAGE)
    with pytest.raises(MissingFileError, match="not there"):
        read_marks(tmp_path / "none.csv", IMAGE)


def test_a_column_of_classes_can_be_named(tmp_path):
    path = write(tmp_path, "x,y,kind\n1,2,Mo\n")
    assert "species" not in read_marks(path, IMAGE)
    assert read_marks(path, IMAGE, class_column="kind")["species"].tolist() == ["Mo"]
    with pytest.raises(FileFormatError, match="column sort"):
        read_marks(path, IMAGE, class_column="sort")


def test_x_and_y_are_swapped_and_y_counts_upwards_when_that_is_said(tmp_path):
    path = write(tmp_path, "X,Y\n10,5\n")
    swapped = read_marks(path, IMAGE, swap_xy=True)
    assert (swapped["x"][0], swapped["y"][0]) == pytest.approx((5 * 0.2, 10 * 0.1))
    upwards = read_marks(path, IMAGE, flip_y=True)
    assert (upwards["x"][0], upwards["y"][0]) == pytest.approx((10 * 0.2, (19 - 5) * 0.1))


def test_a_structure_is_in_angstrom_and_its_columns_are_named_after_their_elements(tmp_path):
    path = tmp_path / "atoms.xyz"
    path.write_text("4\n\nMo 10 5 0\nS 20 6 1.5\nS 20 6.05 -1.5\nW 30 7 0\n", encoding="utf-8")
    marks = read_marks(path, IMAGE)
    assert marks["species"].tolist() == ["Mo", "S", "W"]
    assert marks["x"].to_numpy() == pytest.approx([1.0, 2.0, 3.0])
    assert marks["y"].to_numpy() == pytest.approx([0.5, 0.6025, 0.7])
    with pytest.raises(ArgumentError, match="pixel size"):
        read_marks(path, make_image(np.zeros((20, 30))))


def test_a_damaged_structure_is_told(tmp_path):
    path = tmp_path / "atoms.xyz"
    for text in ("", "3\n\nMo 1 2 3\n", "1\n\nXx 1 2 three\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FileFormatError, match=r"atoms\.xyz"):
            read_marks(path, IMAGE)
