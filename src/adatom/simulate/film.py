"""An amorphous film under single atoms, such as the carbon that carries a catalyst.

Three things make it uneven. Its thickness varies on all lengths, as rough surfaces do: a spectral density that falls
with a power of the wavelength. It consists of atoms itself, whose number under the probe is a matter of chance: white
noise before the probe, and therefore, after it, made of spots as wide as a single heavy atom's. And it ends somewhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from adatom.simulate.fields import log_uniform, random_field
from adatom.simulate.recipe import Film

Array = NDArray[np.float64]

_WAVELENGTH_NM = 2.0  # at which a recipe states the roughness
_THIN = 0.15  # of the mean thickness: where there is less, no atom is held


@dataclass(frozen=True)
class FilmImage:
    """What a probe sees of a film.

    Attributes
    ----------
    signal : (y, x) in heights of a single atom.
    holds : (y, x) where there is film enough for atoms to lie on.
    """

    signal: Array
    holds: NDArray[np.bool_]


def draw_film(film: Film, size: int, px_per_nm: float, width_px: float, rng: Generator) -> FilmImage:
    """Draw a film, and take its image with a probe of standard deviation `width_px`."""
    level = log_uniform(film.level, rng)
    roughness, grain = log_uniform(film.roughness_nm2, rng), log_uniform(film.grain_nm2, rng)
    exponent = rng.uniform(*film.roughness_exponent)
    side = 2 * size  # a field drawn from its spectrum is periodic: half of it is not
    wave_number = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]) * px_per_nm  # 1/nm
    wave_number[0, 0] = np.inf
    density = roughness * (_WAVELENGTH_NM * wave_number) ** -exponent  # of the logarithm of the thickness [nm^2]
    white = np.fft.rfft2(rng.standard_normal((side, side)))
    smooth = np.fft.irfft2(white * np.sqrt(density), (side, side))[:size, :size] * px_per_nm
    thickness = np.exp(np.clip(smooth, -2.0, 1.5))
    if rng.random() < film.edge_probability:
        thickness *= _draw_end(film, size, px_per_nm, rng)
    n_atoms = 1 + np.sqrt(grain) * px_per_nm / np.sqrt(np.maximum(thickness, 0.1)) * rng.standard_normal((size, size))
    signal = level * np.maximum(ndimage.gaussian_filter(thickness * n_atoms, width_px), 0.0)
    return FilmImage(signal, thickness > _THIN)


def _draw_end(film: Film, size: int, px_per_nm: float, rng: Generator) -> Array:
    """From 1 on the film to 0 beyond its wavy edge, which may be thin for long."""
    rows, columns = np.mgrid[:size, :size] - size / 2
    angle = rng.uniform(0, 2 * np.pi)
    wave = rng.uniform(0, 0.25) * size * random_field(size, size / 6, rng)
    inwards = np.cos(angle) * columns + np.sin(angle) * rows + rng.uniform(-0.5, 0.3) * size + wave
    width = log_uniform(film.edge_width_nm, rng) * px_per_nm
    ended: Array = 1 / (1 + np.exp(-np.clip(inwards / width, -30, 30)))
    return ended
