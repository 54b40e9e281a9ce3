from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from adatom.data import make_image
from adatom.errors import ArgumentError, FileFormatError
from adatom.files import info, read, write

VALUES = np.arange(12 * 9, dtype=np.float32).reshape(12, 9)
BIAS = np.array([0.0, 0.5, 1, 0.5, 0, -0.5, -1, -0.5, 0])
CASES: dict[str, dict[str, Any]] = {
    "picture": {"values": VALUES, "pixel_size": (0.5, 0.25), "signal": "Z", "units": "m"},
    "uncalibrated": {"values": VALUES.astype(np.uint16)},
    "movie": {"values": VALUES.astype(np.int16).reshape(3, 4, 9), "pixel_size": 0.1, "signal": "HAADF"},
    "doubles": {"values": VALUES.astype(np.float64) / 3, "pixel_size": 1 / 3},
    "bytes": {"values": VALUES.astype(np.uint8), "metadata": {"Bias": 0.1, "Comment": "Å und µ"}},
    "spectrum image": {
        "values": VALUES.reshape(3, 4, 9),
        "pixel_size": 40.0,
        "dims": ("y", "x", "bias"),
        "coordinates": {"bias": (BIAS, "V")},
        "units": "a.u.",
    },
}
PLACES = [
    (case, name)
    for case in CASES
    for name in ("a.tif", "a.h5", "a.nxs", "a.zarr")
    if (case, name[2:]) != ("spectrum image", "tif")
]


@pytest.mark.parametrize(("case", "name"), PLACES)
def test_what_was_written_is_read_again(case: str, name: str, tmp_path: Path) -> None:
    image = make_image(**CASES[case], history=["made in a test"])
    path = write(image, tmp_path / name)

    again = read(path)

    assert [each.name for each in tmp_path.iterdir()] == [name]
    np.testing.assert_array_equal(again.values, image.values)
    assert (again.dims, again.dtype) == (image.dims, image.dtype)
    for dim in image.dims:
        np.testing.assert_allclose(again[dim], image[dim], rtol=1e-12)
        assert again[dim].attrs["units"] == image[dim].attrs["units"]
    assert (again.attrs["signal"], again.attrs["units"]) == (image.attrs["signal"], image.attrs["units"])
    assert again.attrs["history"][1:] == ["made in a test"]
    for key, value in image.attrs["metadata"].items():
        assert again.attrs["metadata"][key] == value
    assert len(info(path)["channels"]) == 1


@pytest.mark.parametrize(
    ("case", "name", "reason"),
    [
        ("spectrum image", "a.tif", "expected .y, x. or .frame, y, x. for TIFF"),
        ("picture", "a.png", "ends in .tif"),
        ("picture", "a", "ends in .tif"),
    ],
)
def test_what_a_format_cannot_hold(case: str, name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=reason):
        write(make_image(**CASES[case]), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_64_bits_go_to_hdf5_and_not_to_tiff(tmp_path: Path) -> None:
    image = make_image(np.arange(20).reshape(4, 5))
    with pytest.raises(ArgumentError, match="int64"):
        write(image, tmp_path / "a.tif")
    assert read(write(image, tmp_path / "a.h5")).dtype == np.int64


@pytest.mark.parametrize("name", ["a.tif", "a.h5", "a.zarr"])
def test_what_is_there_stays_unless_asked(name: str, tmp_path: Path) -> None:
    path = write(make_image(VALUES), tmp_path / name)
    with pytest.raises(ArgumentError, match="exists"):
        write(make_image(VALUES + 1), path)
    np.testing.assert_array_equal(read(path), VALUES)
    np.testing.assert_array_equal(read(write(make_image(VALUES + 1), path, overwrite=True)), VALUES + 1)


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArgumentError, match="got the folder"):
        write(make_image(VALUES), tmp_path / "a.zarr", overwrite=True)
    assert (tmp_path / "a.zarr" / "thesis.txt").read_text() == "years of work"


def test_xarray_opens_the_store(tmp_path: Path) -> None:
    image = make_image(**CASES["spectrum image"])
    data = xr.open_zarr(write(image, tmp_path / "a.zarr"), chunks=None, consolidated=False)
    np.testing.assert_array_equal(data["image"], image)
    assert data["bias"].attrs["units"] == "V" and data["x"].attrs["units"] == "nm"
    np.testing.assert_allclose(data["bias"], BIAS)


def test_nexus_names_signal_and_axes(tmp_path: Path) -> None:
    with h5py.File(write(make_image(**CASES["spectrum image"]), tmp_path / "a.nxs")) as file:
        entry = file[file.attrs["default"]]
        assert (entry.attrs["NX_class"], entry["definition"][()]) == ("NXentry", b"NXem")
        plot = entry[entry.attrs["default"]]
        assert plot.attrs["NX_class"] == "NXdata" and list(plot.attrs["axes"]) == ["y", "x", "bias"]
        assert plot[plot.attrs["signal"]].shape == (3, 4, 9) and plot["bias"].attrs["units"] == "V"
        assert plot.attrs["bias_indices"] == 2


def test_a_store_that_was_copied_in_part_is_damaged(tmp_path: Path) -> None:
    path = write(make_image(**CASES["movie"]), tmp_path / "a.zarr")
    np.testing.assert_array_equal(read(path, frame=1), CASES["movie"]["values"][1])
    chunk = next((path / "image" / "c" / "1").rglob("0"))
    while chunk.is_dir():
        chunk = chunk / "0"
    chunk.unlink()
    with pytest.raises(FileFormatError, match="expected 3 chunks of image, got 2"):
        read(path)


def test_a_store_without_image(tmp_path: Path) -> None:
    xr.Dataset({"a": ("n", np.arange(5))}).to_zarr(tmp_path / "a.zarr", consolidated=False)
    with pytest.raises(FileFormatError, match="two or three axes"):
        read(tmp_path / "a.zarr")
