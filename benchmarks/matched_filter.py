"""Signal-to-noise ratio of single atoms: what a matched filter makes of each, on the image as measured."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

_SIGMA_PX = 3.0  # of an atom in the marked images
_HALF_PX = 9  # of the patch, 3 standard deviations


def matched_filter_snr(values: Array, positions: Array) -> Array:
    """Height of a Gaussian fitted with a plane beneath it, in standard deviations that the pixels' noise gives it.

    Parameters
    ----------
    values : (y, x), any unit.
    positions : (n, 2) x and y [px].

    Notes
    -----
    The noise of a pixel is that of its surroundings, from second differences across both axes: neither the support nor
    an atom enters these by much. What the support itself has of spots as wide as atoms is not counted as noise.
    """
    across = (values[1:, 1:] - values[1:, :-1] - values[:-1, 1:] + values[:-1, :-1]) / 2
    noise = np.sqrt(ndimage.gaussian_filter(np.pad(across**2, ((0, 1), (0, 1)), mode="edge"), 2 * _HALF_PX))
    padded = np.pad(values, _HALF_PX, mode="reflect")
    offset = np.arange(-_HALF_PX, _HALF_PX + 1)
    snr = np.empty(len(positions))
    for k, (x, y) in enumerate(positions):
        column, row = (
            int(np.clip(round(at), 0, side - 1)) for at, side in ((x, values.shape[1]), (y, values.shape[0]))
        )
        patch = padded[row : row + 2 * _HALF_PX + 1, column : column + 2 * _HALF_PX + 1].ravel()
        dx, dy = np.meshgrid(offset + column - x, offset + row - y)
        shape = np.exp(-0.5 * (dx**2 + dy**2) / _SIGMA_PX**2).ravel()
        design = np.column_stack([shape, np.ones_like(shape), dx.ravel(), dy.ravel()])
        covariance = np.linalg.inv(design.T @ design)
        height = covariance[0] @ (design.T @ patch)
        snr[k] = height / np.sqrt(covariance[0, 0]) / noise[row, column]
    return snr
