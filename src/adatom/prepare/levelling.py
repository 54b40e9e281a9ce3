"""Levelling of an image that is too large to be looked at at once: learned from some of it, done to any part of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.prepare.level import Blocks, Window, has_line_offsets, line_jumps
from adatom.prepare.normalise import outlier_limits
from adatom.prepare.sample import median

Array = NDArray[np.float64]

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
        some = Blocks.of(window, shape)
        slope, blocks = some.slopes(), some.values
        sides = blocks.shape[2:]
        for row, top in enumerate(some.tops):
            for column, left in enumerate(some.lefts):
                blocks[row, column] -= _plane(slope, top, left, sides)
        tilt = cls(slope, median(blocks), None)
        lines = _line_offsets(window, shape, tilt)
        if lines is not None:
            for row, top in enumerate(some.tops):
                blocks[row] -= lines[top : top + sides[0], None]
        offset = median(blocks)
        return cls(tilt.slope, offset, outlier_limits(blocks - offset), lines)

    def apply(self, values: Array, top: int, left: int) -> Array:
        """Values (y, x) that begin at this row and column, levelled; NaN where nothing was measured."""
        values = np.asarray(values, dtype=float)
        values = np.where(np.isfinite(values), values, np.nan) - self.taken_out(values.shape, top, left)
        return values if self.limits is None else np.clip(values, *self.limits, out=values)

    def taken_out(self, shape: tuple[int, ...], top: int, left: int) -> Array:
        """What is subtracted from values of this shape (y, x) that begin at this row and column."""
        plane = _plane(self.slope, top, left, shape) + self.offset
        return plane if self.lines is None else plane + self.lines[top : top + shape[0], None]


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
