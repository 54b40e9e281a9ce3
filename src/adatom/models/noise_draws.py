"""Noise like an image's own, drawn anew: what denoising does to it says how far a denoised image is to be trusted."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.locate.noise import Noise, estimate_noise

Array = NDArray[np.float64]

_SMOOTH_PX = 1.5  # of the risk, which a few draws tell only roughly


class NoiseDraws:
    """Draws of noise that has the strength, the dependence on the signal and the spectrum of what was taken out.

    Parameters
    ----------
    values, denoised : (y, x) the image and what is left of it; NaN where nothing was measured.
    """

    def __init__(self, values: Array, denoised: Array, rng: np.random.Generator) -> None:
        self.denoised, self.rng = denoised, rng
        self.known = np.isfinite(values)
        residual = np.where(self.known, values - denoised, 0.0)
        self.noise: Noise = estimate_noise(residual, np.where(self.known, denoised, 0.0), self.known)
        self.std: Array = np.sqrt(np.maximum(self.noise.variance(np.where(self.known, denoised, 0.0)), 0.0))
        # in units of its noise; of single wild pixels no more than others have
        white = np.clip(residual / np.maximum(self.std, 1e-30), -5.0, 5.0) * self.known
        self.spectrum = np.abs(np.fft.rfft2(white)) * np.sqrt(white.size / max(1, self.known.sum()))

    def draw(self) -> Array:
        """The denoised image under noise drawn anew (y, x)."""
        phases = np.fft.rfft2(self.rng.standard_normal(self.denoised.shape))
        phases /= np.maximum(np.abs(phases), 1e-30)
        noise = np.fft.irfft2(self.spectrum * phases, s=self.denoised.shape)
        return np.asarray(self.denoised + self.std * noise)

    def risk(self, denoise: Callable[[Array, int], Array], n: int) -> Array:
        """Root mean square (y, x) of what changes when noise is laid over the result and taken out again, `n` times.

        `denoise` takes an image and the number of the draw.
        """
        square = np.zeros(self.denoised.shape)
        for number in range(n):
            square += np.where(self.known, denoise(self.draw(), number) - self.denoised, 0.0) ** 2
        weight = np.maximum(ndimage.gaussian_filter(self.known.astype(float), _SMOOTH_PX), 1e-6)
        smooth = ndimage.gaussian_filter(square / n, _SMOOTH_PX) / weight
        return np.where(self.known, np.sqrt(np.maximum(smooth, 0.0)), np.nan)
