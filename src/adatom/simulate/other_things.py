"""Images of anything but atoms: what a model should call unfamiliar.

Not photographs but what is known of their statistics: fields with power-law spectra, dead leaves (things that hide each
other, Lee, Mumford & Huang, IJCV 41, 35 (2001), 10.1023/A:1011109015675), stripes, fibres; more or less noisy.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from adatom.simulate.microscope import random_field

Array = NDArray[np.float64]

_NOISE = (0.01, 0.7)  # standard deviations of the image; even in the logarithm


def draw_other_thing(size: int, rng: Generator) -> Array:
    """An image (y, x) of `size` pixels a side with mean 0, standard deviation 1, and noise on top."""
    kinds: list[Callable[[int, Generator], Array]] = [_clouds, _coastline, _leaves, _stripes, _fibres]
    image = kinds[int(rng.integers(len(kinds)))](size, rng)
    image = (image - image.mean()) / max(float(image.std()), 1e-9)
    low, high = np.log(_NOISE)
    return image + np.exp(rng.uniform(low, high)) * rng.standard_normal(image.shape)


def _clouds(size: int, rng: Generator) -> Array:
    """A field whose amplitudes fall with a power of the frequency between 0 (white noise) and 2."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    frequency[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.standard_normal((size, size))) * frequency ** -rng.uniform(0, 2)
    field: Array = np.fft.ifft2(spectrum).real
    return field


def _coastline(size: int, rng: Generator) -> Array:
    clouds = _clouds(size, rng)
    return (clouds > np.quantile(clouds, rng.uniform(0.2, 0.8))).astype(float)


def _leaves(size: int, rng: Generator) -> Array:
    """Discs and bars of one grey each, many small ones and few large ones, the later in front of the earlier."""
    image = np.zeros((size, size))
    row, column = np.mgrid[:size, :size]
    for _ in range(int(rng.integers(60, 400))):
        radius = rng.uniform(0.7, 3) * min(2 / (np.sqrt(rng.random()) + 1e-3), size / 2)
        y, x = rng.uniform(0, size, 2)
        if rng.random() < 0.5:
            inside = (row - y) ** 2 + (column - x) ** 2 < radius**2
        else:
            turn = rng.uniform(0, np.pi)
            along = (row - y) * np.cos(turn) + (column - x) * np.sin(turn)
            across = (column - x) * np.cos(turn) - (row - y) * np.sin(turn)
            inside = (np.abs(along) < radius) & (np.abs(across) < radius * rng.uniform(0.2, 1))
        image[inside] = rng.standard_normal()
    return image


def _stripes(size: int, rng: Generator) -> Array:
    row, column = np.mgrid[:size, :size]
    turn, bend = rng.uniform(0, np.pi), 3 * random_field(size, rng.uniform(5, 30), rng)
    return np.sin((row * np.cos(turn) + column * np.sin(turn) + bend) * 2 * np.pi / rng.uniform(3, 30))


def _fibres(size: int, rng: Generator) -> Array:
    width, ratio = rng.uniform(0.6, 4), rng.uniform(1, 6)
    field: Array = ndimage.gaussian_filter(rng.standard_normal((size, size)), (width, width * ratio))
    return np.abs(field) if rng.random() < 0.5 else field
