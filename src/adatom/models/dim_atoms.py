"""How likely dim atoms are, as the image itself says: there is a kind of them, or there is none.

A network knows how often it met an atom of a brightness in training. An image of a crystal that has light columns is
full of them, and one that has none shows the odd spot in a vacancy: what is likely of a single doubtful spot depends on
what its equals look like.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Atoms that make out what is bright, and the probability of each.
_ENOUGH, SURE = 20, 0.9
# Spots dimmer than this share of the median of these are judged by their equals: those of a flux within about this (as
# the logarithm).
_DIMMER, _EQUAL = 0.8, 0.35
# The share of such spots that are atoms in training images, and so many spots without atoms that are taken to be seen
# beside those of the image: a few spots are no kind.
_USUAL_SHARE, _FEW = 0.4, 12.0
_ROUNDS = 30
_GRID = 0.1  # of the logarithm of the flux


def weigh_dim_atoms(probability: Array, flux: Array) -> Array:
    """Probabilities (n,) of spots with `flux` (n,), those of dim ones after a look at their equals.

    Notes
    -----
    The share of atoms among spots of a flux is the unknown prior; it is found by expectation maximisation, as Saerens,
    Latinne & Decaestecker do for classes, Neural Computation 14, 21 (2002), 10.1162/089976602753284446, here smoothly
    over the flux. An image with few sure atoms is left alone.
    """
    sure = probability > SURE
    if sure.sum() < _ENOUGH:
        return probability
    logarithm = np.log(np.maximum(flux / np.median(flux[sure]), 1e-3))
    dim = logarithm < np.log(_DIMMER)
    if not dim.any():
        return probability
    logarithm, stated = logarithm[dim], np.clip(probability[dim], 1e-4, 1 - 1e-4)
    evidence = stated / (1 - stated) * (1 - _USUAL_SHARE) / _USUAL_SHARE  # odds without the training's prior
    grid = np.arange(logarithm.min(), np.log(_DIMMER) + _GRID, _GRID)
    equal = np.exp(-0.5 * ((grid[:, None] - logarithm) / _EQUAL) ** 2)  # (grid, dim)
    share = np.full(len(grid), _USUAL_SHARE)
    for _ in range(_ROUNDS):
        prior = np.interp(logarithm, grid, share)
        odds = evidence * prior / (1 - prior)
        share = np.clip((equal @ (odds / (1 + odds))) / (equal.sum(axis=1) + _FEW), 1e-3, 0.98)
    weighed = probability.copy()
    weighed[dim] = odds / (1 + odds)
    return weighed
