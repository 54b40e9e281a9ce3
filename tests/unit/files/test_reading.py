import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adatom.data import pixel_size_nm
from adatom.errors import ArgumentError, FileFormatError, MissingFileError
from adatom.files import info, read

STACK = np.arange(30.0).reshape(2, 3, 5)


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    np.save(tmp_path / "stack.npy", STACK)
    return tmp_path / "stack.npy"


def test_content_decides_unless_the_name_promises_another_format(stack_file: Path) -> None:
    nameless = stack_file.rename(stack_file.with_name("stack.bin"))
    assert info(nameless)["format"] == "NumPy npy"
    misnamed = nameless.rename(nameless.with_name("stack.sxm"))
    with pytest.raises(FileFormatError, match="expected Nanonis sxm as its name says, got NumPy npy"):
        read(misnamed)
    misnamed.write_text("nothing of the kind")
    with pytest.raises(FileFormatError, match="named like a Nanonis sxm"):
        read(misnamed)


@pytest.mark.parametrize(
    ("argument", "there"),
    [
        ({"channel": "Current"}, "channel: expected one of image, got 'Current'"),
        ({"frame": 2}, "frame: expected a whole number from 0 to 1, got 2"),
        ({"frame": -1}, "frame: "),
        ({"frame": 0.5}, "frame: "),
        ({"pixel_size": 0}, "pixel_size: expected a positive length in nm"),
        ({"pixel_size": float("nan")}, "pixel_size: "),
        ({"pixel_size": "wide"}, "pixel_size: "),
        ({"pixel_size": (1, 2, 3)}, "pixel_size: "),
    ],
)
def test_arguments_that_make_no_sense(argument: dict[str, Any], there: str, stack_file: Path) -> None:
    with pytest.raises(ArgumentError, match=there):
        read(stack_file, **argument)


def test_still_image_has_frame_zero_only(tmp_path: Path) -> None:
    np.save(tmp_path / "still.npy", STACK[0])
    np.testing.assert_array_equal(read(tmp_path / "still.npy", frame=0), STACK[0])
    with pytest.raises(ArgumentError, match="from 0 to 0"):
        read(tmp_path / "still.npy", frame=1)


@pytest.mark.parametrize(("given", "expected"), [(0.1, (0.1, 0.1)), ((0.1, 0.2), (0.1, 0.2)), (np.float32(2), (2, 2))])
def test_given_pixel_size_calibrates_and_is_noted(given: Any, expected: tuple[float, float], stack_file: Path) -> None:
    image = read(stack_file, pixel_size=given)
    assert pixel_size_nm(image) == pytest.approx(expected)
    assert image.attrs["history"][-1].startswith("set the pixel size to")
    assert image.attrs["history"][-1].endswith("as asked (in the file: unknown)")


@pytest.mark.parametrize("name", ["none", "none/none", "null\0character", "long" * 100])
def test_names_of_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="path: expected a file"):
        read(tmp_path / name)


@pytest.mark.parametrize("path", [None, 3, b"bytes"])
def test_what_is_no_name(path: Any) -> None:
    with pytest.raises(ArgumentError, match="path: "):
        read(path)


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFormatError, match="pipe"):
        read(tmp_path / "pipe")
