"""Probabilities and error bars that mean what they say, on images that the training has not seen."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST, _MOST = 1e-3, 1 - 1e-4  # probabilities beyond these are cut before their logarithms are taken
_FARTHEST = 5.0  # an error of more standard deviations is another atom's
_ENOUGH = 50  # atoms, right ones and wrong ones, that a calibration needs


@dataclass(frozen=True)
class Calibration:
    """Three numbers for the probability and one for the standard deviations.

    Attributes
    ----------
    low, high, offset : the calibrated log-odds are ``low * log(p) - high * log(1 - p) + offset``.
    std_factor : what stated standard deviations of positions are multiplied with.

    Notes
    -----
    Source of the three: Kull, Silva Filho & Flach, AISTATS 2017, PMLR 54:623 (beta calibration).
    """

    low: float = 1.0
    high: float = 1.0
    offset: float = 0.0
    std_factor: float = 1.0

    def probability(self, stated: Array) -> Array:
        """Calibrated probabilities of stated ones."""
        logarithms = _logarithms(stated)
        odds = np.exp(np.clip(logarithms @ [self.low, self.high] + self.offset, -30, 30))
        calibrated: Array = odds / (1 + odds)
        return calibrated

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def calibrate(stated: Array, is_right: NDArray[np.bool_], error: Array, std: Array) -> Calibration:
    """The calibration that fits held-back images.

    Parameters
    ----------
    stated, is_right : (n,) probabilities of the finds, and which of them are atoms.
    error, std : (m,) errors of positions along an axis, and what was stated of them.

    Returns
    -------
    A monotonic one; without 50 right and 50 wrong finds, probabilities stay as they are.
    """
    from sklearn.linear_model import LogisticRegression

    score = np.clip(error / std, -_FARTHEST, _FARTHEST)
    std_factor = float(np.sqrt(np.mean(score**2))) if len(score) >= _ENOUGH else 1.0
    if min(is_right.sum(), (~is_right).sum()) < _ENOUGH:
        return Calibration(std_factor=std_factor)
    features = _logarithms(stated)
    fitted = LogisticRegression(C=1e6, max_iter=1000).fit(features, is_right)
    low, high = fitted.coef_[0]
    if min(low, high) < 0:  # not monotonic: one slope for both
        fitted = LogisticRegression(C=1e6, max_iter=1000).fit(features.sum(axis=1, keepdims=True), is_right)
        low = high = max(float(fitted.coef_[0, 0]), 0.0)
    return Calibration(float(low), float(high), float(fitted.intercept_[0]), std_factor)


def expected_calibration_error(stated: Array, is_right: NDArray[np.bool_], *, n_bins: int = 15) -> float:
    """Mean difference of stated probability and share of right finds, over bins of equal width weighted by finds.

    Source: Guo, Pleiss, Sun & Weinberger, ICML 2017, PMLR 70:1321.
    """
    if not len(stated):
        return 0.0
    number = np.minimum((stated * n_bins).astype(int), n_bins - 1)
    total = np.bincount(number, weights=stated - is_right, minlength=n_bins)
    return float(np.abs(total).sum() / len(stated))


def _logarithms(stated: Array) -> Array:
    """log(p) and -log(1 - p) (n, 2)."""
    cut = np.clip(stated, _LEAST, _MOST)
    return np.column_stack([np.log(cut), -np.log1p(-cut)])
