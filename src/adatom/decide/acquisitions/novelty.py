"""How unlike the inputs that were measured so far a candidate is."""

import numpy as np
from scipy.spatial.distance import cdist

from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


class Novelty:
    """Distance from the most similar input that was asked for or measured; each feature counts by its scatter among
    the candidates. It knows no targets, so it finds what is odd in the image rather than what is good.
    """

    needs_model = False

    def __call__(self, outlook: Outlook) -> Array:
        everything = np.vstack([outlook.inputs, outlook.taken_inputs])
        scatter = everything.std(axis=0)
        scaled = (everything - everything.mean(axis=0)) / np.where(scatter > 0, scatter, 1.0)
        here, taken = scaled[: len(outlook.inputs)], scaled[len(outlook.inputs) :]
        if not len(taken):  # the first one is the most ordinary
            return -np.asarray((here**2).sum(axis=1))
        return np.asarray(cdist(here, taken).min(axis=1))
