"""What must be known of an image before a network can learn from it alone: how far its noise repeats itself along scan
lines, and how far the frames of a movie moved.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

# Fourth differences: of structures as wide as atoms next to nothing is left, of white noise all.
_FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0]) / np.sqrt(70)
_LONGEST = 8  # [px]
_REPEATED = 0.1  # correlations below this are no reason to hide a pixel
_SURE = 4.0  # standard errors


def noise_run_px(values: Array) -> int:
    """Pixels to either side along a scan line whose noise is like that of the one between them; 0 for white noise.

    Parameters
    ----------
    values : (y, x), lines along x; 0 where not measured.

    Notes
    -----
    Fourth differences across the lines leave the noise; what they leave of atoms is as much along the one axis as along
    the other, so correlations along x count only so far as they exceed those of the same differences along y. Noise
    correlated in all directions is thus not seen: nothing tells it from atoms. Offsets of whole lines are left out.
    """
    along, across = _correlations(values), _correlations(values.T)
    least = max(_REPEATED, _SURE / np.sqrt(values.size))
    repeated = along - np.maximum(across, 0.0) > least
    return _LONGEST if repeated.all() else int(np.argmin(repeated))


def _correlations(values: Array) -> Array:
    """Of neighbours 1, 2, ... pixels along x, after differences along y."""
    left = ndimage.correlate1d(values, _FOURTH, axis=0)[2:-2]
    left = left - left.mean(axis=1, keepdims=True)
    spread = 3 * left.std()
    left = np.clip(left, -spread, spread)
    power = float((left**2).mean())
    lags = range(1, min(_LONGEST, left.shape[1] - 2) + 1)
    return np.array([float((left[:, lag:] * left[:, :-lag]).mean()) / power if power else 0.0 for lag in lags])


def movie_shifts(frames: list[Array], *, largest: int) -> list[tuple[int, int]]:
    """How far each frame but the first moved against the one before it, in whole pixels (rows, columns).

    A shift of more than `largest` pixels is not believed: it counts as none.
    """
    shifts = []
    windows = np.hanning(frames[0].shape[0])[:, None] * np.hanning(frames[0].shape[1])
    spectra = [np.fft.rfft2(frame * windows) for frame in frames]
    for before, after in pairwise(spectra):
        correlation = np.fft.irfft2(after * np.conj(before), s=frames[0].shape)
        top = np.unravel_index(int(correlation.argmax()), correlation.shape)
        shift = [int(at) if at <= n // 2 else int(at) - n for at, n in zip(top, correlation.shape, strict=True)]
        shifts.append((shift[0], shift[1]) if max(map(abs, shift)) <= largest else (0, 0))
    return shifts
