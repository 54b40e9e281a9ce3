"""Nanonis sxm: a text header of ``:KEY:`` lines, then big-endian float32, channel after channel.

A channel scanned in both directions holds its forward picture, then its backward one, in the order of acquisition:
backward lines run from right to left, and a scan upwards begins with the bottom line. Both are turned here, so that
every picture shows the sample alike and its first row is the top. The size of a pixel is the scan range divided by the
number of pixels. Lines that an unfinished scan has not reached are NaN, in the file and here.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel

_MAX_HEADER_BYTES = 16 * 2**20
_HEADER_END = b":SCANIT_END:"
_DATA_START = b"\x1a\x04"
_DTYPE = np.dtype(">f4")
_DIRECTIONS = {"both": ("", " backward"), "forward": ("",), "backward": (" backward",)}


class _Plane(NamedTuple):
    name: str
    units: str
    is_backward: bool


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins as every sxm does."""
    return head.startswith(b":NANONIS_VERSION:")


def read_channels(path: Path) -> list[Channel]:
    """Describe the channels: ``"Z"`` for a forward picture, ``"Z backward"`` for a backward one."""
    header, offset = _read_header(path)
    if header.get("SCANIT_TYPE", "").split() != ["FLOAT", "MSBFIRST"]:
        raise FileFormatError(
            f"{path.name}: expected values of type FLOAT MSBFIRST, got {header.get('SCANIT_TYPE', 'none')!r}."
        )
    n_columns, n_rows = (int(word) for word in _two_words(path, header, "SCAN_PIXELS"))
    if n_columns < 1 or n_rows < 1:
        raise FileFormatError(f"{path.name}: expected at least one pixel, got {n_columns} x {n_rows} in SCAN_PIXELS.")
    x_range, y_range = (float(word) for word in _two_words(path, header, "SCAN_RANGE"))
    pixel_size = (y_range / n_rows * 1e9, x_range / n_columns * 1e9)
    is_calibrated = all(0 < size < np.inf for size in pixel_size)
    planes = _planes(path, header)

    plane_bytes = n_rows * n_columns * _DTYPE.itemsize
    claimed, held = plane_bytes * len(planes), path.stat().st_size - offset
    if claimed > held:
        raise FileFormatError(
            f"{path.name}: expected {claimed} bytes of values as its header says, got {held}. "
            "It is truncated or damaged: copy it again."
        )
    is_upward = header.get("SCAN_DIR", "").lower() == "up"
    history = ["flipped top to bottom (scanned upwards)"] if is_upward else []
    history += [f"ignored {held - claimed} bytes after the last channel"] if held > claimed else []
    metadata = {key: _number_or_text(text) for key, text in header.items() if key != "DATA_INFO"}

    def channel(number: int, plane: _Plane) -> Channel:
        def load(frame: int | None) -> np.ndarray:
            start = offset + number * plane_bytes
            values = np.fromfile(path, _DTYPE, count=n_rows * n_columns, offset=start).reshape(n_rows, n_columns)
            return values[:: -1 if is_upward else 1, :: -1 if plane.is_backward else 1]

        mirrored = ["mirrored left to right (backward scan)"] if plane.is_backward else []
        return Channel(
            plane.name,
            (n_rows, n_columns),
            _DTYPE,
            load,
            units=plane.units,
            pixel_size=pixel_size if is_calibrated else None,
            metadata={"direction": "backward" if plane.is_backward else "forward", **metadata},
            history=(*mirrored, *history),
        )

    return [channel(number, plane) for number, plane in enumerate(planes)]


def _read_header(path: Path) -> tuple[dict[str, str], int]:
    """Header as key -> text, and where the values begin."""
    with open(path, "rb") as file:
        start = file.read(_MAX_HEADER_BYTES)
    end = start.find(_HEADER_END)
    data_start = start.find(_DATA_START, end)
    # between the two stand only line ends: the marker may also occur among the values
    if end < 0 or data_start < 0 or start[end + len(_HEADER_END) : data_start].strip():
        raise FileFormatError(
            f"{path.name}: expected a header that ends with :SCANIT_END: and the bytes 1A 04, got none. "
            "It is truncated or damaged: copy it again."
        )
    try:
        text = start[:end].decode("utf-8")
    except UnicodeDecodeError:  # older versions write the code page of Western Windows
        text = start[:end].decode("cp1252", errors="replace")
    header: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        match = re.fullmatch(r":(.+):", line.strip())
        if match:
            key = match[1]
            header[key] = ""
        elif key:
            header[key] += line + "\n"
    # tabs in front of a line are column separators of a table
    return {key: value.strip("\r\n ") for key, value in header.items()}, data_start + len(_DATA_START)


def _two_words(path: Path, header: dict[str, str], key: str) -> list[str]:
    words = header.get(key, "").split()
    if len(words) != 2:
        raise FileFormatError(f"{path.name}: expected two numbers in {key}, got {header.get(key, 'none')!r}.")
    return words


def _planes(path: Path, header: dict[str, str]) -> list[_Plane]:
    """Pictures in the order in which they stand in the file, from the table DATA_INFO."""
    rows = [line.split("\t") for line in header.get("DATA_INFO", "").splitlines() if line.strip()]
    rows = [[cell.strip() for cell in row] for row in rows]
    planes = []
    for row in rows[1:]:
        column = dict(zip(rows[0], row, strict=False))
        direction = column.get("Direction", "").lower()
        if direction not in _DIRECTIONS or not column.get("Name"):
            raise FileFormatError(
                f"{path.name}: expected a name and a direction for each channel in DATA_INFO, got {' '.join(row)!r}."
            )
        for suffix in _DIRECTIONS[direction]:
            planes.append(_Plane(column["Name"] + suffix, column.get("Unit", ""), suffix != ""))
    if not planes:
        raise FileFormatError(f"{path.name}: expected at least one channel in DATA_INFO, got none.")
    return planes


def _number_or_text(text: str) -> str | float:
    try:
        number = float(text)
    except ValueError:
        return text.strip()
    return number if np.isfinite(number) else text.strip()
