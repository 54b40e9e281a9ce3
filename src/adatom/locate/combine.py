"""Two opinions on where an atom is, the network's and the fit's, made one."""

import numpy as np
from numpy.typing import NDArray

from adatom.locate.refine import Refined

Array = NDArray[np.float64]

# What a round Gaussian on a flat background gets wrong about real probes, jittering lines and the slopes of islands, in
# spacings. With it, 89 to 98 % of simulated atoms lie within two of the stated deviations (`make bench
# NAME=simulated_images`); from the noise alone it would be half.
MODEL_ERROR = 0.05
# A fit further from the network than this many joint deviations has found something else.
_FARTHEST = 2.0


def combine_positions(
    x: Array, y: Array, fitted: Refined, *, network_error_px: float, spacing_px: float
) -> tuple[Array, Array, Array, Array]:
    """Mean of the network's and the fitted positions, weighted by their variances.

    Parameters
    ----------
    x, y : (n,) positions by the network [px].
    fitted : the same atoms, fitted from there.
    network_error_px : standard deviation of the network's positions along one axis.
    spacing_px : typical distance of nearest neighbours.

    Returns
    -------
    x, y and their standard deviations. Where the fit failed or contradicts the network, the network's own.
    """
    network = np.column_stack([x, y])
    fit = np.column_stack([fitted.x, fitted.y])
    variance = np.column_stack([fitted.x_std, fitted.y_std]) ** 2 + (MODEL_ERROR * spacing_px) ** 2
    prior = network_error_px**2
    agrees = fitted.converged & (np.abs(fit - network) < _FARTHEST * np.sqrt(variance + prior)).all(axis=1)
    weight = prior / (prior + variance)  # of the fit
    joint = np.where(agrees[:, None], network + weight * (fit - network), network)
    std = np.where(agrees[:, None], np.sqrt(weight * variance), network_error_px)
    return joint[:, 0], joint[:, 1], std[:, 0], std[:, 1]
