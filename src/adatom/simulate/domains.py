"""Patterns of ferroelectric domains: where the polarisation points up, down, or along the surface.

Walls of domains have the profile of a tanh (Landau-Ginzburg; Marton, Rychetsky & Hlinka, Phys. Rev. B 81, 144125
(2010), 10.1103/PhysRevB.81.144125). Lamellae stand on two directions at right angles, as the traces of {101} twins of a
tetragonal film on its (001) surface do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft, ndimage

from adatom.simulate.domain_recipe import DOWN, IN_PLANE, UP, Domains
from adatom.simulate.fields import log_uniform, random_field

Array = NDArray[np.float64]

CLASSES = (UP, DOWN, IN_PLANE)
# Domains as narrow as this hold no pixel of their own.
_NARROWEST_PX = 3.0


@dataclass(frozen=True)
class Polarisation:
    """Polarisation of a surface, in units of that of a wide domain.

    Attributes
    ----------
    out_of_plane : (y, x) 1 where up, -1 where down.
    in_plane : (y, x) 1 or -1 along the surface in lamellae.
    region : (y, x) number of the class that each pixel is of, from 1; walls belong to the nearer side.
    """

    out_of_plane: Array
    in_plane: Array
    region: NDArray[np.uint8]

    def label(self, half_wall_px: float) -> NDArray[np.uint8]:
        """`region` with 0 at walls, to so many pixels on either side of them."""
        differs = np.zeros(self.region.shape, dtype=bool)
        for axis in (0, 1):
            change = np.diff(self.region, axis=axis) != 0
            first, second = (
                np.pad(change, [(side, 1 - side) if a == axis else (0, 0) for a in (0, 1)]) for side in (0, 1)
            )
            differs |= first | second
        if not differs.any():
            return self.region
        # a pixel that a wall passes at its side is half a pixel from it
        away = ndimage.distance_transform_edt(~differs) + 0.5
        return np.where(away <= half_wall_px, 0, self.region).astype(np.uint8)


def draw_polarisation(material: Domains, size: int, px_per_nm: float, rng: Generator) -> Polarisation:
    """Draw the domains of one image of `size` pixels a side."""
    names, weights = list(material.patterns), np.array(list(material.patterns.values()))
    pattern = names[rng.choice(len(names), p=weights / weights.sum())]
    width = max(_NARROWEST_PX, log_uniform(material.width_nm, rng) * px_per_nm)
    wall = rng.uniform(*material.wall_nm) * px_per_nm
    field = _PATTERNS[pattern](size, width, rng)
    down = field < np.quantile(field, np.clip(rng.uniform(*material.down_share), 0.0, 1.0))
    pinned = rng.uniform(*material.displacement_nm) * px_per_nm
    distance = _distance_to_wall(~down)
    if pinned > 0:
        distance = distance + pinned * random_field(size, max(2.0, 0.3 * width), rng)
    up = distance >= 0
    out_of_plane = np.tanh(distance / wall)
    in_plane, share = np.zeros((size, size)), rng.uniform(*material.in_plane_share)
    if share > 0:
        in_plane = _draw_lamellae(material, share, size, px_per_nm, wall, rng)
    region = np.where(np.abs(in_plane) > 0.5, 3, np.where(up, 1, 2)).astype(np.uint8)
    return Polarisation(out_of_plane * np.sqrt(1 - in_plane**2), in_plane, region)


def _bubbles(size: int, width: float, rng: Generator) -> Array:
    return random_field(size, width / 2, rng)


def _maze(size: int, width: float, rng: Generator) -> Array:
    """Noise of wavelengths around two widths."""
    frequency = np.hypot(fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :])
    ring = np.exp(-0.5 * ((frequency * 2 * width - 1) / 0.15) ** 2)
    field: Array = fft.irfft2(fft.rfft2(rng.standard_normal((size, size))) * ring, (size, size))
    return field


def _stripes(size: int, width: float, rng: Generator) -> Array:
    """A wave whose crests wander."""
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    along = np.arange(size)
    place = along[None, :] * np.cos(angle) + along[:, None] * np.sin(angle)
    wander = rng.uniform(0, 0.5) * random_field(size, 3 * width, rng)
    wave: Array = np.sin(np.pi * place / width + phase + wander)
    return wave


_PATTERNS = {"bubbles": _bubbles, "maze": _maze, "stripes": _stripes}


def _distance_to_wall(up: NDArray[np.bool_]) -> Array:
    """Distance (y, x) of each pixel to the nearest wall [px], negative where down; a smooth wall between the pixels."""
    if up.all() or not up.any():
        return np.where(up, 1.0, -1.0) * max(up.shape)
    distance = ndimage.distance_transform_edt(up) - ndimage.distance_transform_edt(~up)
    distance -= np.where(up, 0.5, -0.5)
    smooth: Array = ndimage.gaussian_filter(distance, 1.0)
    return smooth


def _draw_lamellae(material: Domains, share: float, size: int, px_per_nm: float, wall: float, rng: Generator) -> Array:
    """Polarisation (y, x) along the surface: bands that cross the image, polarised one way or the other."""
    first, along = rng.uniform(0, np.pi), np.arange(size) - (size - 1) / 2
    in_plane = np.zeros((size, size))
    while (np.abs(in_plane) > 0.5).mean() < share:
        width = max(_NARROWEST_PX, rng.uniform(*material.in_plane_width_nm) * px_per_nm)
        angle = first + np.pi / 2 * rng.integers(2)
        place = along[None, :] * np.cos(angle) + along[:, None] * np.sin(angle) - rng.uniform(-0.7, 0.7) * size
        band = 0.5 * (np.tanh((place + width / 2) / wall) - np.tanh((place - width / 2) / wall))
        in_plane = in_plane * (1 - band) + (1 if rng.random() < 0.5 else -1) * band
    return in_plane
