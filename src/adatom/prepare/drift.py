"""How far the specimen drifts from frame to frame of a movie, from its images alone.

Frames are registered to those one, two, four, ... frames before them by cross-correlation (scikit-image's
`phase_cross_correlation` without its whitening, which would weigh frequencies that hold only noise; to a fraction of a
pixel: Guizar-Sicairos et al. 2008, 10.1364/OL.33.000156), and all these shifts are brought together by least absolute
deviations: single registrations that went to a neighbouring period of the lattice are outvoted.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from adatom.data import check_image, pixel_size_nm
from adatom.errors import ShapeError

Array = NDArray[np.float64]

_FINENESS = 50  # of a pixel
_LONGEST_LAG = 16
_ROUNDS = 30
_SMOOTH_PX = 1.0


def find_drift(movie: xr.DataArray) -> Array:
    """Way of the specimen since the first frame.

    Parameters
    ----------
    movie : (frame, y, x).

    Returns
    -------
    (frame, 2) shifts along x and y, in nm where the movie is calibrated, else in px; 0 in the first frame. What lies at
    ``p`` in frame 0 lies at ``p + shift`` later.

    Raises
    ------
    ShapeError : if it is no movie.

    Notes
    -----
    A perfect lattice looks the same after a whole period: from frame to frame it may move by less than half of one.
    """
    movie = check_image(movie)
    if movie.dims != ("frame", "y", "x"):
        raise ShapeError(f"movie: expected (frame, y, x), got {movie.dims}.")
    size_y, size_x = pixel_size_nm(movie) or (1.0, 1.0)
    frames = [_framed(np.asarray(movie.isel(frame=k), float)) for k in range(movie.sizes["frame"])]
    pairs, shifts = [], []
    lag = 1
    while lag < len(frames) and lag <= _LONGEST_LAG:
        for k in range(lag, len(frames)):
            pairs.append((k - lag, k))
            shifts.append(_shift(frames[k - lag], frames[k]))
        lag *= 2
    if not pairs:
        return np.zeros((len(frames), 2))
    return _agreed(np.array(pairs), np.array(shifts), len(frames)) * [size_x, size_y]


def _framed(values: Array) -> Array:
    """A frame without what does not move with the specimen: its mean, the level of each line, its border."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values)
    values = np.where(known, values, np.median(values[known]))
    values = values - np.median(values, axis=1, keepdims=True)
    values = ndimage.gaussian_filter(values, _SMOOTH_PX)
    window: Array = np.outer(np.hanning(values.shape[0] + 2)[1:-1], np.hanning(values.shape[1] + 2)[1:-1])
    framed: Array = (values - np.average(values, weights=window)) * window
    return framed


def _shift(before: Array, after: Array) -> tuple[float, float]:
    """Of the content from one frame to the other, along (x, y) [px]."""
    from skimage.registration import phase_cross_correlation

    if not (before.any() and after.any()):
        return 0.0, 0.0
    y, x = phase_cross_correlation(after, before, upsample_factor=_FINENESS, normalization=None)[0]
    return float(x), float(y)


def _agreed(pairs: NDArray[np.int64], shifts: Array, n: int) -> Array:
    """Places (n, 2) of frames, whose differences are the shifts (m, 2) of the pairs (m, 2) but for few outliers."""
    design = np.zeros((len(pairs), n))
    rows = np.arange(len(pairs))
    design[rows, pairs[:, 1]], design[rows, pairs[:, 0]] = 1.0, -1.0
    design = design[:, 1:]  # the first frame is at 0
    weight = np.ones(len(pairs))
    places: Array = np.zeros((n - 1, 2))
    for _ in range(_ROUNDS):
        root = np.sqrt(weight)[:, None]
        places = np.asarray(np.linalg.lstsq(design * root, shifts * root, rcond=None)[0], np.float64)
        weight = 1 / np.maximum(np.linalg.norm(design @ places - shifts, axis=1), 0.5 / _FINENESS)
    return np.vstack([np.zeros(2), places])
