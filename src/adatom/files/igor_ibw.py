"""Igor binary waves (ibw), version 5: one wave of two to four axes, x running fastest.

Microscopes of Asylum Research store the pictures of a scan as layers of one wave, labelled HeightRetrace, PhaseTrace
and so on: each labelled layer is a channel; layers without labels are the frames of one. Igor's y points up, so the
first row of the file is the bottom of the scan: rows are turned. The size of a pixel is the scale of the axis. Written
after WaveMetrics' technical note 003; waves of older versions are not read. Asylum keeps retrace lines from left to
right already.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import UNNAMED, Channel, both_sides, distinct_names
from adatom.files.hdf5_tree import as_nm

_BIN_BYTES, _WAVE_BYTES = 64, 320
_TYPES = {2: "f4", 4: "f8", 8: "i1", 16: "i2", 32: "i4", 128: "i8", 72: "u1", 80: "u2", 96: "u4", 192: "u8"}
_COMPLEX = 1
_MAX_AXES = 4
_MAX_NOTE = 2**20
# unit of the values by what stands at the beginning of a label, where the wave says none
_UNITS = {
    "height": "m",
    "zsensor": "m",
    "amplitude": "m",
    "deflection": "m",
    "phase": "deg",
    "current": "A",
    "frequency": "Hz",
}


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins with version 5 in either byte order, and the checksum of its headers is right."""
    if len(head) < _BIN_BYTES + _WAVE_BYTES or head[:2] not in (b"\x05\x00", b"\x00\x05"):
        return False
    order = "<" if head[0] == 5 else ">"
    words = np.frombuffer(head[: _BIN_BYTES + _WAVE_BYTES], f"{order}u2")
    return int(words.sum(dtype=np.uint64)) & 0xFFFF == 0


def read_channels(path: Path) -> list[Channel]:
    """Describe the layers of the wave."""
    with open(path, "rb") as file:
        head = file.read(_BIN_BYTES + _WAVE_BYTES)
        order = "<" if head[0] == 5 else ">"
        formula_size, note_size = struct.unpack_from(f"{order}ii", head, 8)
        extended_units = sum(max(size, 0) for size in struct.unpack_from(f"{order}5i", head, 16))
        label_sizes = struct.unpack_from(f"{order}4i", head, 36)
        wave = head[_BIN_BYTES:]
        n_points, kind = struct.unpack_from(f"{order}ih", wave, 12)
        name = wave[28:60].split(b"\x00")[0].decode("latin-1")
        lengths = list(struct.unpack_from(f"{order}4i", wave, 68))
        steps = struct.unpack_from(f"{order}4d", wave, 84)
        units = wave[148:152].split(b"\x00")[0].decode("latin-1")
        axis_units = [wave[152 + 4 * k : 156 + 4 * k].split(b"\x00")[0].decode("latin-1") for k in range(_MAX_AXES)]
        shape = tuple(n for n in lengths[: lengths.index(0)] if n) if 0 in lengths else tuple(lengths)
        if kind & _COMPLEX or kind not in _TYPES:
            raise FileFormatError(f"{path.name}: expected real numbers, got an Igor wave of type {kind}.")
        dtype = np.dtype(f"{order}{_TYPES[kind]}")
        if not 2 <= len(shape) <= 3 or min(shape) < 1:
            raise FileFormatError(f"{path.name}: expected an Igor wave with two or three axes, got the shape {shape}.")
        count, held = int(np.prod([int(n) for n in shape], dtype=object)), path.stat().st_size
        offset = _BIN_BYTES + _WAVE_BYTES
        end = offset + count * dtype.itemsize
        if n_points != count or end > held:
            raise FileFormatError(
                f"{path.name}: expected {count} values as its header says, got a file of {held} bytes. "
                "It is truncated or damaged: copy it again."
            )
        file.seek(end + max(formula_size, 0))
        note = file.read(min(max(note_size, 0), _MAX_NOTE)).decode("latin-1")
        labels = _layer_labels(
            file, end + max(formula_size, 0) + max(note_size, 0) + extended_units, label_sizes, shape
        )
    sizes = [
        as_nm(abs(step), unit) if np.isfinite(step) else None
        for step, unit in zip(steps[1::-1], axis_units[1::-1], strict=True)
    ]
    pixel_size = both_sides(sizes)
    metadata = _note_facts(note)
    turned = "flipped top to bottom (Igor's y points up)"

    def channel(label: str, layer: int | None) -> Channel:
        n_layers = shape[2] if len(shape) == 3 and layer is None else None
        plane = shape[0] * shape[1]

        def load(frame: int | None) -> np.ndarray:
            if n_layers is not None and frame is None:
                values = np.fromfile(path, dtype, count=count, offset=offset)
                return values.reshape(n_layers, shape[1], shape[0])[:, ::-1]
            first = (layer or 0) + (frame or 0)
            values = np.fromfile(path, dtype, count=plane, offset=offset + first * plane * dtype.itemsize)
            return values.reshape(shape[1], shape[0])[::-1]

        full = (shape[1], shape[0]) if n_layers is None else (n_layers, shape[1], shape[0])
        told = units or next((unit for word, unit in _UNITS.items() if label.lower().startswith(word)), "")
        return Channel(label, full, dtype, load, told, pixel_size, metadata, (turned,))

    if labels:
        return [channel(label, layer) for layer, label in enumerate(distinct_names(labels))]
    return [channel(name or UNNAMED, None)]


def _layer_labels(file: Any, start: int, label_sizes: tuple[int, ...], shape: tuple[int, ...]) -> list[str]:
    """Labels of the layers, or none unless each has one; `start` is where the labels of all axes begin."""
    if len(shape) != 3 or not 0 < label_sizes[2] <= 2**16:
        return []
    file.seek(start + max(label_sizes[0], 0) + max(label_sizes[1], 0))
    content = file.read(label_sizes[2])
    labels = [content[k : k + 32].split(b"\x00")[0].decode("latin-1") for k in range(0, len(content), 32)]
    labels = labels[1:]  # the first one belongs to the axis
    return labels[: shape[2]] if len(labels) >= shape[2] and all(labels[: shape[2]]) else []


def _note_facts(note: str) -> dict[str, str | float]:
    facts: dict[str, str | float] = {}
    for line in note.replace("\r", "\n").splitlines()[:2000]:
        key, colon, text = line.partition(":")
        if colon and key.strip():
            try:
                facts[key.strip()] = float(text)
            except ValueError:
                facts[key.strip()] = text.strip()[:1000]
    return facts
