from pathlib import Path

import numpy as np
import pytest

from adatom.errors import FileFormatError
from adatom.files import info, read

STACK = np.arange(30, dtype=np.float32).reshape(2, 3, 5)


@pytest.mark.parametrize("stored", [STACK, np.asfortranarray(STACK), STACK.astype(">f4"), STACK.astype(bool)])
def test_stack(stored: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", stored)
    image = read(tmp_path / "a.npy")
    assert image.dims == ("frame", "y", "x") and image.dtype == stored.dtype.newbyteorder("=")
    np.testing.assert_array_equal(image, stored)
    np.testing.assert_array_equal(read(tmp_path / "a.npy", frame=1), stored[1])


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (np.array([[1, None]], dtype=object), "never unpickled"),
        (np.zeros(5), "shape"),
        (np.zeros((0, 5)), "shape"),
        (np.zeros((2, 2, 2, 2)), "shape"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.zeros((2, 2), [("x", float)]), "real numbers"),
        (np.array([["a", "b"]]), "real numbers"),
    ],
)
def test_what_is_no_image_is_refused(stored: np.ndarray, reason: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", stored)
    with pytest.raises(FileFormatError, match=reason):
        info(tmp_path / "a.npy")


def test_header_that_claims_more_than_the_file_holds(tmp_path: Path) -> None:
    with open(tmp_path / "lie.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**20)})
        file.write(bytes(100))
    with pytest.raises(FileFormatError, match="got 100"):
        info(tmp_path / "lie.npy")


def test_what_follows_the_array_is_told(tmp_path: Path) -> None:
    with open(tmp_path / "two.npy", "wb") as file:
        np.save(file, STACK)
        file.write(b"more")
    assert "ignored 4 bytes after the array" in read(tmp_path / "two.npy").attrs["history"]
