import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from adatom.errors import FileFormatError
from adatom.files import info, read

VALUES = np.arange(99.0).reshape(9, 11)


def test_arrays_are_channels_and_lists_are_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", topography=VALUES, stack=np.stack([VALUES, VALUES]), positions=np.zeros((30, 3)))
    assert info(tmp_path / "a.npz")["channels"] == ["topography", "stack"]
    np.testing.assert_array_equal(read(tmp_path / "a.npz", channel="stack", frame=1), VALUES)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", objects=np.array([[1, None]], dtype=object))
    with pytest.raises(FileFormatError, match="never unpickled"):
        read(tmp_path / "a.npz")


def test_no_image_in_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", positions=np.zeros((30, 3)))
    with pytest.raises(FileFormatError, match="positions float64 30x3"):
        read(tmp_path / "a.npz")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (20000, 20000)})
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(header.getvalue())
        for _ in range(400):
            member.write(bytes(10**6))
    with pytest.raises(FileFormatError, match="packed ones"):
        info(tmp_path / "a.npz")


def test_a_header_that_lies(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (2**30, 2**30)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", file.getvalue() + struct.pack("<d", 1.0))
    with pytest.raises(FileFormatError, match="as its header says"):
        info(tmp_path / "a.npz")
