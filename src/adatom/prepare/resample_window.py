"""Resampling of a part of an image, to the very pixels that neighbouring parts have too."""

from collections.abc import Callable
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Array = NDArray[np.float64]

_LOBES = 3  # of the Lanczos kernel


def source_pixels(start: int, stop: int, factor: float, length: int) -> tuple[int, int]:
    """The pixels along an axis of this length, from and up to, that these pixels of the resampled axis need."""
    reach = ceil(_LOBES * max(1.0, 1 / factor)) + 1
    return max(0, floor(start / factor) - reach), min(length, ceil(stop / factor) + reach)


def resample_window(
    values: Array,
    origin: tuple[int, int],
    shape: tuple[int, int],
    factor: tuple[float, float],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> Array:
    """Pixels of a resampled image, from a part of it.

    Parameters
    ----------
    values : (y, x) part of the image, at least what `source_pixels` says; NaN where nothing was measured.
    origin : row and column of its first pixel in the image.
    shape : (y, x) of the image.
    factor : new pixels a pixel, along (y, x); whole numbers of pixels in all.
    rows, columns : the new pixels wanted, from and up to.

    Returns
    -------
    (y', x') as of `adatom.prepare.resample` of the whole image, to its single precision; to the last digit the same
    whichever part they are made from. NaN where nothing was measured.
    """
    known = np.isfinite(values)
    result = _both_ways(np.where(known, values, 0.0), origin, shape, factor, rows, columns, _lanczos, _LOBES)
    if not known.all():
        share = _both_ways(known.astype(float), origin, shape, factor, rows, columns, _triangle, 1)
        result[share < 0.5] = np.nan
    return result


def _both_ways(
    values: Array,
    origin: tuple[int, int],
    shape: tuple[int, int],
    factor: tuple[float, float],
    rows: tuple[int, int],
    columns: tuple[int, int],
    kernel: Callable[[Array], Array],
    support: int,
) -> Array:
    down, along = (
        _weights(span, factor[axis], origin[axis], values.shape[axis], shape[axis], kernel, support)
        for axis, span in enumerate((rows, columns))
    )
    result: Array = (along @ (down @ values).T).T
    return np.ascontiguousarray(result)


def _weights(
    span: tuple[int, int],
    factor: float,
    origin: int,
    n_there: int,
    length: int,
    kernel: Callable[[Array], Array],
    support: int,
) -> csr_array:
    """What each old pixel (of `n_there` from `origin` on) gives to each new one (of `span`)."""
    scale = max(1.0, 1 / factor)  # the kernel widens where the image shrinks, hence no aliasing
    centre = (np.arange(*span) + 0.5) / factor
    n_taps = 2 * ceil(support * scale) + 1
    first = np.floor(centre - support * scale + 0.5).astype(np.int64)
    pixel = first[:, None] + np.arange(n_taps)  # (new, tap)
    weight = kernel((pixel + 0.5 - centre[:, None]) / scale)
    weight[(pixel < 0) | (pixel >= length)] = 0.0
    weight /= weight.sum(axis=1, keepdims=True)
    number = pixel - origin
    there = (number >= 0) & (number < n_there) & (weight != 0)
    row = np.broadcast_to(np.arange(len(centre))[:, None], pixel.shape)
    return csr_array((weight[there], (row[there], number[there])), shape=(len(centre), n_there))


def _lanczos(x: Array) -> Array:
    result: Array = np.where(np.abs(x) < _LOBES, np.sinc(x) * np.sinc(x / _LOBES), 0.0)
    return result


def _triangle(x: Array) -> Array:
    result: Array = np.maximum(1 - np.abs(x), 0.0)
    return result
