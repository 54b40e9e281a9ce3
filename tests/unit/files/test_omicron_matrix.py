"""A measurement made after access2theMatrix's reading of the format: no microscope made these files."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from adatom.data import pixel_size_nm
from adatom.errors import FileFormatError
from adatom.files import info, omicron_matrix, read

FORWARD = np.arange(12).reshape(3, 4)  # bottom row first
BACKWARD = FORWARD + 100


def text(words: str) -> bytes:
    return struct.pack("<L", len(words)) + words.encode("utf-16-le")


def number(value: float | bool) -> bytes:
    if isinstance(value, bool):
        return b"LOOB" + struct.pack("<L", value)
    return b"GNOL" + struct.pack("<l", value) if isinstance(value, int) else b"BUOD" + struct.pack("<d", value)


def block(name: bytes, content: bytes, stamp: bytes = b"") -> bytes:
    return name + struct.pack("<L", len(content)) + stamp + content


@pytest.fixture
def measurement(tmp_path: Path) -> Path:
    scanner = {"X_Retrace": True, "Y_Retrace": False, "Points": 4, "Lines": 3, "Width": 8e-9, "Height": 3e-9}
    scanner |= {"X_Offset": 0.0, "Y_Offset": 0.0, "Angle": 0}
    listed = b"".join(text(key) + text("") + bytes(4) + number(value) for key, value in scanner.items())
    parameters = struct.pack("<4xL", 1) + text("XYScanner") + struct.pack("<L", len(scanner)) + listed
    channels = struct.pack("<8xLL", 0, 1) + struct.pack("<4xL8x", 7) + text("Z") + text("Meter")
    channels += struct.pack("<L", 1) + struct.pack("<8s4xL", b"12345678", 7) + text("device")
    transfer = struct.pack("<4xL", 7) + text("TFF_Linear1D") + text("Meter") + struct.pack("<L", 2)
    transfer += text("Factor") + number(1e9) + text("Offset") + number(0.0)
    name = "measured--1_1.Z_mtrx"
    stamp = bytes(8)
    (tmp_path / "measured_0001.mtrx").write_bytes(
        b"ONTMATRX0101"
        + block(b"APEE", parameters, stamp)
        + block(b"YSCC", bytes(4) + block(b"TCID", channels) + block(b"REFX", transfer), stamp)
        + block(b"FERB", bytes(4) + text(name), stamp)
    )
    lines = np.stack([FORWARD, BACKWARD[:, ::-1]], axis=1).astype("<i4")  # forth and back, line by line
    inner = block(b"CSED", struct.pack("<20xii", lines.size, lines.size)) + block(b"ATAD", lines.tobytes())
    content = bytes(8) + bytes(4) + inner
    data = b"TLKB" + struct.pack("<L", len(content) - 8) + content
    (tmp_path / name).write_bytes(b"ONTMATRX0101" + data)
    return tmp_path / name


def test_each_direction_is_a_channel_and_the_top_comes_first(measurement: Path) -> None:
    assert info(measurement)["channels"] == ["Z forward/up", "Z backward/up"]
    image = read(measurement)
    np.testing.assert_allclose(image, FORWARD[::-1] * 1e-9)
    assert image.attrs["units"] == "m" and pixel_size_nm(image) == pytest.approx((1.0, 2.0))
    np.testing.assert_allclose(read(measurement, channel="Z backward/up"), BACKWARD[::-1] * 1e-9)


def test_the_parameter_file_alone_is_no_image(measurement: Path) -> None:
    with pytest.raises(FileFormatError, match="got a parameter file"):
        read(measurement.with_name("measured_0001.mtrx"))


def test_data_without_parameters(measurement: Path) -> None:
    measurement.with_name("measured_0001.mtrx").unlink()
    with pytest.raises(FileFormatError, match="keep their names"):
        read(measurement)


def test_without_the_library(measurement: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "access2thematrix", None)
    with pytest.raises(FileFormatError, match=r"pip install 'adatom\[formats\]'"):
        omicron_matrix.read_channels(measurement)
