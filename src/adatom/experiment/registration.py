"""How far a sample went between two scans of one frame."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from adatom.prepare.drift import find_drift

Array = NDArray[np.float64]

_ROUNDS = 30
_SMOOTH_PX = (2.0, 1.0)  # first for the way, then for the end
_CLOSE_PX = 1e-3


def shift_between(before: xr.DataArray, after: xr.DataArray) -> tuple[float, float]:
    """The way of what both show, along x and y [nm].

    Parameters
    ----------
    before, after : (y, x) of the same pixels; what lay at ``p`` in the first lies at ``p + shift`` in the second.

    Notes
    -----
    Cross-correlation (`adatom.prepare.drift`) finds the way of lattices and grains, but takes the level of each line
    for an artefact, which with a few large domains it is not. From there, and from no way at all, the squared
    difference of the overlap is made smallest (Gauss-Newton); the smaller one wins. Levels of the whole image do not
    count.
    """
    first, second = before.to_numpy().astype(float), after.to_numpy().astype(float)
    size = np.array([float(before["y"][1] - before["y"][0]), float(before["x"][1] - before["x"][0])])
    frames = xr.DataArray(
        np.stack([first, second]),
        dims=("frame", "y", "x"),
        coords={each: before[each] for each in ("y", "x")},
        attrs=before.attrs,
    )
    correlated = find_drift(frames)[1][::-1] / size
    found = [_refined(first, second, start) for start in (np.zeros(2), correlated)]
    y, x = min(found, key=lambda each: each[1])[0] * size
    return float(x), float(y)


def _refined(first: Array, second: Array, start: Array) -> tuple[Array, float]:
    """Shift (y, x) [px] near `start`, and the mean squared difference of the overlap that it leaves."""
    shift, left = start, np.inf
    for smooth in _SMOOTH_PX:
        one, other = (ndimage.gaussian_filter(each, smooth) for each in (first, second))
        slopes = np.stack(np.gradient(one))  # (2, y, x)
        for _ in range(_ROUNDS):
            moved = ndimage.shift(other, -shift, order=1, cval=np.nan)
            known = np.isfinite(moved)
            if known.sum() < 0.25 * known.size:
                return start, np.inf
            difference = moved[known] - one[known]
            difference = difference - difference.mean()
            left = float((difference**2).mean())
            # what went by `step` more differs by minus the slope along it
            step = np.linalg.lstsq(-slopes[:, known].T, difference, rcond=None)[0]
            shift = shift + np.clip(step, -2, 2)
            if np.abs(step).max() < _CLOSE_PX:
                break
    return shift, left
