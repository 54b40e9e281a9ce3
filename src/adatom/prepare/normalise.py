"""Normalising: bring any image to the same local mean and the same contrast, whatever a few pixels do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ShapeError
from adatom.prepare.resample import local_mean
from adatom.prepare.sample import median, sampled, telling_parts

Array = NDArray[np.float64]


def normalise(values: Array, *, background_px: float, clip: float = 5.0, bend: float | None = None) -> Array:
    """Subtract the local background and divide by the image's own robust contrast.

    Parameters
    ----------
    values : (y, x), any unit; NaN where nothing was measured.
    background_px : standard deviation of the Gaussian that defines "local" [px]; about two atomic spacings.
    clip : values beyond this many standard deviations are cut, so that a hot pixel or an island is just "bright".
    bend : from about this many standard deviations on, values grow only with their logarithm (an inverse hyperbolic
        sine), so that of a few atoms that stand high above a quiet ground more is left than a cut; None: straight.

    Returns
    -------
    (y, x): median 0, standard deviation about 1 (1.4826 x median absolute deviation); 0 where `values` are NaN, and
    everywhere if the image is constant.
    """
    return normalise_with_contrast(values, background_px=background_px, clip=clip, bend=bend)[0]


def normalise_with_contrast(
    values: Array, *, background_px: float, clip: float = 5.0, bend: float | None = None
) -> tuple[Array, float]:
    """As `normalise`, with the contrast that was divided by, in the unit of `values`; 0 if the image is constant."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.size == 0:
        raise ShapeError(f"values: expected a (y, x) array, got shape {values.shape}.")
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values), 0.0
    flat = subtract_background(values, sigma_px=background_px)
    middle, contrast = contrast_of([flat[part] for part in telling_parts(flat.shape)])
    flat -= middle
    # Rounding is not contrast: that of a huge offset (one huge pixel is no offset), or beside a lonely step.
    if contrast <= max(1e-9 * abs(median(values)), 1e-12 * float(np.nanmax(np.abs(flat)))):
        return np.zeros_like(values), 0.0
    return _in_units(flat, contrast, clip, bend), contrast


def contrast_of(flat: Sequence[Array]) -> tuple[float, float]:
    """Median and robust standard deviation of an image without its background, by the `telling_parts` of it."""
    told = np.concatenate([part.ravel() for part in flat])
    middle = median(told)
    return middle, 1.4826 * median(np.abs(told - middle))


def normalise_by(flat: Array, middle: float, contrast: float, *, clip: float = 5.0, bend: float | None = None) -> Array:
    """As `normalise`, of a part without its background of an image of which `contrast_of` is known."""
    return np.zeros_like(flat) if contrast <= 0 else _in_units(flat - middle, contrast, clip, bend)


def _in_units(flat: Array, contrast: float, clip: float, bend: float | None) -> Array:
    """Values in units of the contrast, bent and cut; 0 where nothing was measured."""
    scaled = flat / contrast
    if bend is not None:
        scaled = bend * np.arcsinh(scaled / bend)
    return np.where(np.isfinite(flat), np.clip(scaled, -clip, clip), 0.0)


def subtract_background(values: Array, *, sigma_px: float, limits: tuple[float, float] | None = None) -> Array:
    """Subtract the local mean, a Gaussian of `sigma_px`; NaN stays NaN and takes no part.

    `limits` are those of outliers, where the values are part of an image of which they are known.

    An outlier does not dig a hole into its neighbourhood: it is tamed before the mean is taken, and in the result.
    """
    known = np.isfinite(values)
    if not known.any():
        return values.copy()
    if limits is None:
        tamed = np.where(known, tame_outliers(values) - median(values), 0.0)
    else:
        tamed = np.where(known, np.clip(values, *limits), 0.0)
    local = local_mean(tamed, sigma_px)
    if not known.all():
        local /= np.maximum(local_mean(known.astype(float), sigma_px), 1e-6)
    return np.where(known, tamed - local, np.nan)


def tame_outliers(values: Array) -> Array:
    """Cut what lies beyond 20 robust standard deviations of the image's median to that; NaN stays NaN.

    Before anything that spreads a pixel over others: a hot pixel resampled is a hot spot.
    """
    limits = outlier_limits(values)
    return values.copy() if limits is None else np.clip(values, *limits)


def outlier_limits(values: Array) -> tuple[float, float] | None:
    """What `tame_outliers` cuts values to, which a part of an image tells as well; None where they have no spread."""
    some = sampled(values)
    if not some.size:
        return None
    centre = float(np.median(some))
    middle, most = np.quantile(np.abs(some - centre), [0.5, 0.99])
    # a few atoms on a quiet ground, or on padding, are no outliers: of them the median deviation knows nothing
    spread = float(max(1.4826 * middle, most / 2.576))
    return (centre - 20 * spread, centre + 20 * spread) if spread > 0 else None
