"""NumPy npy: a (y, x) or (frame, y, x) array of numbers. Nothing is ever unpickled."""

from math import prod
from pathlib import Path

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import UNNAMED, Channel
from adatom.files.zipped import npy_header

_MAGIC = b"\x93NUMPY"


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins with the npy magic number."""
    return head.startswith(_MAGIC)


def read_channels(path: Path) -> list[Channel]:
    """Describe the one array of the file."""
    with open(path, "rb") as file:
        shape, is_fortran, dtype = npy_header(path, file)
        offset = file.tell()
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise FileFormatError(f"{path.name}: expected a (y, x) or (frame, y, x) array, got shape {shape}.")
    claimed, held = prod(shape) * dtype.itemsize, path.stat().st_size - offset
    if claimed > held:
        raise FileFormatError(
            f"{path.name}: expected {claimed} bytes of values as its header says, got {held}. "
            "It is truncated or damaged: copy it again."
        )

    def mapped(frame: int | None) -> np.ndarray:
        values = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if is_fortran else "C")
        return values if frame is None else values[frame]

    def load(frame: int | None) -> np.ndarray:
        return np.array(mapped(frame), order="C")

    def window(frame: int | None, rows: slice, columns: slice) -> np.ndarray:
        return np.array(mapped(frame)[rows, columns], order="C")

    history = (f"ignored {held - claimed} bytes after the array",) if held > claimed else ()
    return [Channel(UNNAMED, shape, dtype, load, history=history, window=window)]
