"""What was taken out of an image, as noise: is it noise, or does it hold the lattice?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

Array = NDArray[np.float64]

# A residual is said to hold structure where noise alone would look so in this share of images at most, and more than
# this share of the lattice's amplitude is in it.
ALARM, LEAST_SHARE = 0.01, 0.02
# A peak of the image's own spectrum is one from ln(number of frequencies) + this many means of its surroundings.
_ABOVE = 7.0
_MOST_PEAKS = 24
# Frequencies closer to 0 than so many periods an image are background, or offsets of scan lines.
_LOWEST_PERIODS, _LINE_PERIODS = 4.0, 2
_FLOOR_BINS, _CUT = 8.0, 4.0
# Lost spots are looked for with a Gaussian of this width, and are so far apart [px].
_SPOT_PX, _APART_PX = 3.0, 9


@dataclass(frozen=True)
class ResidualStructure:
    """What the spectrum of a residual says.

    Attributes
    ----------
    statistic : power of the residual at the lattice's peaks, each over the mean power around it, summed; where the
        image shows no lattice the highest power of all over the mean around it.
    p_value : probability of as much or more if the residual is noise.
    peaks : (n, 2) frequencies (y, x) of the peaks [1/px]; empty where the image shows no lattice.
    removed_share : of the lattice's amplitude, what is in the residual; NaN without a lattice.
    spots : (n, 2) places (y, x) [px] where something that does not repeat itself is in the residual, as a defect or
        dirt is that was smoothed away; noise alone shows one in the share `ALARM` of images.
    """

    statistic: float
    p_value: float
    peaks: Array
    removed_share: float
    spots: Array

    @property
    def holds_lattice(self) -> bool:
        """Whether more than noise was taken out of what repeats itself."""
        much = not len(self.peaks) or abs(self.removed_share) > LEAST_SHARE
        return self.p_value < ALARM and much


def residual_structure(image: Array, denoised: Array, noise_std: Array | float = 1.0) -> ResidualStructure:
    """Test whether image - denoised is noise.

    Parameters
    ----------
    image, denoised : (y, x); NaN where nothing was measured. At least 16 pixels a side.
    noise_std : of the noise, a number or (y, x): where it differs over the image the residual is divided by it.

    Notes
    -----
    The power of white noise at a frequency is exponentially distributed around its mean, which is estimated from the
    surrounding frequencies, so that noise of any smooth spectrum will do. The sum over n peaks that were chosen in the
    image's own spectrum then follows a gamma distribution of shape n; the highest of N independent frequencies
    exceeds x with probability 1 - (1 - exp(-x))^N. A denoiser that lets some of the noise at the peaks pass only makes
    a false alarm rarer.

    Spots are extremes of the residual under a Gaussian of 3 px, in units of their own robust deviation. Mean values of
    lines are taken off first.
    """
    known = np.isfinite(image) & np.isfinite(denoised)
    window = np.hanning(image.shape[0] + 2)[1:-1, None] * np.hanning(image.shape[1] + 2)[None, 1:-1] * known
    middle = float(image[known].mean()) if known.any() else 0.0
    residual = np.where(known, image - denoised, 0.0)
    whole = _transformed(np.where(known, image - middle, 0.0), window)
    left = _transformed(residual, window)
    white = np.abs(_transformed(residual / np.maximum(noise_std, 1e-30), window)) ** 2
    kept, spots = _judged(image.shape), _lost_spots(residual / np.maximum(noise_std, 1e-30), known)
    ratio = np.where(kept, white / np.maximum(_floor(white, kept), 1e-300), 0.0)
    row, column = _lattice_peaks(np.abs(whole) ** 2, kept)
    if not len(row):
        # neighbouring frequencies share power through the window: 4 / 9 of them are independent
        n = max(1.0, kept.sum() * 4 / 9)
        highest = float(ratio.max())
        chance = float(-np.expm1(n * np.log1p(-np.exp(-highest))))
        return ResidualStructure(highest, chance, np.zeros((0, 2)), np.nan, spots)
    statistic = float(ratio[row, column].sum())
    frequency = np.column_stack([np.fft.fftfreq(image.shape[0])[row], np.fft.rfftfreq(image.shape[1])[column]])
    # the noise is in both, and must not pass for what they have in common
    noise = _floor(np.abs(left) ** 2, kept)[row, column]
    at_image, at_left = whole[row, column], left[row, column]
    common = float(((at_left * at_image.conj()).real - noise).sum())
    share = common / max(float((np.abs(at_image) ** 2 - noise).sum()), 1e-300)
    return ResidualStructure(statistic, float(special.gammaincc(len(row), statistic)), frequency, share, spots)


def _transformed(values: Array, window: Array) -> NDArray[np.complex128]:
    return np.asarray(np.fft.rfft2(values * window))


def _judged(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Frequencies that are neither background nor offsets of lines."""
    rows, columns = (np.fft.fftfreq(shape[0]) * shape[0])[:, None], (np.fft.rfftfreq(shape[1]) * shape[1])[None]
    judged: NDArray[np.bool_] = (np.hypot(rows, columns) >= _LOWEST_PERIODS) & (columns > _LINE_PERIODS)
    judged[:, -1] = False  # the highest frequency along x stands for itself alone
    return judged


