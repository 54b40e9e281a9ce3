"""Gwyddion gwy: nested objects of named and typed items; each data field of the top container is a channel.

Written after Gwyddion's public description of the format. Lengths and units are in SI; a field has its real size, so
the size of a pixel is that over the number of pixels. Rows stand from the top down.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel, both_sides, distinct_names
from adatom.files.hdf5_tree import as_nm

_MAGIC = b"GWYP"
_MAX_DEPTH = 8
_MAX_ITEMS = 100_000
_MAX_TEXT = 10_000
_SCALARS = {"b": ("<?", 1), "c": ("<c", 1), "i": ("<i", 4), "q": ("<q", 8), "d": ("<d", 8)}
_ARRAY_BYTES = {"C": 1, "I": 4, "Q": 8, "D": 8}
_DTYPE = np.dtype("<f8")


class _Place:
    """An array of doubles in the file."""

    def __init__(self, offset: int, count: int) -> None:
        self.offset, self.count = offset, count


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins with the magic number of Gwyddion."""
    return head.startswith(_MAGIC + b"GwyContainer\x00")


def read_channels(path: Path) -> list[Channel]:
    """Describe the data fields in the order of their numbers, named by their titles."""
    with open(path, "rb") as file:
        file.seek(len(_MAGIC))
        _, items = _read_object(path, file, path.stat().st_size, 0)
    fields = []
    for key in items:
        label = key.removeprefix("/").removesuffix("/data")
        if label.isdecimal() and isinstance(items[key], tuple) and items[key][0] == "GwyDataField":
            fields.append((int(label), items[key][1]))
    if not fields:
        raise FileFormatError(f"{path.name}: expected a data field in this Gwyddion file, got none.")
    fields.sort(key=lambda each: each[0])
    titles = [items.get(f"/{number}/data/title") for number, _ in fields]
    names = distinct_names([title if isinstance(title, str) and title else "Z" for title in titles])
    channels = []
    for name, (number, field) in zip(names, fields, strict=True):
        meta = items.get(f"/{number}/meta")
        facts = meta[1] if isinstance(meta, tuple) else {}
        channels.append(_channel(path, name, field, {k: v for k, v in facts.items() if isinstance(v, (str, float))}))
    return channels


def _channel(path: Path, name: str, field: dict[str, Any], metadata: dict[str, str | float]) -> Channel:
    n_x, n_y, data = field.get("xres"), field.get("yres"), field.get("data")
    if not isinstance(n_x, int) or not isinstance(n_y, int) or not isinstance(data, _Place) or data.count != n_x * n_y:
        raise FileFormatError(f"{path.name}: expected {n_x} x {n_y} values in the data field {name!r}, got others.")
    unit = _unit(field.get("si_unit_xy"))
    sizes = [
        as_nm(real / n, unit) if isinstance(real, float) and n > 0 else None
        for real, n in ((field.get("yreal"), n_y), (field.get("xreal"), n_x))
    ]

    def load(frame: int | None) -> np.ndarray:
        return np.fromfile(path, _DTYPE, count=n_x * n_y, offset=data.offset).reshape(n_y, n_x)

    pixel_size = both_sides(sizes)
    return Channel(
        name,
        (n_y, n_x),
        _DTYPE,
        load,
        _unit(field.get("si_unit_z")),
        pixel_size,
        metadata,
    )


def _unit(item: Any) -> str:
    text = item[1].get("unitstr", "") if isinstance(item, tuple) else ""
    return text if isinstance(text, str) else ""


def _read_object(path: Path, file: Any, end: int, depth: int) -> tuple[str, dict[str, Any]]:
    """Name and items of an object; arrays of doubles as places, other arrays left out."""
    name = _read_text(path, file, end)
    (size,) = struct.unpack("<I", _take(path, file, 4, end))
    inner = file.tell() + size
    if inner > end or depth > _MAX_DEPTH:
        raise FileFormatError(
            f"{path.name}: expected {size} bytes in the object {name[:40]!r}, got {end - file.tell()}. "
            "It is truncated or damaged: copy it again."
        )
    items: dict[str, Any] = {}
    for number, (key, value) in enumerate(_read_items(path, file, inner, depth)):
        if number > _MAX_ITEMS:
            raise FileFormatError(f"{path.name}: expected at most {_MAX_ITEMS} items, got more.")
        items[key] = value
    return name, items


def _read_items(path: Path, file: Any, end: int, depth: int) -> Iterator[tuple[str, Any]]:
    while file.tell() < end:
        key = _read_text(path, file, end)
        kind = _take(path, file, 1, end).decode("latin-1")
        if kind in _SCALARS:
            form, size = _SCALARS[kind]
            (value,) = struct.unpack(form, _take(path, file, size, end))
            yield key, value
        elif kind == "s":
            yield key, _read_text(path, file, end)
        elif kind == "o":
            yield key, _read_object(path, file, end, depth + 1)
        elif kind in "CIQDSO":
            (count,) = struct.unpack("<I", _take(path, file, 4, end))
            if kind in "SO":
                for _ in range(count):
                    if kind == "S":
                        _read_text(path, file, end)
                    else:
                        _read_object(path, file, end, depth + 1)
                continue
            offset, size = file.tell(), count * _ARRAY_BYTES[kind]
            if offset + size > end:
                raise FileFormatError(
                    f"{path.name}: expected {size} bytes of values in {key[:40]!r}, got {end - offset}. "
                    "It is truncated or damaged: copy it again."
                )
            file.seek(size, 1)
            if kind == "D":
                yield key, _Place(offset, count)
        else:
            raise FileFormatError(f"{path.name}: expected an item of a known type, got {kind!r}. It is damaged.")


def _take(path: Path, file: Any, size: int, end: int) -> bytes:
    content: bytes = file.read(size) if file.tell() + size <= end else b""
    if len(content) < size:
        raise FileFormatError(f"{path.name}: expected {size} more bytes, got the end. It is truncated or damaged.")
    return content


def _read_text(path: Path, file: Any, end: int) -> str:
    start = file.tell()
    content = file.read(min(_MAX_TEXT, end - start))
    stop = content.find(b"\x00")
    while stop < 0 and file.tell() < end and len(content) < 2**20:
        content += file.read(min(_MAX_TEXT, end - file.tell()))
        stop = content.find(b"\x00")
    if stop < 0:
        raise FileFormatError(f"{path.name}: expected a text that ends, got none. It is truncated or damaged.")
    file.seek(start + stop + 1)
    return str(content[:stop].decode("utf-8", errors="replace"))
