"""The image of many atoms that all look alike, at exact positions between pixels.

Atoms are spread on a few pixels each with a Kaiser-Bessel kernel, and that kernel is divided out again where the image
of one atom is folded in, in Fourier space: a non-uniform fast Fourier transform of type 1 (Dutt & Rokhlin, SIAM J. Sci.
Comput. 14, 1368 (1993), 10.1137/0914081; the kernel: Beatty, Nishimura & Pauly, IEEE Trans. Med. Imaging 24, 799
(2005), 10.1109/TMI.2005.848376). The cost hardly grows with the atoms or with the reach of their images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

Array = NDArray[np.float64]

_SUPPORT = 6  # pixels along each axis that an atom is spread on
# Above this share of the sampling frequency the spreading would be felt; a finer grid is taken instead.
HIGHEST_FREQUENCY = 0.4


@dataclass(frozen=True)
class PointImage:
    """What one atom of height 1 looks like.

    Attributes
    ----------
    values : (m, m), its centre at [m // 2, m // 2], on pixels 1 / `oversampling` wide, before the blur.
    blur_px : standard deviation of a Gaussian that it is blurred by [px].
    oversampling : so many of its pixels are as wide as one of the image; the frequencies of the blurred image stay
        below HIGHEST_FREQUENCY of its own pixels.
    """

    values: Array
    blur_px: float
    oversampling: int

    def peak(self) -> float:
        """Its highest value after the blur; at the centre, unless aberrations have hollowed it out."""
        side = len(self.values)
        frequency = np.fft.fftfreq(side)
        damping = np.exp(-2 * (np.pi * self.blur_px * self.oversampling * frequency) ** 2)
        blurred = fft.ifft2(fft.fft2(self.values) * damping[:, None] * damping[None, :]).real
        return float(blurred.max())

    def gaussian_width_px(self) -> float:
        """Standard deviation of a Gaussian of the same peak and volume [px]."""
        return float(np.sqrt(self.values.sum() / (2 * np.pi * self.peak()))) / self.oversampling


def oversampling_for(highest_frequency: float) -> int:
    """Pixels of the grid along one of the image, for an image of one atom without frequencies above this [1/px]."""
    return max(1, int(np.ceil(highest_frequency / HIGHEST_FREQUENCY)))


def place_atoms(
    x: Array, y: Array, height: Array, size: int, image_of_one: PointImage, row_shift: Array | None = None
) -> Array:
    """Sum of the images of all atoms.

    Parameters
    ----------
    x, y : (n,) positions [px]; those far outside the image are left out.
    height : (n,) factors on the image of one.
    size : pixels a side.
    row_shift : (y,) sideways shift of each scan line [px].

    Returns
    -------
    (y, x)
    """
    fine, reach = image_of_one.oversampling, len(image_of_one.values) // 2
    shifts = np.zeros(size) if row_shift is None else row_shift
    reach_px = reach / fine + np.abs(shifts).max()
    near = (np.abs(x - (size - 1) / 2) < size / 2 + reach_px) & (np.abs(y - (size - 1) / 2) < size / 2 + reach_px)
    # so large that no image reaches round to the other side
    side = fft.next_fast_len(int(np.ceil(fine * (size + 2 * reach_px))) + _SUPPORT, real=True)
    frequency_y, frequency_x = np.fft.fftfreq(side), np.fft.rfftfreq(side)
    blur = 2 * (np.pi * image_of_one.blur_px * fine) ** 2
    factor_y, factor_x = (np.exp(-blur * q**2) / _kernel_transform(q) for q in (frequency_y, frequency_x))
    spread = _spread(fine * x[near], fine * y[near], height[near], side)
    # float32 is finer than any detector here too
    spectrum = fft.rfft2(spread.astype(np.float32))
    spectrum *= fft.rfft2(_about_origin(image_of_one.values.astype(np.float32), side))
    spectrum *= factor_y.astype(np.float32)[:, None]
    rows = fft.ifft(spectrum, axis=0)[: fine * size : fine]  # (y, frequency x)
    rows *= factor_x.astype(np.float32)
    if shifts.any():
        rows *= np.exp((-2j * np.pi * fine * shifts[:, None] * frequency_x[None, :]).astype(np.complex64))
    return fft.irfft(rows, side, axis=1)[:, : fine * size : fine].astype(float)


def _about_origin(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """`values` on a periodic grid of `side` pixels, their centre at the origin."""
    after, before = slice(len(values) // 2, None), slice(None, len(values) // 2)
    canvas = np.zeros((side, side), dtype=np.float32)
    n = len(values) - len(values) // 2
    low, high = slice(None, n), slice(side - len(values) // 2, None)
    canvas[low, low], canvas[low, high] = values[after, after], values[after, before]
    canvas[high, low], canvas[high, high] = values[before, after], values[before, before]
    return canvas


def _spread(x: Array, y: Array, height: Array, side: int) -> Array:
    """Atoms on a periodic grid, each on `_SUPPORT` pixels along each axis."""
    index_x, weight_x = _kernel_weights(x)
    index_y, weight_y = _kernel_weights(y)
    flat = (index_y % side)[:, :, None] * side + (index_x % side)[:, None, :]
    weights = (height[:, None] * weight_y)[:, :, None] * weight_x[:, None, :]
    spread: Array = np.bincount(flat.ravel(), weights=weights.ravel(), minlength=side * side).astype(float)
    return spread.reshape(side, side)


# Shape of the kernel, for an image that is sampled 1 / (2 HIGHEST_FREQUENCY) times as finely as it must be.
_OVERSAMPLED = 1 / (2 * HIGHEST_FREQUENCY)
_SHAPE = np.pi * np.sqrt((_SUPPORT / _OVERSAMPLED * (_OVERSAMPLED - 0.5)) ** 2 - 0.8)


def _kernel_weights(at: Array) -> tuple[NDArray[np.int64], Array]:
    """Indices and weights (n, _SUPPORT) of the pixels around each position."""
    first = np.ceil(at - _SUPPORT / 2).astype(np.int64)
    index = first[:, None] + np.arange(_SUPPORT)
    distance = (index - at[:, None]) * (2 / _SUPPORT)
    return index, special.i0(_SHAPE * np.sqrt(np.maximum(1 - distance**2, 0.0)))


def _kernel_transform(frequency: NDArray[np.floating]) -> Array:
    """Fourier transform of the kernel at frequencies [1/px], where it is above 0."""
    inner = np.sqrt(_SHAPE**2 - (np.pi * _SUPPORT * frequency) ** 2 + 0j)
    transform: Array = (_SUPPORT * np.sinh(inner) / inner).real
    return transform
