"""Colour into one number a pixel."""

import numpy as np

LUMINANCE_STEP = "converted colour to luminance (0.299 R + 0.587 G + 0.114 B)"


def luminance(colours: np.ndarray) -> np.ndarray:
    """Luma of ITU-R BT.601, in the number type of `colours`; grey stays exactly the grey it was.

    Parameters
    ----------
    colours : (..., 3 or more) red, green, blue; what follows (alpha) is ignored.

    Returns
    -------
    (...)
    """
    # float32 holds every 16-bit number exactly, and half the memory matters for large pictures
    working = np.dtype("f4" if colours.dtype.itemsize <= 2 else "f8")
    total = np.zeros(colours.shape[:-1], dtype=working)
    for i, weight in enumerate((0.299, 0.587, 0.114)):
        total += weight * colours[..., i].astype(working)
    if colours.dtype.kind in "iu":
        limits = np.iinfo(colours.dtype)
        total = np.clip(np.rint(total), limits.min, limits.max)
    return total.astype(colours.dtype)
