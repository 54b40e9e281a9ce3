"""Maximum uncertainty: where least is known."""

from dataclasses import dataclass

import numpy as np

from adatom.decide.acquisition import Situation
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class Uncertainty:
    """The deviation of the true value, of several numbers in units of how far each is spread (MacKay, 1992,
    10.1162/neco.1992.4.4.590)."""

    needs_model: bool = True

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        told = situation.believed
        spread = np.maximum(told.mean.std(axis=0), 1e-3 * told.std.max(axis=0) + 1e-12)
        total: Array = np.sqrt(np.mean((told.std / spread) ** 2, axis=1))
        return total
