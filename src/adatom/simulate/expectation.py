"""The mean in the place of a draw: what a detector would give were there no chance."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Expectation:
    """Stands for a random generator where the expected value is wanted."""

    def poisson(self, lam: Array) -> Array:
        """The mean of the counts."""
        return lam

    def standard_normal(self, size: Any = None) -> Array:
        """Zeros of a shape."""
        return np.zeros(() if size is None else size)
