"""Levelling of an image that is too large to be looked at at once: learned from some of it, done to any part of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.prepare.level import has_line_offsets, line_jumps
from adatom.prepare.normalise import outlier_limits
from adatom.prepare.sample import median

Array = NDArray[np.float64]
Window = Callable[[slice, slice], Array]  # rows and columns, each with a start and a stop, to (y, x) values

_PARTS = 5  # of the image along each side, from each of which a block is taken
_SIDE = 256  # of a block, at most [px]
_COLUMNS, _BAND = 2048, 1024  # that tell offsets of lines, and the lines that are looked at at a time


@dataclass(frozen=True)
class Levelling:
    """Tilt, level and outliers of a whole image.

    Attributes
    ----------
    slope : along (y, x), per pixel.
    offset : median of what is left without the tilt.
    limits : values beyond these are outliers; None where there is no spread.
    lines : offsets (y,) of the scan lines; None where they are not offset.

    Notes
    -----
    Unlike `adatom.prepare.levelled` it takes no steps between terraces out.
    """

    slope: tuple[float, float]
    offset: float
    limits: tuple[float, float] | None
    lines: Array | None = None

    @classmethod
    def of(cls, window: Window, shape: tuple[int, int]) -> "Levelling":
        """As blocks from all over an image of this shape tell it; slopes as of `level_plane`, between blocks."""
        lags = [max(1, n // _PARTS) for n in shape]
        sides = [min(_SIDE, lag) for lag in lags]
        starts = [
            [k * lag for k in range(_PARTS) if k * lag + side <= n]
            for n, lag, side in zip(shape, lags, sides, strict=True)
        ]
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
        tilt = cls((slope[0], slope[1]), median(blocks), None)
        lines = _line_offsets(window, shape, tilt)
        if lines is not None:
            for row, top in enumerate(starts[0]):
                blocks[row] -= lines[top : top + sides[0], None]
        offset = median(blocks)
        return cls(tilt.slope, offset, outlier_limits(blocks - offset), lines)

    def apply(self, values: Array, top: int, left: int) -> Array:
        """Values (y, x) that begin at this row and column, levelled; NaN where nothing was measured."""
        values = np.asarray(values, dtype=float)
        values = np.where(np.isfinite(values), values, np.nan)
        values -= _plane(self.slope, top, left, values.shape)
        values -= self.offset
        if self.lines is not None:
            values -= self.lines[top : top + len(values), None]
        return values if self.limits is None else np.clip(values, *self.limits, out=values)


def _line_offsets(window: Window, shape: tuple[int, int], tilt: Levelling) -> Array | None:
    """Offsets of the scan lines, as `level_lines` sees them, by the columns in the middle."""
    rows, columns = shape
    n = min(columns, _COLUMNS)
    middle = slice((columns - n) // 2, (columns - n) // 2 + n)

    def lines(first: int, last: int, columns: slice) -> Array:
        return tilt.apply(window(slice(first, last), columns), first, columns.start)

    some = min(rows, _BAND)
    first = (rows - some) // 2
    if not has_line_offsets(lines(first, first + some, middle)):
        return None
    jumps = [line_jumps(lines(top, min(top + _BAND + 1, rows), middle)) for top in range(0, rows - 1, _BAND)]
    offsets = np.concatenate([[0.0], np.cumsum(np.concatenate(jumps))])
    return offsets - np.median(offsets)


def _plane(slope: tuple[float, float], top: int, left: int, shape: tuple[int, ...]) -> Array:
    rows, columns = np.arange(shape[0]) + top, np.arange(shape[1]) + left
    plane: Array = slope[0] * rows[:, None] + slope[1] * columns
    return plane
