"""What a loop that lags makes of what it follows along the scan."""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Array = NDArray[np.float64]


def follow(surface: Array, lag_px: float) -> Array:
    """What a feedback loop makes of a surface (y, x) that it follows along x, with a lag of first order [px]."""
    if lag_px <= 0:
        return surface
    kept = np.exp(-1 / lag_px)
    start = kept * surface[:, :1]  # settled at the start of each line
    followed: Array = signal.lfilter([1 - kept], [1, -kept], surface, axis=1, zi=start)[0]
    return followed
