"""Vertex component analysis: the purest pixels of a spectrum image.

Spectra that are mixtures, with shares that sum up to 1, fill a simplex whose corners are the pure spectra. The farthest
pixel along a direction is a corner; each next direction is at right angles to the corners found so far (Nascimento &
Bioucas Dias, IEEE Trans. Geosci. Remote Sens. 43, 898 (2005), 10.1109/TGRS.2005.844293).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STARTS = 8


def purest(scores: Array, n: int, *, random_state: int = 0) -> NDArray[np.int64]:
    """Numbers (n,) of the pixels that are nearest to pure.

    Parameters
    ----------
    scores : (pixel, n - 1 or more) principal components of the spectra, the mean taken out, strongest first.
    n : number of pure spectra.

    Notes
    -----
    Directions are random, so it is done from eight starts, and the corners that span the largest volume are taken.
    """
    if n == 1:
        return np.array([int(np.argmin((scores**2).sum(axis=1)))])
    flat = scores[:, : n - 1]
    # one coordinate more, the same for all, makes corners linearly independent
    lifted = np.column_stack([flat, np.full(len(flat), np.linalg.norm(flat, axis=1).max() or 1.0)])  # (pixel, n)
    rng = np.random.default_rng(random_state)
    best, largest = np.zeros(n, np.int64), -1.0
    for _ in range(_STARTS):
        corners = _corners(lifted, n, rng)
        volume = abs(float(np.linalg.det(lifted[corners])))
        if volume > largest:
            best, largest = corners, volume
    return best


def _corners(lifted: Array, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    found = np.zeros(n, np.int64)
    basis = np.zeros((n, n))
    basis[-1, 0] = 1.0
    for k in range(n):
        direction = rng.standard_normal(n)
        direction -= basis @ np.linalg.lstsq(basis, direction, rcond=None)[0]
        found[k] = int(np.abs(lifted @ direction).argmax())
        basis[:, k] = lifted[found[k]]
    return found
