"""A spectrum image as blocks of pixels, so that one larger than memory is gone through piece by piece.

Where the values are a dask array (or anything else that is computed when it is sliced and converted), each block is
computed when its turn comes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data import check_image
from adatom.data.spectrum_image import SPECTRAL_DIMENSIONS
from adatom.errors import ArgumentError, ShapeError

Array = NDArray[np.float64]

# Sum of values below 0 in that of all, up to which they are noise around 0.
NEGATIVE = 0.05
_BLOCK_NUMBERS = 2**24  # values in memory at a time, 128 MiB


@dataclass(frozen=True)
class SpectrumBlocks:
    """Spectra of the pixels that are used.

    Attributes
    ----------
    image : (y, x, channel).
    axis : name of the spectral axis.
    used : (y, x) pixels that are measured and not masked.
    """

    image: xr.DataArray
    axis: str
    used: NDArray[np.bool_]

    @property
    def n_channels(self) -> int:
        """Length of a spectrum."""
        return int(self.image.shape[2])

    @property
    def n_used(self) -> int:
        """Number of pixels."""
        return int(self.used.sum())

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], Array]]:
        """Numbers of pixels among those used, and their spectra (pixel, channel), block by block."""
        start = 0
        for rows in _row_blocks(self.image):
            kept = self.used[rows]
            n = int(kept.sum())
            if n:
                yield np.arange(start, start + n), np.asarray(self.image.data[rows], dtype=float)[kept]
            start += n

    def maps(self, values: Array) -> Array:
        """Numbers (pixel, component) as maps (component, y, x), NaN at pixels that are not used."""
        maps = np.full((values.shape[1], *self.used.shape), np.nan)
        maps[:, self.used] = values.T
        return maps


def spectrum_blocks(image: xr.DataArray, mask: Any = None) -> SpectrumBlocks:
    """Check a spectrum image, and find its measured pixels.

    Parameters
    ----------
    mask : (y, x) True at pixels to leave out.

    Raises
    ------
    ShapeError : if the dimensions are not y, x and one of energy, bias and time, or the mask's not y, x.
    ArgumentError : if fewer than three pixels are left.
    """
    image = check_image(image)
    axes = [name for name in SPECTRAL_DIMENSIONS if name in image.dims]
    if len(axes) != 1 or image.ndim != 3:
        raise ShapeError(
            f"image: expected dimensions y, x and one of {', '.join(SPECTRAL_DIMENSIONS)}, got {image.dims}."
        )
    image = image.transpose("y", "x", axes[0])
    if image.shape[2] < 2:
        raise ShapeError(f"image: expected 2 channels or more, got {image.shape[2]}.")
    used = np.ones(image.shape[:2], dtype=bool)
    if mask is not None:
        out = np.asarray(mask)
        if out.shape != used.shape or out.dtype != bool:
            raise ShapeError(f"mask: expected True and False of shape {used.shape}, got {out.dtype} of {out.shape}.")
        used = ~out
    for rows in _row_blocks(image):
        used[rows] &= np.isfinite(np.asarray(image.data[rows], dtype=float)).all(axis=-1)
    if used.sum() < 3:
        raise ArgumentError(f"image: expected 3 pixels or more with whole spectra, got {int(used.sum())}.")
    return SpectrumBlocks(image, axes[0], used)


def _row_blocks(image: xr.DataArray) -> list[slice]:
    n_rows, per_row = image.shape[0], image.shape[1] * image.shape[2]
    step = max(1, _BLOCK_NUMBERS // per_row)
    return [slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step)]


def outlying_pixels(image: xr.DataArray, *, deviations: float = 5.0) -> NDArray[np.bool_]:
    """Mask (y, x) of pixels that are much stronger than the others, as where a fit failed or a cosmic ray struck.

    Parameters
    ----------
    image : spectrum image, see `spectrum_blocks`.
    deviations : a pixel is outlying if its largest distance from the median spectrum is so many robust standard
        deviations (1.48 times the median absolute deviation) above what is usual.

    Notes
    -----
    Look at what it leaves out: a small bright phase is outlying too.
    """
    blocks = spectrum_blocks(image)
    some = np.concatenate([values[:: max(1, len(values) * blocks.n_channels // 2**20)] for _, values in blocks])
    middle = np.median(some, axis=0)
    away = np.concatenate([np.abs(values - middle).max(axis=1) for _, values in blocks])
    centre = float(np.median(away))
    limit = centre + deviations * max(1.4826 * float(np.median(np.abs(away - centre))), 1e-9 * centre)
    mask = np.zeros(blocks.used.shape, dtype=bool)
    mask[blocks.used] = away > limit
    return mask


def has_negative_values(image: xr.DataArray, mask: NDArray[np.bool_] | None = None) -> bool:
    """Whether more than the noise around 0 is below 0, so that the values are no counts."""
    below, size = 0.0, 0.0
    for _, values in spectrum_blocks(image, mask):
        below += float(-np.minimum(values, 0).sum())
        size += float(np.abs(values).sum())
    return below > NEGATIVE * size
