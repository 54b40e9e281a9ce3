"""Windows of TIFF files: of plain numbers those pixels alone, of packed ones the tiles or strips that they lie in."""

import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.luminance import luminance


def open_tiff(path: Path) -> Any:
    """The file as tifffile has it."""
    import tifffile

    # Damage is told in our error: without a handler Python would print tifffile's remarks to the terminal too.
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return tifffile.TiffFile(path)


def one_sample(values: np.ndarray, axes: str) -> np.ndarray:
    """Luminance where the axis S is one of colours, else its first sample."""
    if "S" not in axes:
        return values
    values = np.moveaxis(values, axes.index("S"), -1)
    return luminance(values) if values.shape[-1] >= 3 else values[..., 0]


def pillow_frame(picture: Any, page: int, path: Path, dtype: np.dtype) -> np.ndarray:
    """A page as Pillow decodes it, (y, x); `picture` is the open file."""
    picture.seek(page)
    colours = len(picture.getbands()) >= 3
    values = np.array(picture.convert("RGB").convert("L") if colours else picture)
    values = values.reshape(*values.shape[:2], -1)[..., 0]
    if values.dtype.kind != dtype.kind or values.dtype.itemsize != dtype.itemsize:
        raise FileFormatError(
            f"{path.name}: expected {dtype} values that can be decompressed, got {values.dtype}. "
            "Save it without compression."
        )
    return values


@dataclass(frozen=True)
class PlainWindows:
    """Windows of one run of plain numbers.

    Attributes
    ----------
    offset, dtype, shape, axes : of the run; the last two axes but S are y and x.
    """

    path: Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]
    axes: str

    def __call__(self, frame: int | None, rows: slice, columns: slice) -> np.ndarray:
        mapped = np.memmap(self.path, self.dtype, mode="r", offset=self.offset, shape=self.shape)
        spatial = [k for k, axis in enumerate(self.axes) if axis != "S"]
        *before, y, x = spatial
        index: list[Any] = [slice(None)] * len(self.shape)
        index[y], index[x] = rows, columns
        places = np.unravel_index(frame or 0, [self.shape[k] for k in before]) if before else ()
        for k, place in zip(before, places, strict=True):
            index[k] = int(place)
        left = "".join(axis for k, axis in enumerate(self.axes) if k not in before)
        return one_sample(np.array(mapped[tuple(index)]), left)


class _Kept:
    """A file that stays open from the first use on: to follow the pages of a long movie for each frame takes long."""

    def __init__(self, open_it: Callable[[], Any]) -> None:
        self._open = open_it
        self._file: Any = None
        self.lock = Lock()  # to be held while the file is used

    def get(self) -> Any:
        if self._file is None:
            self._file = self._open()
            weakref.finalize(self, self._file.close)
        return self._file


class PackedWindows:
    """Windows of the pages of a series, each of them a frame."""

    def __init__(self, path: Path, number: int) -> None:
        self._number = number
        self._file = _Kept(lambda: open_tiff(path))

    def __call__(self, frame: int | None, rows: slice, columns: slice) -> np.ndarray:
        import zarr

        with self._file.lock:
            page = self._file.get().series[self._number].pages[frame or 0]
            axes = page.keyframe.axes
            height, width = (page.keyframe.shape[axes.index(axis)] for axis in "YX")
            if (rows, columns) == (slice(0, height), slice(0, width)):
                return one_sample(page.asarray(), axes)
            store = page.aszarr()
            try:
                stored: Any = zarr.open(store, mode="r")
                index = tuple({"Y": rows, "X": columns}.get(axis, slice(None)) for axis in axes)
                return one_sample(np.asarray(stored[index]), axes)
            finally:
                store.close()


class PillowWindows:
    """Windows of pages that Pillow decodes, each of them a frame: a frame at a time, the last one kept."""

    def __init__(self, path: Path, pages: list[int], dtype: np.dtype) -> None:
        from PIL import Image

        self._path, self._pages, self._dtype = path, pages, dtype
        self._file = _Kept(lambda: Image.open(path, formats=("TIFF",)))
        self._last: tuple[int, np.ndarray] | None = None

    def __call__(self, frame: int | None, rows: slice, columns: slice) -> np.ndarray:
        page = self._pages[frame or 0]
        with self._file.lock:
            if self._last is None or self._last[0] != page:
                self._last = (page, pillow_frame(self._file.get(), page, self._path, self._dtype))
            return self._last[1][rows, columns]
