"""By how much a place is expected to push the front of the best compromises outwards."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adatom.decide.hypervolume import FreeSpace
from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class ExpectedHypervolumeImprovement:
    """Over draws from the posterior, the same for every candidate; two or three outputs, each times its weight.

    Parameters
    ----------
    reference : (k,), the worst that still counts, in weighted outputs; by default a tenth of the range of what was
        measured below the worst of it.
    n_draws : of the outputs.

    Notes
    -----
    Source: M. Emmerich, K. Giannakoglou, B. Naujoks, IEEE Trans. Evol. Comput. 10, 421 (2006),
    doi:10.1109/TEVC.2005.859463.
    """

    reference: Sequence[float] | None = None
    n_draws: int = 128

    def __call__(self, outlook: Outlook) -> Array:
        known = outlook.known * outlook.weights
        low = known.min(axis=0)
        reference = (
            low - 0.1 * np.maximum(known.max(axis=0) - low, 1e-12)
            if self.reference is None
            else np.asarray(self.reference, dtype=float)
        )
        free = FreeSpace(known, reference)
        mean, std = outlook.posterior.mean * outlook.weights, outlook.posterior.std * np.abs(outlook.weights)
        drawn = outlook.rng.standard_normal((self.n_draws, mean.shape[1]))
        return np.stack([free.gain(mean + std * each) for each in drawn]).mean(axis=0)
