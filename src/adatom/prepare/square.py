"""An image as everything after it wants it: square pixels, levelled, outliers tamed, what was not measured NaN."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data import pixel_size_nm
from adatom.errors import ArgumentError
from adatom.prepare.level import level_lines, level_plane
from adatom.prepare.levelling import Levelling
from adatom.prepare.normalise import tame_outliers
from adatom.prepare.resample import resample
from adatom.prepare.sample import is_large
from adatom.prepare.terraces import flatten_terraces
from adatom.prepare.unmeasured import blank_padding

Array = NDArray[np.float64]


def levelled(values: Array) -> Array:
    """(y, x) values without tilt, steps, offsets of lines and outliers; NaN where nothing was measured.

    All that a network sees, in training or later, went through this.
    """
    values = np.asarray(values, dtype=float)
    values = blank_padding(np.where(np.isfinite(values), values, np.nan))
    plane = level_plane(values)
    flat = flatten_terraces(plane)
    if flat is plane and is_large(values.shape):  # to the last digit as windows of it
        return Levelling.of(lambda rows, columns: values[rows, columns], values.shape).apply(values, 0, 0)
    return tame_outliers(level_lines(flat))


@dataclass(frozen=True)
class SquareImage:
    """A frame with square pixels, levelled, without outliers.

    `factor` says how many of them a pixel of the frame is, along (y, x).
    """

    values: Array
    factor: tuple[float, float]
    pixel_nm: float | None

    @classmethod
    def of(cls, frame: xr.DataArray) -> "SquareImage":
        size = pixel_size_nm(frame)
        values = levelled(frame.to_numpy())
        if size is None or abs(size[0] / size[1] - 1) < 0.01:
            return cls(values, (1.0, 1.0), None if size is None else float(np.sqrt(size[0] * size[1])))
        pixel = min(size)
        values, factor = resample(values, (size[0] / pixel, size[1] / pixel))
        return cls(values, factor, pixel)

    def px_of(self, length_nm: float | None) -> float | None:
        """A length that the user gave, in square pixels."""
        if length_nm is None:
            return None
        if self.pixel_nm is None:
            raise ArgumentError(
                "pixel size: expected an image that has one where a length in nm is given, got none. "
                "Give --pixel-size NM (pixel_size= in adatom.read)."
            )
        return length_nm / self.pixel_nm

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing but one value."""
        known = self.values[np.isfinite(self.values)]
        return known.size == 0 or bool(np.ptp(known) <= 1e-12 * np.abs(known).max())
