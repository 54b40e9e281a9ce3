"""How noisy the pixels of an image are: a constant and a part that grows with the signal, as counted quanta have it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

_BINS = 16  # of the signal
_FEW = 30  # pixels, too few to say how noisy their brightness is
_CUT = 5.0  # differences beyond so many standard deviations of their bin are cut to that
_ROUNDS = 3
_TRUST = 0.05  # no bin tells its variance better than this
_SURE = 3.0  # standard errors from which on a slope is one
_LEAST = 0.3  # of the least variance seen, which no pixel goes below
# Second differences along both axes: of structures as wide as atoms next to nothing is left, of white noise all.
_SECOND = np.array([1.0, -2.0, 1.0]) / np.sqrt(6)


@dataclass(frozen=True)
class Noise:
    """Variance of a pixel as a function of its expected value.

    Attributes
    ----------
    gain : variance per unit of the signal, negative in a negative image; 0 where the image shows no dependence.
    constant : variance where the signal is 0 (on the scale of a levelled image: anything).
    least : what no variance falls below.
    """

    gain: float
    constant: float
    least: float

    def variance(self, signal: Array) -> Array:
        """Variance of each pixel, of any shape."""
        return np.maximum(self.constant + self.gain * signal, self.least)


def estimate_noise(residual: Array, signal: Array, known: NDArray[np.bool_], *, sure: float = _SURE) -> Noise:
    """Estimate the noise of an image from what a fit left over.

    Parameters
    ----------
    residual, signal : (y, x) what was measured minus what was modelled, and what was modelled.
    known : (y, x) bool, where something was measured.
    sure : standard errors from which on a slope is one; a smaller one is called 0.

    Notes
    -----
    Second differences along both axes (J. Immerkaer, Computer Vision and Image Understanding 1996,
    10.1006/cviu.1996.0060) are blind to atoms that were not modelled and to shifts of scan lines. Their mean squares
    in bins of the signal (medians would be far off for the few counts of a low dose), outliers cut; then a weighted
    straight line through these, whose slope is dropped unless it is significant.
    """
    if min(residual.shape) < 3:
        return Noise(0.0, float(np.var(residual)), 0.0)
    squares, at = residual, signal
    for axis in (0, 1):
        squares = ndimage.correlate1d(squares, _SECOND, axis=axis)
        at = ndimage.correlate1d(at, _SECOND**2, axis=axis)
    whole = known if known.all() else ndimage.binary_erosion(known, np.ones((3, 3)))
    inner = (slice(1, -1), slice(1, -1))
    kept = whole[inner]
    squares, at = squares[inner][kept] ** 2, at[inner][kept]
    if not squares.size or not squares.any():
        return Noise(0.0, 0.0, 0.0)
    low, high = (float(of(at)) for of in (np.min, np.max))
    number = np.minimum(((at - low) * (_BINS / ((high - low) or 1.0))).astype(np.int64), _BINS - 1)
    counts = np.bincount(number, minlength=_BINS)
    means = _bin_means(number, squares, counts)
    for _ in range(_ROUNDS):
        means = _bin_means(number, np.minimum(squares, _CUT**2 * means[number]), counts)
    enough = (counts >= min(_FEW, len(squares))) & (means > 0)
    variance, weight = means[enough], counts[enough].astype(float)
    if not len(variance):
        overall = float(squares.mean())
        return Noise(0.0, overall, _LEAST * overall)
    centres = _bin_means(number, at, counts)[enough]
    overall = float((weight @ variance) / weight.sum())
    flat = Noise(0.0, overall, _LEAST * overall)
    if len(centres) < 3:
        return flat
    expected = variance
    for _ in range(_ROUNDS):
        # neighbouring differences share pixels: only about a third of them are independent
        precision = 1 / (expected**2 * (6 / weight + _TRUST**2))
        middle = float((precision @ centres) / precision.sum())
        spread = float(precision @ (centres - middle) ** 2)
        gain = float(precision @ ((centres - middle) * variance)) / spread
        constant = float((precision @ variance) / precision.sum()) - gain * middle
        expected = np.maximum(constant + gain * centres, 0.1 * variance)
    if abs(gain) * np.sqrt(spread) < sure:
        return flat
    return Noise(gain, constant, _LEAST * float(variance.min()))


def correlation_factors(left: Array, width: float) -> tuple[float, float]:
    """How many times larger the variances of fitted x and y are than if pixels were independent; at least 1 each.

    Parameters
    ----------
    left : (y, x) residuals in units of their noise; 0 where nothing is known.
    width : standard deviation of the fitted Gaussians [px].

    Notes
    -----
    What neighbouring pixels share, correlated noise or a shape that is not quite the atoms', adds up in the sum that a
    position is fitted by: its variance is the sum over all lags of the autocorrelation of the residuals times that of
    a Gaussian's derivative. Values within their sampling error of 1 are 1.
    """
    reach = min(int(np.ceil(4 * width)), *(n // 2 for n in left.shape))
    power = np.abs(np.fft.rfft2(left, s=[n + reach for n in left.shape])) ** 2
    lags = np.arange(-reach, reach + 1)
    correlation = np.fft.irfft2(power, s=[n + reach for n in left.shape])[np.ix_(lags, lags)]
    total = float(correlation[reach, reach])
    if total <= 0:
        return 1.0, 1.0
    bell = np.exp(-(lags[:, None] ** 2 + lags**2) / (4 * width**2))
    along = 1 - lags**2 / (2 * width**2)
    n_known = np.count_nonzero(left)
    factors = []
    for template in (bell * along, bell * along[:, None]):
        error = float(np.sqrt((template**2).sum() / n_known))
        factor = float((template * correlation).sum()) / total
        factors.append(factor if factor > 1 + _SURE * error else 1.0)
    return factors[0], factors[1]


def _bin_means(number: NDArray[np.int64], values: Array, counts: NDArray[np.int64]) -> Array:
    means: Array = np.bincount(number, values, minlength=_BINS) / np.maximum(counts, 1)
    return means
