import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from adatom.errors import FileFormatError
from adatom.files import info, read

VALUES = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1000
STACK = np.stack([VALUES, VALUES + 1, VALUES + 2])


def double(code: int, value: float) -> tuple[int, str, int, float, bool]:
    return (code, "d", 1, value, True)


def text(code: int, value: str) -> tuple[int, str, int, str, bool]:
    return (code, "s", 0, value, True)


MICROGRAPH = [text(65003, "nm"), text(65004, "nm"), double(65009, 0.02), double(65010, 0.03)]
RECIPROCAL = [text(65003, "1/nm"), text(65004, "1/nm"), double(65009, 0.02), double(65010, 0.02)]


@pytest.mark.parametrize(
    ("options", "pixel_size"),
    [
        ({"extratags": MICROGRAPH}, [0.03, 0.02]),
        ({"extratags": MICROGRAPH, "resolution": (300, 300), "resolutionunit": "INCH"}, [0.03, 0.02]),
        ({"extratags": RECIPROCAL}, None),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
        ({"resolution": (300, 300), "resolutionunit": "CENTIMETER"}, None),
        ({"imagej": True, "resolution": (10, 10), "metadata": {"unit": "nm"}}, 0.1),
        ({"imagej": True, "resolution": (1000, 1000), "metadata": {"unit": "micron"}}, 1.0),
        ({"imagej": True, "resolution": (1000, 1000), "metadata": {"unit": "\\u00B5m"}}, 1.0),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "A"}}, 0.05),
        ({"extratags": [(65003, 2, 0, "\u212b".encode(), True), double(65009, 0.5)]}, 0.05),
        ({"extratags": [(65003, 2, 0, "\u03bcm".encode(), True), double(65009, 0.001)]}, 1.0),
        ({"imagej": True, "resolution": (72, 72), "metadata": {"unit": "inch"}}, None),
        ({"imagej": True, "resolution": (10, 10), "metadata": {"unit": "pixel"}}, None),
        ({"imagej": True, "resolution": (10, 10), "metadata": {"unit": "9**9**9**9"}}, None),
        ({"imagej": True, "resolution": (10, 10)}, None),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "nm"}}, 0.2),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.002, "PhysicalSizeY": 0.001}}, [1.0, 2.0]),
        ({}, None),
    ],
)
def test_calibration(options: dict[str, Any], pixel_size: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VALUES, **options)
    told = info(path)["pixel_size"]
    assert told == (None if pixel_size is None else pytest.approx(pixel_size, rel=1e-5))
    np.testing.assert_array_equal(read(path), VALUES)


def test_calibration_that_is_no_length_is_told(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "diffraction.tif", VALUES, extratags=RECIPROCAL)
    assert "left the axes in pixels (calibrated in 1/nm)" in read(tmp_path / "diffraction.tif").attrs["history"]


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"compression": "zlib", "rowsperstrip": 2, "metadata": None},
        {"tile": (16, 16), "metadata": None},
    ],
)
def test_pages_are_frames(options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", **options)
    stack = read(path)
    assert stack.dims == ("frame", "y", "x") and stack.dtype == np.dtype("=u2")
    np.testing.assert_array_equal(stack, STACK)
    np.testing.assert_array_equal(read(path, frame=1), STACK[1])


def test_images_of_different_shape_are_channels(tmp_path: Path) -> None:
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(VALUES)
        writer.write(VALUES[:3].astype(np.float32))
    assert info(path)["channels"] == ["image 0", "image 1"]
    np.testing.assert_array_equal(read(path, channel="image 1"), VALUES[:3])


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_compressed(compression: str, tmp_path: Path) -> None:
    Image.fromarray(VALUES).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), VALUES)


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_colour_becomes_luminance(planes: str, tmp_path: Path) -> None:
    grey = np.stack([VALUES] * 3, axis=-1 if planes == "contig" else 0)
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="rgb", planarconfig=planes)
    image = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(image, VALUES)
    assert "luminance" in image.attrs["history"][1]


def test_white_is_zero_is_turned_to_bright_is_large(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", 65535 - VALUES, photometric="miniswhite")
    image = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(image, VALUES)
    assert "inverted" in image.attrs["history"][1]


def tags(*entries: tuple[int, int]) -> bytes:
    """A TIFF of one page with these tags (all of type LONG) and no values."""
    body = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in entries)
    return b"II*\x00" + struct.pack("<IH", 8, len(entries)) + body


@pytest.mark.parametrize("compression", [1, 8])
def test_claims_larger_than_the_file(compression: int, tmp_path: Path) -> None:
    sides = [(256, 2**20), (257, 2**20), (258, 16), (259, compression), (262, 1)]
    strips = [(273, 8), (277, 1), (278, 2**20), (279, 100)]
    (tmp_path / "lie.tif").write_bytes(tags(*sides, *strips) + bytes(4))
    with pytest.raises(FileFormatError, match="cannot hold"):
        info(tmp_path / "lie.tif")


def test_pages_in_a_circle(tmp_path: Path) -> None:
    page = tags((256, 1), (257, 1), (258, 8), (262, 1), (273, 0), (279, 1))
    (tmp_path / "circle.tif").write_bytes(page + struct.pack("<I", 8))
    with pytest.raises(FileFormatError, match="circle"):
        info(tmp_path / "circle.tif")
