"""The range of an image: from its least to its greatest value."""

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ShapeError

Array = NDArray[np.float64]


def scale_to_range(values: Array) -> tuple[Array, float]:
    """Bring an image to 0..1, by its least and its greatest value, whatever single pixels do; also its range.

    Parameters
    ----------
    values : (y, x), any unit; NaN where nothing was measured.

    Returns
    -------
    (y, x) from 0 to 1; 0 where `values` are NaN, and everywhere if the image is constant (then the range is 0).
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.size == 0:
        raise ShapeError(f"values: expected a (y, x) array, got shape {values.shape}.")
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values), 0.0
    least, greatest = float(values[known].min()), float(values[known].max())
    if greatest == least:
        return np.zeros_like(values), 0.0
    return np.where(known, (values - least) / (greatest - least), 0.0), greatest - least
