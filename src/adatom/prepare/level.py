"""Levelling: take the sample's tilt and the offsets between scan lines out of an image, without being fooled by steps.

Both work on differences between pixels and take medians, so that a step edge or an island, which touches few of those
differences, does not bend the result the way a least-squares plane is bent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ShapeError
from adatom.prepare.sample import is_large, median

Array = NDArray[np.float64]
Window = Callable[[slice, slice], Array]  # rows and columns, each with a start and a stop, to (y, x) values

_ORDER = 8  # of the differences that tell offset lines from a lattice
_COLUMNS = 256
_PARTS, _SIDE = 5, 256  # of a large image, which tell its slope: along each side, and pixels of each at most


def level_plane(values: Array) -> Array:
    """Subtract the tilt of the terraces.

    Parameters
    ----------
    values : (y, x) heights or intensities; NaN where nothing was measured.

    Returns
    -------
    (y, x) with zero median. A step keeps its height: the slope is the median of the differences between pixels a fifth
    of the image apart, not a least-squares fit. (Neighbours would not do: atoms that rise steeply and fall gently, as
    a slow feedback draws them, have a median slope of their own.)
    """
    values = _check(values)
    if is_large(values.shape):
        slope_y, slope_x = Blocks.of(lambda rows, columns: values[rows, columns], values.shape).slopes()
    else:
        slope_y, slope_x = _slope(values), _slope(values.T)
    rows, columns = values.shape
    levelled = values - slope_y * np.arange(rows)[:, None] - slope_x * np.arange(columns)[None, :]
    return levelled - median(levelled)


@dataclass(frozen=True)
class Blocks:
    """Blocks from all over an image, which tell of a large one what all its pixels would.

    Attributes
    ----------
    values : (row of blocks, column of blocks, y, x); NaN where nothing was measured.
    tops, lefts : first row and first column of each.
    lags : pixels from one to the next, along (y, x).
    """

    values: Array
    tops: list[int]
    lefts: list[int]
    lags: tuple[int, int]

    @classmethod
    def of(cls, window: Window, shape: tuple[int, ...]) -> "Blocks":
        lags = (max(1, shape[0] // _PARTS), max(1, shape[1] // _PARTS))
        sides = [min(_SIDE, lag) for lag in lags]
        tops, lefts = (
            [k * lag for k in range(_PARTS) if k * lag + side <= n]
            for n, lag, side in zip(shape, lags, sides, strict=True)
        )
        values = np.array(
            [[window(slice(top, top + sides[0]), slice(left, left + sides[1])) for left in lefts] for top in tops],
            dtype=float,
        )
        values[~np.isfinite(values)] = np.nan
        return cls(values, tops, lefts, lags)

    def slopes(self) -> tuple[float, float]:
        """Median slopes along (y, x), between pixels of neighbouring blocks."""
        of_y, of_x = (
            median(np.diff(self.values, axis=axis)) / self.lags[axis] if self.values.shape[axis] > 1 else 0.0
            for axis in (0, 1)
        )
        return of_y, of_x


def level_lines(values: Array) -> Array:
    """Subtract the offset of each scan line, where lines are offset at all.

    The offset between two lines is the median of the differences of their pixels. Lattice rows parallel to the scan
    also move that median, smoothly; only when the offsets are rough (their change from line to line is larger than
    their noise and than their smooth part) are they taken for the instrument's, and subtracted.

    Parameters
    ----------
    values : (y, x), best levelled by `level_plane` before.

    Returns
    -------
    (y, x) with zero median; equal to the input but for a constant when the lines fit together already.
    """
    values = _check(values)
    if has_line_offsets(values):
        values = values - _line_offsets(values)[:, None]
    return values - median(values)


def has_line_offsets(values: Array) -> bool:
    """Whether scan lines are shifted against each other by more than noise and the lattice explain."""
    values = _check(values)
    rows, columns = values.shape
    if rows < 3 * _ORDER or columns < 8:
        return False
    if columns > _COLUMNS:  # those in the middle tell it as well
        first = (columns - _COLUMNS) // 2
        values, columns = values[:, first : first + _COLUMNS], _COLUMNS
    values = values - median(values)
    spread = median(np.abs(values)) or 1.0
    values = np.clip(values / spread, -1e6, 1e6).astype(np.float32)  # sorts several times as fast
    # White offsets are as rough in differences of any order; a hill, or atomic rows along the scan, which repeat
    # every few lines, all but vanish from differences of a high one.
    differences = np.diff(_line_offsets(values), n=_ORDER)
    rough = 1.4826 * np.median(np.abs(differences)) / np.sqrt(comb(2 * _ORDER, _ORDER))
    # What pixel noise alone would do to a median over one line, from differences that the offsets do not enter.
    along = np.diff(values, n=2, axis=1)
    noise = 1.4826 * median(np.abs(along)) / np.sqrt(6)
    expected = 1.2533 * noise / np.sqrt(columns)
    # The size of things in the image, again from differences along the lines only.
    size = 1.4826 * median(np.abs(values - _row_medians(values)[:, None]))
    return bool(rough > 4 * expected and rough > 0.15 * size)


def _line_offsets(values: Array) -> Array:
    """Offset of each line (y,) with zero median: cumulated medians of the differences to the measured line above."""
    measured = np.flatnonzero(np.isfinite(values).any(axis=1))
    if not measured.size:
        return np.zeros(len(values))
    jumps = line_jumps(values[measured])
    offsets = np.interp(np.arange(len(values)), measured, np.concatenate([[0.0], np.cumsum(jumps)]))
    return offsets - np.median(offsets)


def line_jumps(values: Array) -> Array:
    """From each line (y - 1,) to the next: the median of the differences of their pixels; 0 where nothing is known."""
    return _row_medians(np.diff(values, axis=0))


def _slope(values: Array) -> float:
    """Median slope along the first axis."""
    lag = max(1, len(values) // 5)
    return median(values[lag:] - values[:-lag]) / lag


def _row_medians(values: Array) -> Array:
    """Median of what is finite in each row; 0 where nothing is."""
    known = np.isfinite(values)
    ordered = np.sort(values if known.all() else np.where(known, values, np.nan), axis=1)  # NaN last
    n = known.sum(axis=1)
    rows = np.arange(len(values))
    middle = 0.5 * (ordered[rows, np.maximum(n - 1, 0) // 2] + ordered[rows, np.minimum(n // 2, values.shape[1] - 1)])
    return np.where(n > 0, middle, 0.0)


def _check(values: Array) -> Array:
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.size == 0:
        raise ShapeError(f"values: expected a (y, x) array, got shape {values.shape}.")
    return values