def _floor(power: Array, kept: NDArray[np.bool_]) -> Array:
    """Mean power around each frequency, without what stands out."""
    weight = _spread(kept.astype(float))
    floor = np.full(power.shape, np.median(power[kept]) / np.log(2))
    for _ in range(4):
        floor = _spread(np.where(kept, np.minimum(power, _CUT * floor), 0.0)) / np.maximum(weight, 1e-6)
        floor /= -np.expm1(-_CUT)  # the mean of what is left of an exponential that is cut there
    return np.asarray(floor)


def _spread(values: Array) -> Array:
    along = ndimage.gaussian_filter1d(values, _FLOOR_BINS, axis=0, mode="wrap")
    return np.asarray(ndimage.gaussian_filter1d(along, _FLOOR_BINS, axis=1, mode="reflect"))


def _lattice_peaks(power: Array, kept: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(row, column) of the strongest peaks of a spectrum."""
    ratio = np.where(kept, power / np.maximum(_floor(power, kept), 1e-300), 0.0)
    highest = ndimage.maximum_filter(ratio, size=5, mode=("wrap", "nearest")) == ratio
    row, column = np.nonzero(highest & (ratio > np.log(kept.sum()) + _ABOVE))
    strongest = np.argsort(power[row, column])[::-1][:_MOST_PEAKS]
    return row[strongest], column[strongest]


def _lost_spots(residual: Array, known: NDArray[np.bool_]) -> Array:
    """Places (n, 2) of a residual in units of its noise that are too bright or too dark for noise."""
    n_known = np.maximum(known.sum(axis=1, keepdims=True), 1)
    flat = np.where(known, residual - residual.sum(axis=1, keepdims=True) / n_known, 0.0)
    smooth = ndimage.gaussian_filter(flat, _SPOT_PX, mode="constant")
    # noise of fewer pixels at the border; the square of a Gaussian is one that is narrower by the root of 2
    seen = ndimage.gaussian_filter(known.astype(float), _SPOT_PX / np.sqrt(2), mode="constant")
    smooth = np.where(known, smooth / np.sqrt(np.maximum(seen, 1e-3)), 0.0)
    spread = 1.4826 * float(np.median(np.abs(smooth[known]))) if known.any() else 0.0
    if spread <= 0:
        return np.zeros((0, 2))
    height = np.abs(smooth) / spread
    top = ndimage.maximum_filter(height, size=_APART_PX) == height
    return np.argwhere(top & (height > _extreme(known.sum() / (2 * _SPOT_PX**2)))).astype(float)


def _extreme(resels: float) -> float:
    """Height that the extremes of smooth normal noise exceed in the share `ALARM` of images, by the expected number of
    patches above it (R. J. Adler, The Geometry of Random Fields, 1981).
    """
    heights = np.linspace(3, 12, 901)
    expected = 2 * resels * (2 * np.pi) ** -1.5 * heights * np.exp(-0.5 * heights**2)
    return float(heights[np.argmax(expected < ALARM)])
