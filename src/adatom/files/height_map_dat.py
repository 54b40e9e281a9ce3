"""Height maps as bare numbers: two little-endian uint32 (rows, columns), then float64 heights in metres, row by row.

The form in which the STM topographs of Si(111)-7x7 of access2theMatrix come. It has no magic number and no pixel size,
so a file counts as one only if its size is exactly what its first eight bytes say.
"""

import struct
from pathlib import Path

import numpy as np

from adatom.files.channel import Channel

_HEADER = struct.Struct("<II")
_MAX_SIDE = 65536


def sniff(head: bytes, path: Path) -> bool:
    """Whether rows and columns are plausible and account for the size of the file to the byte."""
    if len(head) < _HEADER.size:
        return False
    n_rows, n_columns = _HEADER.unpack_from(head)
    plausible = 1 <= n_rows <= _MAX_SIDE and 1 <= n_columns <= _MAX_SIDE
    return plausible and path.stat().st_size == _HEADER.size + 8 * n_rows * n_columns


def read_channels(path: Path) -> list[Channel]:
    """Describe the one topograph of the file."""
    with open(path, "rb") as file:
        shape = _HEADER.unpack(file.read(_HEADER.size))
    dtype = np.dtype("<f8")

    def load(frame: int | None) -> np.ndarray:
        return np.fromfile(path, dtype, count=shape[0] * shape[1], offset=_HEADER.size).reshape(shape)

    return [Channel("Z", shape, dtype, load, units="m")]
