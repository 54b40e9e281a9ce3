"""WSxM images (.top, .stp and others): a text header in sections, then little-endian numbers.

The header ends with ``[Header end]`` and says how large it is. Numbers are int16, float32 or float64; int16 are steps,
and ``Z Amplitude`` is the height that all of them span. WSxM stores the first row at the bottom and each row from right
to left, seen on its screen: both are turned, so that the picture is that of WSxM. The size of a pixel is the amplitude
of the axis over the number of pixels. Written after WSxM's public description of its file formats, and tested on files
made after it only.
"""

import re
from pathlib import Path

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel, both_sides
from adatom.files.hdf5_tree import as_nm

_MAX_HEADER_BYTES = 2**20
_MAX_SIDE = 2**16
_END = b"[Header end]"
_DTYPES = {"short": "<i2", "float": "<f4", "double": "<f8", "integer": "<i4"}


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins as those of WSxM do."""
    return re.match(rb"(?i)WSxM file copyright[^\n]*\n(SxM|STM)[^\n]*image file", head) is not None


def read_channels(path: Path) -> list[Channel]:
    """Describe the one picture."""
    with open(path, "rb") as file:
        start = file.read(_MAX_HEADER_BYTES)
    end = start.find(_END)
    end_of_line = start.find(b"\n", end)
    if end < 0 or end_of_line < 0:
        raise FileFormatError(f"{path.name}: expected a header that ends with [Header end], got none. It is truncated.")
    facts = _facts(start[:end].decode("cp1252", errors="replace"))
    told = re.search(r"Image header size:\s*(\d{1,9})", start[:end].decode("cp1252", errors="replace"))
    offset = int(told[1]) if told else end_of_line + 1
    n_y, n_x = (_whole(path, facts, f"General Info/Number of {lines}") for lines in ("rows", "columns"))
    dtype = np.dtype(_DTYPES.get(facts.get("General Info/Image Data Type", "short").lower(), "<i2"))
    claimed, held = n_y * n_x * dtype.itemsize, path.stat().st_size - offset
    if claimed > held or offset < end:
        raise FileFormatError(
            f"{path.name}: expected {claimed} bytes of values as its header says, got {held}. "
            "It is truncated or damaged: copy it again."
        )
    sizes = [_length(facts.get(f"Control/{axis} Amplitude", ""), n) for axis, n in (("Y", n_y), ("X", n_x))]
    height, units = _quantity(facts.get("General Info/Z Amplitude", ""))
    is_scaled = dtype.kind == "i" and height is not None

    def load(frame: int | None) -> np.ndarray:
        values = np.fromfile(path, dtype, count=n_y * n_x, offset=offset).reshape(n_y, n_x)[::-1, ::-1]
        if not is_scaled or height is None:
            return values
        numbers = values.astype(np.float64)
        span = float(np.ptp(numbers))
        return (numbers - numbers.min()) * (height / span if span else 0.0)

    history = ["turned by 180 degrees (WSxM stores the last row first, from right to left)"]
    history += [f"scaled the steps to a height of {height:.6g} {units}"] if is_scaled else []
    return [
        Channel(
            facts.get("General Info/Acquisition channel", "") or "Z",
            (n_y, n_x),
            np.dtype(np.float64) if is_scaled else dtype,
            load,
            units=units if height is not None else "",
            pixel_size=both_sides(sizes),
            metadata=dict(facts),
            history=tuple(history),
        )
    ]


def _facts(header: str) -> dict[str, str]:
    facts: dict[str, str] = {}
    section = ""
    for line in header.splitlines():
        named = re.fullmatch(r"\s*\[(.+)\]\s*", line)
        if named:
            section = named[1]
            continue
        key, colon, text = line.partition(":")
        if colon:
            facts[f"{section}/{key.strip()}"] = text.strip()
    return facts


def _whole(path: Path, facts: dict[str, str], key: str) -> int:
    text = facts.get(key, "")
    if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= _MAX_SIDE:
        raise FileFormatError(f"{path.name}: expected a whole number from 1 in {key}, got {text[:40]!r}.")
    return int(text)


def _quantity(text: str) -> tuple[float | None, str]:
    found = re.match(r"\s*([-+]?\d[\d.]*(?:[eE][-+]?\d{1,3})?)\s*(\S{0,8})", text)
    if not found or found[1].count(".") > 1:
        return None, ""
    return float(found[1]), {"Å": "angstrom", "A": "angstrom"}.get(found[2], found[2])


def _length(text: str, n: int) -> float | None:
    value, units = _quantity(text)
    return None if value is None else as_nm(value / n, units)
