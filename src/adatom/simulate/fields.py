"""What several parts of a simulated image are drawn from: smooth random fields, and numbers even in the logarithm."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

Array = NDArray[np.float64]


def log_uniform(bounds: tuple[float, float], rng: Generator) -> float:
    """A number drawn evenly in its logarithm; a bound of 0 stands for next to nothing."""
    low = bounds[0] or 1e-6
    return float(np.exp(rng.uniform(np.log(low), np.log(max(bounds[1], low)))))


def random_field(size: int, correlation: float, rng: Generator) -> Array:
    """Smooth random field (y, x) with mean 0, standard deviation 1 and a correlation length [px]."""
    # Coarse noise, enlarged: a wide Gaussian on the full grid would cost far more.
    coarsening = max(1, int(correlation / 2))
    coarse = rng.standard_normal((size // coarsening + 4,) * 2)
    coarse = ndimage.gaussian_filter(coarse, correlation / coarsening, mode="wrap")
    if coarsening > 1:
        side = len(coarse) * coarsening
        coarse = np.asarray(Image.fromarray(coarse.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR))
    field = coarse[:size, :size].astype(float)
    return (field - field.mean()) / max(field.std(), 1e-12)


def pink_noise(size: int, rng: Generator) -> Array:
    """Noise (y, x) of a scan line by line whose power falls with 1 / frequency; mean 0, standard deviation 1."""
    n = size * size
    white = rng.standard_normal(n).astype(np.float32)
    spectrum = fft.rfft(white)
    frequency = np.arange(len(spectrum), dtype=np.float32)
    frequency[0] = np.inf
    noise = fft.irfft(spectrum / np.sqrt(frequency), n).astype(float)
    return (noise / max(float(noise.std()), 1e-12)).reshape(size, size)
