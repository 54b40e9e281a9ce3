"""As far as possible from all that was measured."""

import numpy as np
from scipy.spatial.distance import cdist

from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


class Maximin:
    """Distance from the nearest place that was asked for or measured; the first one is drawn.

    Notes
    -----
    Source: M. E. Johnson, L. M. Moore, D. Ylvisaker, J. Stat. Plan. Inference 26, 131 (1990),
    doi:10.1016/0378-3758(90)90122-B.
    """

    needs_model = False

    def __call__(self, outlook: Outlook) -> Array:
        if not len(outlook.taken_places):
            return outlook.rng.random(len(outlook.numbers))
        return np.asarray(cdist(outlook.places, outlook.taken_places).min(axis=1))
