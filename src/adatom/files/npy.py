"""NumPy npy: a (y, x) or (frame, y, x) array of numbers. Nothing is ever unpickled."""

from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format

from adatom.errors import FileFormatError
from adatom.files.channel import UNNAMED, Channel

_MAGIC = b"\x93NUMPY"


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins with the npy magic number."""
    return head.startswith(_MAGIC)


def read_channels(path: Path) -> list[Channel]:
    """Describe the one array of the file."""
    with open(path, "rb") as file:
        version = npy_format.read_magic(file)
        readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
        if version not in readers:
            raise FileFormatError(f"{path.name}: expected npy version 1.0 or 2.0, got {version[0]}.{version[1]}.")
        shape, is_fortran, dtype = readers[version](file)
        offset = file.tell()
    if dtype.hasobject:
        raise FileFormatError(
            f"{path.name}: expected an array of numbers, got Python objects, which are never unpickled. "
            "Save it again as an array of floats."
        )
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise FileFormatError(f"{path.name}: expected a (y, x) or (frame, y, x) array, got shape {shape}.")
    claimed, held = prod(shape) * dtype.itemsize, path.stat().st_size - offset
    if claimed > held:
        raise FileFormatError(
            f"{path.name}: expected {claimed} bytes of values as its header says, got {held}. "
            "It is truncated or damaged: copy it again."
        )

    def load(frame: int | None) -> np.ndarray:
        mapped = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if is_fortran else "C")
        return np.array(mapped if frame is None else mapped[frame], order="C")

    history = (f"ignored {held - claimed} bytes after the array",) if held > claimed else ()
    return [Channel(UNNAMED, tuple(shape), dtype, load, history=history)]
