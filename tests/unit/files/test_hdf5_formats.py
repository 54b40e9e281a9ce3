"""What HDF5 files may say that is not so, and what is no image."""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from adatom.errors import FileFormatError
from adatom.files import info, read

VALUES = np.arange(9.0 * 11).reshape(9, 11)


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (10**6, 10**6), "chunks": (100, 100), "compression": "gzip"},
        {"shape": (20000, 20000), "chunks": (20000, 20000)},
        {"shape": (2**20, 2**10, 2**10), "chunks": (1, 2**10, 2**10)},
    ],
)
def test_claims_that_nothing_stands_behind(options: dict[str, Any], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("image", dtype="f4", **options)
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        read(tmp_path / "a.h5")


def test_a_file_without_image_is_an_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["list"] = np.arange(100)
        file["positions"] = np.zeros((50, 2))
        file["waves"] = np.zeros((20, 20), complex)
    with pytest.raises(FileFormatError, match="expected an image in this HDF5 file, got none"):
        info(tmp_path / "a.h5")


def test_the_largest_picture_comes_first_and_says_what_it_is_taken_for(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/thumbnail"] = VALUES[:8, :8]
        file["b/stack"] = np.stack([VALUES] * 3)
        file["c/height"] = VALUES
    assert info(tmp_path / "a.h5")["channels"] == ["c/height", "a/thumbnail", "b/stack"]
    assert "does not say what it is" in read(tmp_path / "a.h5").attrs["history"][1]


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = VALUES
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")
    with pytest.raises(FileFormatError, match="got none"):
        read(tmp_path / "a.h5")


def test_groups_in_a_circle_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("a")
        for name in "bcd":
            group[name] = group
        file["a/image"] = VALUES
    assert info(tmp_path / "a.h5")["channels"] == ["a/image"]


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    for number in (1.0, 2.0):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["image"] = VALUES * number
        np.testing.assert_array_equal(read(tmp_path / "a.h5"), VALUES * number)


@pytest.mark.parametrize(("unit", "scale"), [("eV", 1.0), ("keV", 1000.0)])
def test_energies_of_nexus(unit: str, scale: float, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        group = file.create_group("entry/eels")
        group.attrs["NX_class"], group.attrs["signal"], group.attrs["axes"] = "NXdata", "data", ["y", "x", "energy"]
        group["data"] = np.arange(24.0).reshape(2, 3, 4)
        group["energy"] = np.arange(4) + 280.0
        group["energy"].attrs["units"] = unit
    image = read(tmp_path / "a.nxs")
    assert image.dims == ("y", "x", "energy") and image.energy.attrs["units"] == "eV"
    np.testing.assert_allclose(image.energy, (np.arange(4) + 280.0) * scale)


def test_an_axis_of_another_kind_numbers_frames(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        group = file.create_group("entry/focus")
        group.attrs["NX_class"], group.attrs["signal"], group.attrs["axes"] = "NXdata", "data", ["defocus", "y", "x"]
        group["data"] = np.arange(24.0).reshape(2, 3, 4)
        group["defocus"] = [0.0, 10.0]
        group["defocus"].attrs["units"] = "nm"
    image = read(tmp_path / "a.nxs")
    assert image.dims == ("frame", "y", "x")
    assert "numbered axis defocus as frames" in image.attrs["history"]


@pytest.mark.parametrize("name", ["a.h5", "a.emd"])
def test_a_cut_file_is_one_line(name: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file.create_dataset("image", data=np.random.default_rng(1).random((64, 64)))
    content = (tmp_path / "whole.h5").read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value) and os.fspath(tmp_path) not in str(caught.value)
