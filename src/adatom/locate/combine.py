"""Two opinions on where an atom is, the network's and the fit's, made one."""

import numpy as np
from numpy.typing import NDArray

from adatom.locate.refine import Refined

Array = NDArray[np.float64]

# A fit further from the network than this many joint deviations has found something else; or than this many where it
# left nothing but noise, and its own word holds.
_FARTHEST, _FARTHEST_IDEAL = 2.5, 4.5
# What Gaussians on a smooth background get wrong at most about real probes and the slopes of islands, in spacings; and
# how much of the typical disagreement of fit and network is put down to it.
MODEL_ERROR, _SHARE = 0.05, 0.6
# A network sees half of an atom at the border, and draws it in: there it is so many times less sure.
_AT_BORDER = 2.5
_ENOUGH = 20  # atoms that tell how far fit and network disagree in this image
_UNKNOWN = 1 / 6  # of the spacing: the deviation of a network that states none


def combine_positions(
    x: Array,
    y: Array,
    x_std: Array,
    y_std: Array,
    fitted: Refined,
    *,
    spacing_px: float,
    at_border: NDArray[np.bool_],
) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
    """The fitted position where it is the surer one, else a mean; the network's where the fit says something else.

    Parameters
    ----------
    x, y, x_std, y_std : (n,) positions by the network and their standard deviations [px]; NaN where it states none.
    fitted : the same atoms, fitted from there.
    spacing_px : typical distance of nearest neighbours.
    at_border : (n,) atoms that the border of the image cuts.

    Returns
    -------
    x, y, their standard deviations, and whether (n,) the fit has its share in them. Where the fit failed or contradicts
    the network, all is the network's.

    Notes
    -----
    Where the fit left over nothing but noise, its deviations hold, and the surer opinion is taken: both come from the
    same pixels, so a mean of the two is no surer than that. Elsewhere, on most real images, Gaussians are not quite
    what the atoms are, which no deviation tells. Network and fit rest on different ideas, so how far they typically
    disagree bounds the error of both, and they are weighed by their variances. So they are where the network knows
    only its average error, that of its worst images.
    """
    network, fit = np.column_stack([x, y]), np.column_stack([fitted.x, fitted.y])
    stated = np.column_stack([x_std, y_std])
    prior = np.where(np.isfinite(stated), stated, _UNKNOWN * spacing_px) * np.where(at_border, _AT_BORDER, 1.0)[:, None]
    prior, variance = prior**2, np.column_stack([fitted.x_std, fitted.y_std]) ** 2
    gate, farthest = variance + prior, _FARTHEST_IDEAL if fitted.is_ideal else _FARTHEST
    weigh = not fitted.is_ideal or np.ptp(stated) == 0
    if weigh:
        telling = fitted.converged & ~at_border
        disagreement = np.inf
        if telling.sum() >= _ENOUGH:
            disagreement = 1.4826 * float(np.median(np.abs(fit - network)[telling]))
        prior = np.minimum(prior, np.where(at_border[:, None], np.inf, disagreement**2))
        if not fitted.is_ideal:
            variance = variance + min(MODEL_ERROR * spacing_px, _SHARE * disagreement) ** 2
        weight = prior / (prior + variance)  # of the fit
        # the same noise is in both: where there is nothing else, a mean is no surer than the fit
        joint_variance = variance if fitted.is_ideal else weight * variance
    else:
        weight, joint_variance = np.minimum(1.0, 2 * prior / (prior + variance)), np.minimum(prior, variance)
    agrees = fitted.converged & (np.abs(fit - network) < farthest * np.sqrt(gate)).all(axis=1)
    joint = np.where(agrees[:, None], network + weight * (fit - network), network)
    std = np.sqrt(np.where(agrees[:, None], joint_variance, prior))
    return joint[:, 0], joint[:, 1], std[:, 0], std[:, 1], agrees
