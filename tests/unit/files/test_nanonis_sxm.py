from pathlib import Path

import numpy as np
import pytest

from adatom.errors import FileFormatError
from adatom.files import info, read

VALUES = np.arange(6, dtype=">f4").reshape(2, 3)


def write_sxm(
    path: Path, planes: list[np.ndarray], *, direction: str = "both", scan: str = "down", pixels="3 2"
) -> Path:
    header = (
        f":NANONIS_VERSION:\r\n2\r\n:SCANIT_TYPE:\r\nFLOAT MSBFIRST\r\n:SCAN_PIXELS:\r\n{pixels}\r\n:SCAN_RANGE:\r\n"
        f"3E-9 4E-9\r\n:SCAN_DIR:\r\n{scan}\r\n:COMMENT:\r\nfirst line\r\nÅ line: 2\r\n"
        ":Z-Controller>Setpoint:\r\n30E-12\r\n:DATA_INFO:\r\n\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\r\n"
        f"\t14\tLI_Demod_1_X\tA\t{direction}\t1\t0\r\n\r\n:SCANIT_END:\r\n\r\n"
    )
    path.write_bytes(header.encode("cp1252") + b"\x1a\x04" + b"".join(plane.tobytes() for plane in planes))
    return path


def test_scan_upwards_is_turned_so_that_the_top_comes_first(tmp_path: Path) -> None:
    path = write_sxm(tmp_path / "up.sxm", [VALUES, VALUES], scan="up")
    np.testing.assert_array_equal(read(path), VALUES[::-1])
    np.testing.assert_array_equal(read(path, channel="LI_Demod_1_X backward"), VALUES[::-1, ::-1])


@pytest.mark.parametrize(
    ("direction", "name", "expected"),
    [("forward", "LI_Demod_1_X", VALUES), ("backward", "LI_Demod_1_X backward", VALUES[:, ::-1])],
)
def test_scan_in_one_direction(direction: str, name: str, expected: np.ndarray, tmp_path: Path) -> None:
    path = write_sxm(tmp_path / "one.sxm", [VALUES], direction=direction)
    image = read(path)
    assert image.attrs["signal"] == name and image.attrs["units"] == "A"
    np.testing.assert_array_equal(image, expected)


def test_lines_that_were_not_scanned_stay_nan(tmp_path: Path) -> None:
    unfinished = VALUES.copy()
    unfinished[1] = np.nan
    image = read(write_sxm(tmp_path / "unfinished.sxm", [unfinished, unfinished]))
    np.testing.assert_array_equal(np.isnan(image), [[False] * 3, [True] * 3])


def test_header_becomes_flat_metadata(tmp_path: Path) -> None:
    told = info(write_sxm(tmp_path / "a.sxm", [VALUES, VALUES]))
    assert told["pixel_size"] == [pytest.approx(2.0), pytest.approx(1.0)]
    assert told["metadata"]["COMMENT"] == "first line\nÅ line: 2"
    assert told["metadata"]["Z-Controller>Setpoint"] == 30e-12


@pytest.mark.parametrize("pixels", ["3000000 2000000", "0 2", "-3 -2", "three two", "3"])
def test_header_that_lies_about_pixels(pixels: str, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"lie\.sxm: expected"):
        info(write_sxm(tmp_path / "lie.sxm", [VALUES, VALUES], pixels=pixels))
