"""How well a model knows what it sees: the ground on which a model and a scale are chosen for an image."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Atoms that cover this share of the image, each with the square of its spacing, count as half the evidence.
_HALF_COVERAGE = 0.05


def support(maps: Array) -> float:
    """How decided and how widespread the claims of a segmentation are, 0 to 1.

    Parameters
    ----------
    maps : (class, y, x) probabilities, background first.

    Notes
    -----
    The mean probability of the class claimed, over what is claimed to be atoms: a network that meets what it was
    trained on, at the right scale, is decided, up to the noise; shown another material or scale it hesitates. A few
    decided spots in a large image are no evidence, hence a factor for the covered share, which saturates soon so that
    islands and bare regions do not count against a model.
    """
    # a disc of about a third of the spacing stands for an atom
    return _support(maps[1:], maps[0].size * np.pi * 0.33**2)


def support_of_atoms(probability: Array, area: float) -> float:
    """The same of found atoms, the unlikely ones included, with their probabilities (n,) in an area that has room for
    `area` atoms.
    """
    return _support(probability, area)


def _support(claims: Array, most: float) -> float:
    total = float(claims.sum())
    if total <= 0:
        return 0.0
    decided, coverage = float((claims**2).sum()) / total, total / most
    return decided * coverage / (coverage + _HALF_COVERAGE)
