"""Probabilities and error bars that mean what they say, on images that the training has not seen."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from adatom.locate import Peaks

Array = NDArray[np.float64]

P = TypeVar("P", bound=Peaks)

_SMALLEST = 1e-9
_LEAST, _MOST = 1e-3, 1 - 1e-4  # probabilities beyond these are cut before their logarithms are taken
_FARTHEST = 5.0  # an error of more (robust) standard deviations is another atom's
ENOUGH = 50  # atoms, right ones and wrong ones, that a curve needs


@dataclass(frozen=True)
class Curve:
    """Log-odds of stated probabilities p to calibrated ones: ``low * log(p) - high * log(1 - p) + offset``.

    Source: Kull, Silva Filho & Flach, AISTATS 2017, PMLR 54:623 (beta calibration).
    """

    low: float = 1.0
    high: float = 1.0
    offset: float = 0.0

    def __call__(self, stated: Array, *, least: float = _LEAST, most: float = _MOST) -> Array:
        """Calibrated probabilities of stated ones (n,), which are cut at `least` and `most`."""
        odds = np.exp(np.clip(_logarithms(stated, least, most) @ [self.low, self.high] + self.offset, -30, 30))
        calibrated: Array = odds / (1 + odds)
        return calibrated


@dataclass(frozen=True)
class Calibration:
    """What makes numbers right.

    Attributes
    ----------
    atom : for the probability that an atom is there.
    species : for the probability that its species is right.
    std_factor : what stated standard deviations of positions are multiplied with.
    """

    atom: Curve = Curve()
    species: Curve = Curve()
    std_factor: float = 1.0

    def of_species(self, peaks: P) -> P:
        """The same atoms with what is right of their species; the others share what the likeliest one leaves."""
        assert peaks.of_species is not None
        # not cut: that would make all sure atoms alike, and a quantile of them be any
        likeliest = self.species(peaks.species_probability, least=_SMALLEST, most=1 - _SMALLEST)
        left = (1 - likeliest) / np.maximum(1 - peaks.species_probability, 1e-12)
        of_species = peaks.of_species * left[:, None]
        of_species[np.arange(len(likeliest)), peaks.species] = likeliest
        return replace(peaks, species_probability=self.species(peaks.species_probability), of_species=of_species)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        return cls(Curve(**facts["atom"]), Curve(**facts["species"]), facts["std_factor"])


def fit_curve(stated: Array, is_right: NDArray[np.bool_]) -> Curve:
    """The monotonic curve that fits probabilities (n,) to what they should have said.

    Without 50 right and 50 wrong ones their log-odds are only moved, until their mean is the share of right ones, with
    half a find of each kind added; with fewer than 50 in all they stay as they are.
    """
    from sklearn.linear_model import LogisticRegression

    if len(stated) < ENOUGH:
        return Curve()
    if min(is_right.sum(), (~is_right).sum()) < ENOUGH:
        share, odds = (is_right.sum() + 0.5) / (len(stated) + 1), _logarithms(stated).sum(axis=1)
        moved = optimize.brentq(lambda offset: special.expit(odds + offset).mean() - share, -30, 30)
        return Curve(offset=float(moved))
    features = _logarithms(stated)
    fitted = LogisticRegression(C=1e6, max_iter=1000).fit(features, is_right)
    low, high = (float(slope) for slope in fitted.coef_[0])
    if min(low, high) < 0:  # not monotonic: one slope for both
        fitted = LogisticRegression(C=1e6, max_iter=1000).fit(features.sum(axis=1, keepdims=True), is_right)
        low = high = max(float(fitted.coef_[0, 0]), 0.0)
    return Curve(low, high, float(fitted.intercept_[0]))


def fit_std_factor(error: Array, std: Array) -> float:
    """What stated standard deviations (n,) have to be multiplied with to be those of the errors; 1 if few tell."""
    score = np.abs(error / std)
    if len(score) < ENOUGH:
        return 1.0
    # of other atoms are the errors far beyond the rest: their share must not count
    return float(np.sqrt(np.mean(score[score < _FARTHEST * 1.4826 * np.median(score)] ** 2)))


def expected_calibration_error(stated: Array, is_right: NDArray[np.bool_], *, n_bins: int = 15) -> float:
    """Mean difference of stated probability and share of right finds, over bins of equal width weighted by finds.

    Source: Guo, Pleiss, Sun & Weinberger, ICML 2017, PMLR 70:1321.
    """
    if not len(stated):
        return 0.0
    number = np.minimum((stated * n_bins).astype(int), n_bins - 1)
    total = np.bincount(number, weights=stated - is_right, minlength=n_bins)
    return float(np.abs(total).sum() / len(stated))


def _logarithms(stated: Array, least: float = _LEAST, most: float = _MOST) -> Array:
    """log(p) and -log(1 - p) (n, 2)."""
    cut = np.clip(stated, least, most)
    return np.column_stack([np.log(cut), -np.log1p(-cut)])
