"""Levelling of an image that is too large to be looked at at once: learned from some of it, done to any part of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.prepare.normalise import outlier_limits
from adatom.prepare.sample import median

Array = NDArray[np.float64]
Window = Callable[[slice, slice], Array]  # rows and columns, each with a start and a stop, to (y, x) values

_PARTS = 5  # of the image along each side, from each of which a block is taken
_SIDE = 256  # of a block, at most [px]


@dataclass(frozen=True)
class Levelling:
    """Tilt, level and outliers of a whole image.

    Attributes
    ----------
    slope : along (y, x), per pixel.
    offset : median of what is left without the tilt.
    limits : values beyond these are outliers; None where there is no spread.

    Notes
    -----
    Unlike `adatom.prepare.levelled` it takes neither steps between terraces nor offsets of scan lines out: what is so
    large is made by fast scans, or stitched of many.
    """

    slope: tuple[float, float]
    offset: float
    limits: tuple[float, float] | None

    @classmethod
    def of(cls, window: Window, shape: tuple[int, int]) -> "Levelling":
        """As blocks from all over an image of this shape tell it; slopes as of `level_plane`, between blocks."""
        lags = [max(1, n // _PARTS) for n in shape]
        sides = [min(_SIDE, lag) for lag in lags]
        starts = [[k * lag for k in range(_PARTS) if k * lag + side <= n] for n, lag, side in zip(shape, lags, sides, strict=True)]
        blocks = np.array(
            [
                [window(slice(top, top + sides[0]), slice(left, left + sides[1])) for left in starts[1]]
                for top in starts[0]
            ],
            dtype=float,
        )  # (row of blocks, column of blocks, y, x)
        blocks[~np.isfinite(blocks)] = np.nan
        slope = tuple(
            median(np.diff(blocks, axis=axis)) / lags[axis] if blocks.shape[axis] > 1 else 0.0 for axis in (0, 1)
        )
        for row, top in enumerate(starts[0]):
            for column, left in enumerate(starts[1]):
                blocks[row, column] -= _plane((slope[0], slope[1]), top, left, blocks.shape[2:])
        offset = median(blocks)
        return cls((slope[0], slope[1]), offset, outlier_limits(blocks - offset))

    def apply(self, values: Array, top: int, left: int) -> Array:
        """Values (y, x) that begin at this row and column, levelled; NaN where nothing was measured."""
        values = np.asarray(values, dtype=float)
        values = np.where(np.isfinite(values), values, np.nan)
        values -= _plane(self.slope, top, left, values.shape)
        values -= self.offset
        return values if self.limits is None else np.clip(values, *self.limits, out=values)


def _plane(slope: tuple[float, float], top: int, left: int, shape: tuple[int, ...]) -> Array:
    rows, columns = np.arange(shape[0]) + top, np.arange(shape[1]) + left
    plane: Array = slope[0] * rows[:, None] + slope[1] * columns
    return plane
