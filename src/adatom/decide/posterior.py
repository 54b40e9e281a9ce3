"""What a model says of places that were not measured: all that an acquisition sees of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError, ShapeError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Posterior:
    """What is believed of k numbers at n candidates, all in the units of the targets.

    Parameters
    ----------
    mean : (n, k).
    std : (n, k), of the true value; what one more measurement scatters by is not in it.
    noise_std : (n, k), of one measurement there.
    joint : a function of m indices that gives (k, m, m), the covariances of the true values among these candidates;
        None where the model knows none, which are then taken for independent.

    Raises
    ------
    ShapeError : if the arrays differ in shape.
    ArgumentError : if a number is not finite, or a deviation is negative.
    """

    mean: Array
    std: Array
    noise_std: Array
    joint: Callable[[Indices], Array] | None = None

    def __post_init__(self) -> None:
        if self.mean.ndim != 2 or not self.mean.shape == self.std.shape == self.noise_std.shape:
            raise ShapeError(
                f"posterior: expected three arrays (n, k), got {self.mean.shape}, {self.std.shape} and "
                f"{self.noise_std.shape}."
            )
        if not all(np.isfinite(values).all() for values in (self.mean, self.std, self.noise_std)):
            raise ArgumentError(
                "posterior: expected finite numbers, got others. Was the model fitted to finite targets?"
            )
        if (self.std < 0).any() or (self.noise_std < 0).any():
            raise ArgumentError("posterior: expected deviations of 0 or more, got negative ones.")

    def covariance(self, which: Indices) -> Array:
        """(k, m, m), the covariances of the true values among the candidates `which` (m,)."""
        if self.joint is not None:
            return self.joint(which)
        return np.stack([np.diag(variance) for variance in (self.std[which] ** 2).T])


class Surrogate(Protocol):
    """A model that a search learns with: `adatom.GaussianProcessRegressor`, `adatom.DeepKernelRegressor`, or yours.

    Inputs are one row a candidate, (n, ...): coordinates, descriptors, or patches; targets are (n, k).
    """

    def fit(self, inputs: Any, targets: Any) -> Self:
        """Learn from scratch what is known so far."""

    def posterior(self, inputs: Any) -> Posterior:
        """What is believed of the candidates `inputs`."""
