import numpy as np
import pandas as pd
import pytest

from adatom.data import make_image
from adatom.errors import FileFormatError, MissingFileError
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
