"""Resampling to a model's working scale, and positions back from there. The centre of the first pixel is (0, 0)."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.errors import ArgumentError, ShapeError

Array = NDArray[np.float64]


def resample(values: Array, factor: tuple[float, float]) -> tuple[Array, tuple[float, float]]:
    """Resample so that one pixel becomes `factor` pixels.

    Parameters
    ----------
    values : (y, x); NaN where nothing was measured stays NaN.
    factor : along (y, x); below 1 makes the image smaller, after a Gaussian that prevents aliasing.

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
    filled = np.where(known, values, np.median(values[known]) if known.any() else 0.0)
    sigma = [max(0.0, (1 / f - 1) / 2) for f in true_factor]
    smooth = ndimage.gaussian_filter(filled, sigma, mode="mirror") if any(sigma) else filled
    # grid_mode: pixels are areas whose outer edges coincide, hence the half pixels in positions_back
    result = ndimage.zoom(smooth, true_factor, output=float, order=3, mode="grid-mirror", grid_mode=True)
    if not known.all():
        mask = ndimage.zoom(known.astype(float), true_factor, order=1, mode="grid-mirror", grid_mode=True)
        result[mask < 0.5] = np.nan
    return result, true_factor


def positions_back(positions: Array, factor: float) -> Array:
    """Positions [px] along one axis of a resampled image, in pixels of the original."""
    return (np.asarray(positions, dtype=float) + 0.5) / factor - 0.5
