"""Where least is known."""

import numpy as np

from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


class MaximumUncertainty:
    """Deviation, as a share of how much each output scatters; several outputs count by the root of their mean square.
    Weights play no part, except that an output of weight 0 does not count.
    """

    def __call__(self, outlook: Outlook) -> Array:
        counts = outlook.weights != 0
        scatter = outlook.known.std(axis=0) if len(outlook.known) > 1 else np.ones(len(counts))
        share = outlook.posterior.std / np.where(scatter > 0, scatter, 1.0)
        return np.asarray(np.sqrt((share[:, counts] ** 2).mean(axis=1)))
