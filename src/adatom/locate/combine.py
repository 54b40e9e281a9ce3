"""Two opinions on where an atom is, the network's and the fit's, made one."""

import numpy as np
from numpy.typing import NDArray

from adatom.locate.refine import Refined

Array = NDArray[np.float64]

# What a round Gaussian on a flat background gets wrong at most about real probes, jittering lines and the slopes of
# islands, in spacings; and how much of the typical disagreement of fit and network is put down to it.
MODEL_ERROR = 0.05
_SHARE = 0.6
# A fit further from the network than this many joint deviations has found something else.
_FARTHEST = 2.5
# A network sees half of an atom at the border, and draws it in: there it is so many times less sure.
_AT_BORDER = 2.5
_ENOUGH = 20  # atoms that tell how far fit and network disagree in this image


def combine_positions(
    x: Array, y: Array, fitted: Refined, *, network_error_px: float, spacing_px: float, at_border: NDArray[np.bool_]
) -> tuple[Array, Array, Array, Array]:
    """Mean of the network's and the fitted positions, weighted by their variances.

    Parameters
    ----------
    x, y : (n,) positions by the network [px].
    fitted : the same atoms, fitted from there.
    network_error_px : standard deviation of the network's positions along one axis, over all kinds of images.
    spacing_px : typical distance of nearest neighbours.
    at_border : (n,) atoms that the border of the image cuts.

    Returns
    -------
    x, y and their standard deviations. Where the fit failed or contradicts the network, the network's own.

    Notes
    -----
    The network's average error is that of its worst images, and would be far too large for a good one. The two opinions
    rest on different ideas, so how far they typically disagree in an image bounds the error of both.
    """
    network = np.column_stack([x, y])
    fit = np.column_stack([fitted.x, fitted.y])
    telling = fitted.converged & ~at_border
    disagreement = network_error_px
    if telling.sum() >= _ENOUGH:
        disagreement = min(disagreement, 1.4826 * float(np.median(np.abs(fit - network)[telling])))
    model_error = min(MODEL_ERROR * spacing_px, _SHARE * disagreement)
    variance = np.column_stack([fitted.x_std, fitted.y_std]) ** 2 + model_error**2
    prior = np.where(at_border, _AT_BORDER * network_error_px, disagreement)[:, None] ** 2
    gate = np.where(at_border, _AT_BORDER, 1.0)[:, None] ** 2 * network_error_px**2
    agrees = fitted.converged & (np.abs(fit - network) < _FARTHEST * np.sqrt(variance + gate)).all(axis=1)
    weight = prior / (prior + variance)  # of the fit
    joint = np.where(agrees[:, None], network + weight * (fit - network), network)
    std = np.where(agrees[:, None], np.sqrt(weight * variance), np.broadcast_to(np.sqrt(prior), network.shape))
    return joint[:, 0], joint[:, 1], std[:, 0], std[:, 1]
