"""Resampling to a model's working scale, and positions back from there. The centre of the first pixel is (0, 0)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from adatom.errors import ArgumentError, ShapeError
from adatom.prepare.sample import median

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
    known = np.isfinite(values)
    if known.all():
        return _resize(values, shape), true_factor
    result = _resize(np.where(known, values, median(values)), shape)
    result[_resize(known.astype(float), shape, Image.Resampling.BILINEAR) < 0.5] = np.nan
    return result, true_factor


def local_mean(values: Array, sigma_px: float, limits: tuple[float, float] | None = None) -> Array:
    """Gaussian mean of (y, x) values without NaN; of wide Gaussians on a coarser grid, to better than a percent.

    `limits` are those of the values, where parts of an image are to agree to the last digit.
    """
    coarsening = max(1, min(8, int(sigma_px / 2.5)))
    shape = tuple(max(1, round(n / coarsening)) for n in values.shape)
    coarse = values if coarsening == 1 else _resize(values, shape, Image.Resampling.BOX, limits=limits)
    # the means over the coarser pixels have smoothed a little themselves
    shares = [few / many for few, many in zip(shape, values.shape, strict=True)]
    sigma = [np.sqrt((sigma_px * share) ** 2 - (1 - share**2) / 12) for share in shares]
    smooth: Array = ndimage.gaussian_filter(coarse, sigma, mode="reflect", truncate=3)
    return smooth if coarsening == 1 else _resize(smooth, values.shape, Image.Resampling.BILINEAR, limits=limits)


def _resize(
    values: Array,
    shape: tuple[int, ...],
    kernel: Image.Resampling = Image.Resampling.LANCZOS,
    limits: tuple[float, float] | None = None,
) -> NDArray[np.float64]:
    """Resize (y, x) with a kernel that widens where the image shrinks, hence no aliasing.

    Pixels are areas whose outer edges coincide, which is where the half pixels in `positions_back` come from. Pillow
    counts in float32: a huge offset would cost all digits, so it is taken out before.
    """
    low, high = (float(values.min()), float(values.max())) if limits is None else limits
    offset, scale = 0.5 * (low + high), (high - low) or 1.0
    picture = Image.fromarray(((values - offset) / scale).astype(np.float32))
    # a gap of 3: what becomes much smaller is averaged in blocks first, which is many times as fast and as good
    resized: Array = np.asarray(picture.resize((shape[1], shape[0]), kernel, reducing_gap=3.0), dtype=float)
    resized = resized * scale + offset
    return resized


def positions_back(positions: Array, factor: float) -> Array:
    """Positions [px] along one axis of a resampled image, in pixels of the original."""
    return (np.asarray(positions, dtype=float) + 0.5) / factor - 0.5
