"""How likely dim atoms are, as the image itself says: there is a kind of them, or there is none.

A network knows how often it met an atom of a brightness in training. An image of a crystal that has light columns is
full of them, and one that has none shows the odd spot in a vacancy: what is likely of a single doubtful spot depends on
what its equals look like.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class DimAtoms:
    """What an image says of its dim spots.

    Attributes
    ----------
    bright : flux of what is bright.
    grid : (k,) logarithm of fluxes, in units of that.
    share : (k,) of the spots of such a flux that are atoms.
    """

    bright: float
    grid: Array
    share: Array

    def weigh(self, probability: Array, flux: Array) -> Array:
        """Probabilities (n,) of spots with `flux` (n,), those of dim ones weighed by the share of atoms among such."""
        logarithm = _logarithm(flux, self.bright)
        dim = logarithm < np.log(_DIMMER)
        prior = np.interp(logarithm[dim], self.grid, self.share)
        odds = _evidence(probability[dim]) * prior / (1 - prior)
        weighed = probability.copy()
        weighed[dim] = odds / (1 + odds)
        return weighed


def learn_dim_atoms(probability: Array, flux: Array) -> DimAtoms | None:
    """What spots (n,) of an image say of the dim ones among them; None where few are sure, or none is dim.

    Notes
    -----
    The share of atoms among spots of a flux is the unknown prior; it is found by expectation maximisation, as Saerens,
    Latinne & Decaestecker do for classes, Neural Computation 14, 21 (2002), 10.1162/089976602753284446, here smoothly
    over the flux. An image with few sure atoms is left alone.
    """
    sure = probability > SURE
    if sure.sum() < _ENOUGH:
        return None
    bright = float(np.median(flux[sure]))
    logarithm = _logarithm(flux, bright)
    dim = logarithm < np.log(_DIMMER)
    if not dim.any():
        return None
    logarithm, evidence = logarithm[dim], _evidence(probability[dim])
    grid = np.arange(logarithm.min(), np.log(_DIMMER) + _GRID, _GRID)
    equal = np.exp(-0.5 * ((grid[:, None] - logarithm) / _EQUAL) ** 2)  # (grid, dim)
    share = np.full(len(grid), _USUAL_SHARE)
    for _ in range(_ROUNDS - 1):  # the last round is that of `weigh`
        prior = np.interp(logarithm, grid, share)
        odds = evidence * prior / (1 - prior)
        share = np.clip((equal @ (odds / (1 + odds))) / (equal.sum(axis=1) + _FEW), 1e-3, 0.98)
    return DimAtoms(bright, grid, share)


def _logarithm(flux: Array, bright: float) -> Array:
    logarithm: Array = np.log(np.maximum(flux / bright, 1e-3))
    return logarithm


def _evidence(probability: Array) -> Array:
    """Odds without the training's prior."""
    stated = np.clip(probability, 1e-4, 1 - 1e-4)
    return stated / (1 - stated) * (1 - _USUAL_SHARE) / _USUAL_SHARE
