"""Open a file without reading its values, and read windows of it: for images and movies that do not fit in memory."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from adatom.data import make_image
from adatom.files.channel import Window
from adatom.files.reading import describe_movie, describe_one

__all__ = ["LazyImage", "LazyMovie", "open_lazily", "open_movie_lazily"]


@dataclass(frozen=True)
class LazyImage:
    """One picture in a file, of which any part can be read.

    Attributes
    ----------
    name : of the file.
    shape : (y, x).
    dtype : of the values.
    pixel_size : (y, x) [nm]; None if unknown.
    signal, units : what was measured, and the unit of the values.
    history : sentences on what was done to the values.
    is_lazy : whether only what is asked for is read; otherwise the picture was read whole.
    path : full name of the file.
    """

    name: str
    shape: tuple[int, int]
    dtype: np.dtype
    pixel_size: tuple[float, float] | None
    signal: str
    units: str
    history: tuple[str, ...]
    is_lazy: bool
    _window: Callable[[slice, slice], np.ndarray] = field(repr=False)
    path: Path = field(repr=False)
    _open: Callable[[], "LazyImage"] = field(repr=False)

    def window(self, rows: slice, columns: slice) -> np.ndarray:
        """Pixels (y, x) of these rows and columns; slices with a start and a stop."""
        return self._window(rows, columns)

    def unopened(self) -> "LazyImage":
        """The same without anything that is open: it can be pickled, and `reopened` elsewhere."""
        return replace(self, _window=_none)

    def reopened(self) -> "LazyImage":
        """The same picture, opened anew; errors as of `open_lazily`."""
        return self._open()


@dataclass(frozen=True)
class LazyMovie:
    """The frames of a file, of which any can be read without the others; attributes as of `LazyImage`, and

    Attributes
    ----------
    n_frames : how many there are; `shape` (y, x) is that of each.
    """

    name: str
    n_frames: int
    shape: tuple[int, int]
    dtype: np.dtype
    pixel_size: tuple[float, float] | None
    signal: str
    units: str
    history: tuple[str, ...]
    is_lazy: bool
    _window: Window = field(repr=False)
    path: Path = field(repr=False)
    _open: Callable[[], "LazyMovie"] = field(repr=False)

    def unopened(self) -> "LazyMovie":
        """The same without anything that is open, as of `LazyImage`."""
        return replace(self, _window=_none)

    def reopened(self) -> "LazyMovie":
        """The same movie, opened anew; errors as of `open_movie_lazily`."""
        return self._open()

    def window(self, frame: int, rows: slice, columns: slice) -> np.ndarray:
        """Pixels (y, x) of a frame."""
        return self._window(frame, rows, columns)

    def frame(self, number: int) -> xr.DataArray:
        """One frame (y, x), as `adatom.read` gives it."""
        values = self.window(number, slice(0, self.shape[0]), slice(0, self.shape[1]))
        return make_image(
            values, pixel_size=self.pixel_size, signal=self.signal, units=self.units, history=self.history
        )


def open_lazily(
    path: str | os.PathLike[str],
    *,
    channel: str | None = None,
    frame: int | None = None,
    pixel_size: float | tuple[float, float] | None = None,
) -> LazyImage:
    """Open one picture of a file; parameters and errors as of `adatom.read`, with a frame where there are several.

    Windows are read from npy, zarr, HDF5 (plain, NeXus, Nion, EMD, HyperSpy), dm3, dm4, MRC, and from TIFF that is not
    packed by LZW or JPEG; of those packed like that frames are read one by one.
    """
    described = describe_one(path, channel=channel, frame=frame, pixel_size=pixel_size)
    full = Path(path).resolve()
    again = partial(open_lazily, full, channel=channel, frame=frame, pixel_size=pixel_size)
    return LazyImage(**described, path=full, _open=again)


def open_movie_lazily(
    path: str | os.PathLike[str],
    *,
    channel: str | None = None,
    pixel_size: float | tuple[float, float] | None = None,
) -> LazyMovie:
    """Open the frames of a file; as `open_lazily`.

    Raises
    ------
    ArgumentError : if the channel has no frames.
    """
    described = describe_movie(path, channel=channel, pixel_size=pixel_size)
    full = Path(path).resolve()
    again = partial(open_movie_lazily, full, channel=channel, pixel_size=pixel_size)
    return LazyMovie(**described, path=full, _open=again)


def _none(*part: Any) -> np.ndarray:
    raise ValueError("what is not opened has no pixels")
