import zlib
from pathlib import Path

import numpy as np
import pytest

from adatom.errors import FileFormatError
from adatom.files import info, read

PLANES = np.arange(4 * 6, dtype="<f4").reshape(4, 2, 3)


def write_dat(path: Path, payload: bytes | None = None, **changes: str) -> Path:
    header = {"DAC-Type": "20bit", "Num.X / Num.X": "3", "Num.Y / Num.Y": "2", "Channels": "4", "GainZ / GainZ": "10"}
    header |= {"Gainpreamp / GainPre 10^": "9", "ZPiezoconst / ZPiezoconst": "20", "Dacto[A]z": "0.00038"}
    header |= {"Channelselectval / Channelselectval": "3", "Length x[A]": "30", "Length y[A]": "10", **changes}
    text = "[Paramco32]\r\n" + "".join(f"{key}={value}\r\n" for key, value in header.items())
    payload = bytes(4) + PLANES.tobytes() if payload is None else payload
    path.write_bytes(text.encode("latin-1") + bytes(100) + b"\nDATA" + zlib.compress(payload))
    return path


def test_heights_in_nm_and_currents_in_ampere(tmp_path: Path) -> None:
    path = write_dat(tmp_path / "a.dat")
    assert info(path)["channels"] == ["Z", "Current", "Z backward", "Current backward"]
    assert info(path)["pixel_size"] == [pytest.approx(0.5), pytest.approx(1.0)]
    np.testing.assert_allclose(read(path, channel="Z backward"), PLANES[2] * 20 / 2**20 * 20 * 10 * 0.1, rtol=1e-6)
    current = read(path, channel="Current")
    np.testing.assert_allclose(current, PLANES[1] * 20 / 2**20 / 1e9, rtol=1e-6)
    assert current.attrs["units"] == "A"


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"Channels": "2"}, ["Z", "Current"]),
        ({"Channelselectval / Channelselectval": "5"}, ["Z", "Input 1", "Z backward", "Input 1 backward"]),
        ({"Channels": "3"}, ["Channel 0", "Channel 1", "Channel 2"]),
    ],
)
def test_names_of_channels(changes: dict[str, str], names: list[str], tmp_path: Path) -> None:
    assert info(write_dat(tmp_path / "a.dat", **changes))["channels"] == names


def test_without_a_factor_values_stay_steps(tmp_path: Path) -> None:
    image = read(write_dat(tmp_path / "a.dat", **{"GainZ / GainZ": "?"}))
    np.testing.assert_array_equal(image, PLANES[0])
    assert image.attrs["units"] == "" and "left the values in steps" in image.attrs["history"][1]


@pytest.mark.parametrize(
    ("payload", "changes", "reason"),
    [
        (bytes(4) + PLANES.tobytes()[:-1], {}, "expected 100 bytes"),
        (None, {"Num.X / Num.X": "30000", "Num.Y / Num.Y": "30000"}, "cannot hold"),
        (None, {"Num.X / Num.X": "-3"}, "whole number from 1"),
        (None, {"Num.X / Num.X": "nan"}, "whole number from 1"),
        (bytes(2**26), {}, "and their end"),  # a bomb: far more than the header says
    ],
)
def test_lies(payload: bytes | None, changes: dict[str, str], reason: str, tmp_path: Path) -> None:
    path = write_dat(tmp_path / "a.dat", payload, **changes)
    with pytest.raises(FileFormatError, match=reason):
        read(path)


def test_both_kinds_of_dat_are_told_apart(tmp_path: Path) -> None:
    np.concatenate([np.array([2, 3], "<u4").view("u1"), PLANES[0].astype("<f8").ravel().view("u1")]).tofile(
        tmp_path / "b.dat"
    )
    assert info(tmp_path / "b.dat")["format"] == "height map dat"
    assert info(write_dat(tmp_path / "a.dat"))["format"] == "Createc dat"
