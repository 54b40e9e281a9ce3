import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adatom.cli import app
from adatom.errors import ArgumentError
from adatom.files import read

VALUES = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    np.save(tmp_path / "movie.npy", VALUES)
    return tmp_path / "movie.npy"


def convert(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["convert", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", ["out.tif", "out.h5", "out.zarr"])
def test_convert_and_read_again(name: str, movie: Path, tmp_path: Path) -> None:
    told = json.loads(convert(movie, "--frame", 1, "--pixel-size", 0.1, "--json", "--out", tmp_path / name))
    assert told["shape"] == [4, 5] and told["pixel_size"] == pytest.approx([0.1, 0.1]) and told["dims"] == ["y", "x"]
    image = read(tmp_path / name)
    np.testing.assert_array_equal(image, VALUES[1])
    assert image.dtype == np.uint16 and float(image.x[1]) == pytest.approx(0.1)


def test_nothing_is_replaced_by_mistake(movie: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    assert "3 x 4 x 5 (frame, y, x), uint16, pixels of unknown size" in convert(movie, "--out", out)
    for arguments in ((movie, "--out", out), (out, "--out", out, "--force")):
        with pytest.raises(ArgumentError):
            convert(*arguments)
    convert(movie, "--frame", 0, "--out", out, "--force")
    np.testing.assert_array_equal(read(out), VALUES[0])


def test_info_is_a_table(movie: Path) -> None:
    told = CliRunner().invoke(app, ["info", str(movie)], catch_exceptions=False).output
    assert told.splitlines()[0] == "movie.npy: NumPy npy, 1 channel"
    assert "image    3 x 4 x 5  frame y x  uint16  not stated  not stated" in told.replace("   not", "  not")
    assert "--pixel-size NM" in told
