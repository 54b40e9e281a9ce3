"""What an instrument does to a good image: blur, noise, a crooked grey scale, uneven ground, scan lines, gaps.

Each function takes an image (y, x), in which NaN is what was not measured and stays so, and returns another one.
Heights are in units of the image's contrast: from its first to its 99th percentile.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.prepare.resample import resample
from adatom.prepare.sample import median, sampled

Array = NDArray[np.float64]


def contrast_of(image: Array) -> tuple[float, float]:
    """The first percentile of what was measured, and how far above it the 99th is; 1 in a flat image."""
    low, high = np.percentile(finite, (1, 99)) if (finite := sampled(image)).size else (0.0, 1.0)
    return float(low), float(high - low) or 1.0


def blur(image: Array, sigma_px: float) -> Array:
    """A wider probe: convolution with a Gaussian."""
    return _beside_gaps(image, lambda values: ndimage.gaussian_filter(values, sigma_px)) if sigma_px else image


def coarsen(image: Array, share: float) -> Array:
    """Taken with `share` of the pixels along each side, and enlarged again."""
    if share == 1:
        return image
    coarse, _ = resample(image, (share, share))
    rows, columns = image.shape
    return resample(coarse, (rows / coarse.shape[0], columns / coarse.shape[1]))[0]


def shift_rows(image: Array, sigma_px: float, rng: np.random.Generator) -> Array:
    """Scan lines shifted at random along x, by a standard deviation of `sigma_px`; atoms stay where they truly are."""
    shift = rng.normal(0, sigma_px, len(image))
    if not sigma_px:
        return image
    rows, columns = np.indices(image.shape, dtype=float)
    places = [rows, columns - shift[:, None]]
    return _beside_gaps(image, lambda values: ndimage.map_coordinates(values, places, order=3, mode="nearest"))


def tilt_ground(image: Array, height: float, rng: np.random.Generator) -> Array:
    """A plane in any direction, and a broad hill or trough, each of a height up to `height`."""
    rows, columns = image.shape
    y, x = np.meshgrid(np.linspace(-0.5, 0.5, rows), np.linspace(-0.5, 0.5, columns), indexing="ij")
    direction = rng.uniform(0, 2 * np.pi)
    plane = rng.uniform(0, height) * (np.cos(direction) * x + np.sin(direction) * y)
    (at_y, at_x), width = rng.uniform(-0.5, 0.5, 2), rng.uniform(0.3, 0.8)
    hill = rng.uniform(-height, height) * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * width**2))
    return image + contrast_of(image)[1] * (plane + hill)


def bend_greys(image: Array, gamma: float) -> Array:
    """A crooked grey scale: values between the lowest and the highest to the power of `gamma`."""
    finite = image[np.isfinite(image)]
    if gamma == 1 or not finite.size or finite.min() == finite.max():
        return image
    low, span = finite.min(), np.ptp(finite)
    return np.asarray(low + span * ((image - low) / span) ** gamma)


def stretch_greys(image: Array, factor: float) -> Array:
    """More or less contrast about the median."""
    middle = median(image)
    return middle + factor * (image - middle)


def count(image: Array, counts: float, rng: np.random.Generator) -> Array:
    """Counted one by one: Poisson noise of an image whose contrast is worth `counts`, and its darkest part none."""
    low, contrast = contrast_of(image)
    expected = np.maximum(np.nan_to_num(image - low), 0) * (counts / contrast)
    return np.where(np.isfinite(image), low + rng.poisson(expected) * (contrast / counts), np.nan)


def add_noise(image: Array, sigma: float, rng: np.random.Generator) -> Array:
    """Gaussian noise, the same everywhere."""
    return image + sigma * contrast_of(image)[1] * rng.standard_normal(image.shape)


def offset_rows(image: Array, sigma: float, rng: np.random.Generator) -> Array:
    """Each scan line at a height of its own."""
    return image + sigma * contrast_of(image)[1] * rng.standard_normal((len(image), 1))


def salt_and_pepper(image: Array, share: float, rng: np.random.Generator) -> Array:
    """This share of the pixels at the lowest or the highest value."""
    low, contrast = contrast_of(image)
    chance = rng.random(image.shape)
    spoilt = np.where(chance < share / 2, low, np.where(chance < share, low + contrast, image))
    return np.where(np.isfinite(image), spoilt, np.nan)


def cut_out(image: Array, n: int, side_px: tuple[float, float], rng: np.random.Generator) -> Array:
    """`n` squares that were not measured (NaN), with sides drawn from `side_px`."""
    image = image.copy()
    for _ in range(n):
        side = max(1, round(rng.uniform(*side_px)))
        top, left = (int(rng.integers(1 - side, length)) for length in image.shape)
        image[max(0, top) : top + side, max(0, left) : left + side] = np.nan
    return image


def _beside_gaps(image: Array, change: Callable[[Array], Array]) -> Array:
    known = np.isfinite(image)
    if known.all():
        return change(image)
    return np.where(known, change(np.where(known, image, median(image))), np.nan)
