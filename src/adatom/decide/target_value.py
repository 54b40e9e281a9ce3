"""Search for a value: how much nearer to it a place is expected to come than the nearest so far."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from adatom.decide.acquisition import Situation, first_output
from adatom.decide.posterior import Array
from adatom.errors import ArgumentError


@dataclass(frozen=True)
class TargetValue:
    """Expected improvement of the distance to a value.

    Parameters
    ----------
    value : looked for, in the unit of the quantity.
    """

    value: float = float("nan")
    needs_model: bool = True

    def __post_init__(self) -> None:
        if not np.isfinite(self.value):
            raise ArgumentError(f"value: expected the value that is looked for, got {self.value}.")

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        mean, std, _ = first_output(situation)
        wanted = self.value
        known = mean[situation.measured]
        reach = float(np.abs(known - wanted).min()) if len(known) else float(np.abs(mean - wanted).max())
        # the mean of max(0, reach - |f - wanted|), of a normal f
        low, high = (wanted - reach - mean) / std, (wanted + reach - mean) / std
        middle = (wanted - mean) / std
        inside = reach * (norm.cdf(high) - norm.cdf(low))
        left = (wanted - mean) * (norm.cdf(middle) - norm.cdf(low)) + std * (norm.pdf(middle) - norm.pdf(low))
        right = (mean - wanted) * (norm.cdf(high) - norm.cdf(middle)) - std * (norm.pdf(high) - norm.pdf(middle))
        expected: Array = np.maximum(inside - left - right, 0.0)
        # where nothing can be expected, the nearest possible one
        return np.where(expected > 0, np.log(np.maximum(expected, 1e-300)), -1e3 - np.abs(mean - wanted) / std)
