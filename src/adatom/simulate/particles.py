"""Outlines of particles and islands, and the mask that tells one particle from another."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.simulate.structure_recipe import Particles

Array = NDArray[np.float64]

SIDES = (4, 6)


@dataclass(frozen=True)
class Outline:
    """A particle.

    Attributes
    ----------
    centre : (2,) x and y [px].
    radius, angle : [px], [radians]; nothing of it is farther from its centre than the radius.
    sides : of the polygon that it is like.
    faceting : 0 for a disc, 1 for the polygon.
    domed : how much thinner it is at its edge than in its middle.
    elongation : length over width, along `angle`.
    """

    centre: Array
    radius: float
    angle: float
    sides: int
    faceting: float
    domed: float
    elongation: float = 1.0

    def thickness(self, positions: Array) -> Array:
        """At each of the positions (n, 2), 1 in the middle, 0 outside."""
        relative = self._relative(*(positions - self.centre).T)
        dome = 1 - self.domed * np.minimum(relative, 1.0) ** 2
        return np.where(relative <= 1, np.maximum(dome, 0.05), 0.0)

    def reach(self, direction: float) -> float:
        """Distance of its edge from its centre in a direction [radians]."""
        return 1 / float(self._relative(np.cos(direction), np.sin(direction)))

    def moved_to(self, centre: Array) -> "Outline":
        """The same particle elsewhere."""
        return replace(self, centre=centre)

    def _relative(self, x: Array | float, y: Array | float) -> Array:
        """Distance of places from its centre in units of its edge's in their direction."""
        if self.elongation != 1:  # what is stretched back across is a particle that is not elongated
            cos, sin = np.cos(self.angle), np.sin(self.angle)
            along, across = x * cos + y * sin, self.elongation * (y * cos - x * sin)
            x, y = along * cos - across * sin, along * sin + across * cos
        sector = 2 * np.pi / self.sides
        within = (np.arctan2(y, x) - self.angle) % sector - sector / 2
        # distance to the polygon's edge, which at the corners is the disc's
        edge = np.cos(sector / 2) / np.cos(within)
        limit = self.radius * ((1 - self.faceting) + self.faceting * edge)
        relative: Array = np.hypot(x, y) / limit
        return relative


def draw_outlines(particles: Particles, size: int, px_per_nm: float, margin: float, rng: Generator) -> list[Outline]:
    """Particles in the image and around it; a later one lies over the earlier ones."""
    side = size + 2 * margin
    n = rng.poisson(rng.uniform(*particles.number) * (side / px_per_nm) ** 2 / 100)
    outlines: list[Outline] = []
    for _ in range(n):
        one = Outline(
            centre=rng.uniform(-margin, size + margin, 2),
            radius=rng.uniform(*particles.radius_nm) * px_per_nm,
            angle=rng.uniform(0, 2 * np.pi),
            sides=SIDES[int(rng.integers(len(SIDES)))],
            faceting=rng.uniform(*particles.faceting),
            domed=rng.uniform(*particles.domed),
        )
        apart = [np.hypot(*(one.centre - other.centre)) - one.radius - other.radius for other in outlines]
        if particles.overlap or min(apart, default=1.0) > 0:
            outlines.append(one)
    return outlines


def instance_mask(outlines: list[Outline], size: int) -> NDArray[np.uint16]:
    """Number (y, x) of the uppermost particle at each pixel, from 1 in the order of `outlines`; 0 for none."""
    mask = np.zeros((size, size), dtype=np.uint16)
    rows, columns = (index.ravel() for index in np.mgrid[:size, :size])
    pixels = np.column_stack([columns, rows]).astype(float)
    for number, one in enumerate(outlines, start=1):
        mask[(one.thickness(pixels) > 0).reshape(size, size)] = number
    return mask
