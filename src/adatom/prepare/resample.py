"""Resampling to a model's working scale, and positions back from there. The centre of the first pixel is (0, 0)."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.sparse import csr_array

from adatom.errors import ArgumentError, ShapeError
from adatom.prepare.resample_window import resample_window
from adatom.prepare.sample import is_large, median

Array = NDArray[np.float64]


def resample(values: Array, factor: tuple[float, float]) -> tuple[Array, tuple[float, float]]:
    """Resample so that one pixel becomes `factor` pixels.

    Parameters
    ----------
    values : (y, x); NaN where nothing was measured stays NaN.
    factor : along (y, x); below 1 makes the image smaller, without aliasing.

    Returns
    -------
    (y', x') and the factor that whole pixels allowed along each axis, for `positions_back`.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.size == 0:
        raise ShapeError(f"values: expected a (y, x) array, got shape {values.shape}.")
    if not all(np.isfinite(f) and f > 0 for f in factor):
        raise ArgumentError(f"factor: expected positive numbers, got {factor}.")
    shape = tuple(max(1, round(n * f)) for n, f in zip(values.shape, factor, strict=True))
    true_factor = (shape[0] / values.shape[0], shape[1] / values.shape[1])
    if shape == values.shape:
        return values.copy(), true_factor
    if is_large(values.shape):  # which others resample by windows
        spans = [(0, n) for n in shape]
        return resample_window(values, (0, 0), values.shape, true_factor, *spans), true_factor
    known = np.isfinite(values)
    if known.all():
        return _resize(values, shape), true_factor
    result = _resize(np.where(known, values, median(values)), shape)
    result[_resize(known.astype(float), shape, Image.Resampling.BILINEAR) < 0.5] = np.nan
    return result, true_factor


def local_mean(values: Array, sigma_px: float) -> Array:
    """Gaussian mean of (y, x) values without NaN; of wide Gaussians on a coarser grid, to better than a percent.

    The grid's cells are whole pixels from the first on, and all is counted in double precision: parts of an image that
    begin at a multiple of `mean_cell` have the means of the whole image.
    """
    cell = mean_cell(sigma_px)
    if cell == 1:
        smooth: Array = ndimage.gaussian_filter(values, sigma_px, mode="reflect", truncate=3)
        return smooth
    padded = np.pad(values, [(0, -n % cell) for n in values.shape], mode="symmetric")
    rows, columns = (n // cell for n in padded.shape)
    coarse = padded.reshape(rows, cell, columns, cell).mean(axis=(1, 3))
    # the means over the cells have smoothed a little themselves
    sigma = np.sqrt((sigma_px / cell) ** 2 - (1 - cell**-2) / 12)
    coarse = ndimage.gaussian_filter(coarse, sigma, mode="reflect", truncate=3)
    along = _between(columns, cell)[: values.shape[1]]
    return np.ascontiguousarray((along @ (_between(rows, cell)[: values.shape[0]] @ coarse).T).T)


@lru_cache(maxsize=32)
def _between(n: int, cell: int) -> csr_array:
    """Linear interpolation between the middles of n cells, at each of their pixels: (pixels, cells)."""
    place = (np.arange(n * cell) + 0.5) / cell - 0.5
    low = np.clip(np.floor(place), 0, max(0, n - 2)).astype(np.int64)
    share = np.clip(place - low, 0.0, 1.0)
    high = np.minimum(low + 1, n - 1)
    pixel = np.arange(n * cell)
    weights = np.concatenate([1 - share, share])
    return csr_array((weights, (np.tile(pixel, 2), np.concatenate([low, high]))), shape=(n * cell, n))


def mean_cell(sigma_px: float) -> int:
    """The coarser pixels, in pixels, that `local_mean` takes a mean of this width on."""
    return max(1, min(8, int(sigma_px / 2.5)))


def _resize(
    values: Array, shape: tuple[int, ...], kernel: Image.Resampling = Image.Resampling.LANCZOS
) -> NDArray[np.float64]:
    """Resize (y, x) with a kernel that widens where the image shrinks, hence no aliasing.

    Pixels are areas whose outer edges coincide, which is where the half pixels in `positions_back` come from. Pillow
    counts in float32: a huge offset would cost all digits, so it is taken out before.
    """
    low, high = float(values.min()), float(values.max())
    offset, scale = 0.5 * (low + high), (high - low) or 1.0
    picture = Image.fromarray(((values - offset) / scale).astype(np.float32))
    # a gap of 3: what becomes much smaller is averaged in blocks first, which is many times as fast and as good
    resized: Array = np.asarray(picture.resize((shape[1], shape[0]), kernel, reducing_gap=3.0), dtype=float)
    resized = resized * scale + offset
    return resized


def positions_back(positions: Array, factor: float) -> Array:
    """Positions [px] along one axis of a resampled image, in pixels of the original."""
    return (np.asarray(positions, dtype=float) + 0.5) / factor - 0.5
