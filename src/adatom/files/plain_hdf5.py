"""HDF5 that says nothing about itself: every data set with two or three axes is a channel, named for its path.

Asked last among the formats built on HDF5. Tables are two-dimensional too, so the first channel is the largest picture,
its history says that the file does not call it one, and nothing with a side below 8 is taken.
"""

from pathlib import Path

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel, most_image_like_first
from adatom.files.guard import HDF5_MAGIC
from adatom.files.hdf5_tree import check_dataset, flat_metadata, is_numeric, open_hdf5, text, walk, window_of

_LEAST_SIDE = 8


def sniff(head: bytes, path: Path) -> bool:
    """Whether it is an HDF5 file."""
    return head.startswith(HDF5_MAGIC)


def read_channels(path: Path) -> list[Channel]:
    """Describe the data sets that may be images."""
    channels = []
    with open_hdf5(path) as file:
        for place, thing in walk(file):
            if is_numeric(thing) and thing.ndim in (2, 3) and min(thing.shape[-2:]) >= _LEAST_SIDE and thing.shape[0]:
                check_dataset(path, thing)
                channels.append(
                    _channel(path, place, thing.shape, thing.dtype, text(thing, "units"), flat_metadata(thing))
                )
    if not channels:
        raise FileFormatError(
            f"{path.name}: expected an image in this HDF5 file, got none: no data set has two or three axes of "
            f"{_LEAST_SIDE} or more numbers."
        )
    return most_image_like_first(channels)


def _channel(
    path: Path, place: str, shape: tuple[int, ...], dtype: np.dtype, units: str, metadata: dict[str, str | float]
) -> Channel:
    def load(frame: int | None) -> np.ndarray:
        with open_hdf5(path) as file:
            values: np.ndarray = file[place][()] if frame is None else file[place][frame]
            return values

    history = (f"took the data set {place} for an image: the file does not say what it is",)
    window = window_of(path, place)
    return Channel(place, shape, dtype, load, units=units, metadata=metadata, history=history, window=window)
