"""One world drawn from what is believed, and its best place."""

import numpy as np

from adatom.decide.conditioning import joint_draws
from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


class Thompson:
    """A draw of all candidates together.

    Notes
    -----
    Source: W. R. Thompson, Biometrika 25, 285 (1933), doi:10.1093/biomet/25.3-4.285.
    """

    uses_joint = True

    def __call__(self, outlook: Outlook) -> Array:
        worth = outlook.worth
        return joint_draws(worth, np.arange(len(worth.mean)), 1, outlook.rng)[0, :, 0]
