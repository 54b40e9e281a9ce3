"""NumPy npz: the arrays with two or three axes are channels, named as they were saved. Nothing is ever unpickled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel
from adatom.files.zipped import is_zip, zipped_array, zipped_names

# a list of positions is a two-dimensional array too
_LEAST_SIDE = 8
_MAX_STACK = 3


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file is a zip whose members are npy files only."""
    if not is_zip(head):
        return False
    names = zipped_names(path)
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_channels(path: Path) -> list[Channel]:
    """Describe the arrays; those that are no images (fewer than 8 numbers along a side, other axes) are left out.

    The order is that of the file.
    """
    channels, others = [], []
    for name in zipped_names(path):
        shape, dtype, load = zipped_array(path, name)
        short = name.removesuffix(".npy")
        if len(shape) in (2, _MAX_STACK) and min(shape[-2:]) >= _LEAST_SIDE and shape[0] > 0 and dtype.kind in "fiub":
            channels.append(_channel(short, shape, dtype, load))
        else:
            others.append(f"{short} {dtype} {'x'.join(str(n) for n in shape)}")
    if not channels:
        raise FileFormatError(
            f"{path.name}: expected an array of real numbers with two or three axes, got {', '.join(others[:8])}."
        )
    return channels


def _channel(name: str, shape: tuple[int, ...], dtype: np.dtype, load_all: Callable[[], np.ndarray]) -> Channel:
    def load(frame: int | None) -> np.ndarray:
        values: np.ndarray = load_all()
        return values if frame is None else values[frame]

    return Channel(name, shape, dtype, load)
