"""What was never measured: the constant border that software puts around an image to fill a rectangle."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def blank_padding(values: Array) -> Array:
    """Make whole lines of one value at the border of (y, x) values NaN; a constant image stays as it is.

    Lines are taken off from each side as long as all their values are equal: a measured line has noise.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).any():
        return values
    if all(np.ptp(line) > 0 for line in (values[0], values[-1], values[:, 0], values[:, -1])):
        return values  # no padding on any side
    top, bottom = _measured(values)
    if top == bottom:
        return values
    left, right = _measured(values[top:bottom].T)
    if left == right:  # stripes: each of its columns has one value
        return values
    # with the columns of padding off, rows of padding show that began or ended in them
    first, last = _measured(values[:, left:right])
    result = np.full_like(values, np.nan)
    result[first:last, left:right] = values[first:last, left:right]
    return result


def _measured(values: Array) -> tuple[int, int]:
    """First and last + 1 of the lines whose values differ; equal if there is none."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=1)
    high = np.where(known, values, -np.inf).max(axis=1)
    varied = np.flatnonzero(high > low)
    return (int(varied[0]), int(varied[-1]) + 1) if len(varied) else (0, 0)
