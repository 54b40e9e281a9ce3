"""Particles on a support, as a microscope that resolves no atoms sees them."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from adatom.simulate.fields import log_uniform, random_field
from adatom.simulate.particle_recipe import Nanoparticles
from adatom.simulate.particles import SIDES, Outline

Array = NDArray[np.float64]

_MOST_TRIES = 3000
# Centres of particles that were not laid against each other are at least this many sums of their radii apart, ...
_APART = 1.08
# ... and those of a particle laid against another one from all the others.
_CROWDED = 0.92
# The image reaches this many radii beyond its border.
_MARGIN = 1.5


@dataclass(frozen=True)
class ParticleImage:
    """Particles that cover a part of an image.

    Attributes
    ----------
    height : (y, x), about 1 in the middle of a particle, 0 on the support.
    instances : (y, x) number of the particle that a pixel shows, from 1; 0 for none.
    """

    height: Array
    instances: NDArray[np.uint16]

    def label(self, half_boundary_px: float) -> NDArray[np.uint8]:
        """Class map (y, x): 1 in particles, 2 to so many pixels from another particle, 0 elsewhere."""
        reach = int(np.ceil(half_boundary_px))
        along = np.arange(-reach, reach + 1)
        disc = np.hypot(along[:, None], along[None, :]) <= half_boundary_px + 0.5
        number = self.instances.astype(np.int64)
        highest = ndimage.maximum_filter(number, footprint=disc)
        far = int(number.max()) + 1
        lowest = far - ndimage.maximum_filter(np.where(number > 0, far - number, 0), footprint=disc)
        inside = number > 0
        between = inside & ((highest != number) | (lowest != number))
        return np.where(between, 2, inside).astype(np.uint8)


def draw_nanoparticles(material: Nanoparticles, size: int, px_per_nm: float, rng: Generator) -> ParticleImage:
    """Draw the particles of one image of `size` pixels a side."""
    outlines = _lay_out(material, size, px_per_nm, rng)
    height, instances = np.zeros((size, size)), np.zeros((size, size), np.uint16)
    texture = rng.uniform(*material.texture)
    spread = rng.uniform(*material.height_spread)
    number = 0
    for one in outlines:
        level = float(np.clip(1 + spread * rng.standard_normal(), 0.3, 2.0))
        (top, bottom), (left, right) = (
            (max(0, int(at - one.radius)), min(size, int(at + one.radius) + 2)) for at in one.centre[::-1]
        )
        if top >= bottom or left >= right:
            continue
        rows, columns = np.mgrid[top:bottom, left:right]
        mine = level * one.thickness(np.column_stack([columns.ravel(), rows.ravel()]).astype(float))
        mine = mine.reshape(rows.shape)
        window = np.s_[top:bottom, left:right]
        above = mine > height[window]
        if not above.any():
            continue
        number += 1
        height[window] = np.where(above, mine, height[window])
        instances[window] = np.where(above, number, instances[window])
    if texture > 0:
        grain = rng.uniform(0.1, 0.5) * float(np.median([one.radius for one in outlines] or [1.0]))
        height = height * np.clip(1 + texture * random_field(size, max(1.0, grain), rng), 0.2, 2.0)
    return ParticleImage(height, instances)


def _lay_out(material: Nanoparticles, size: int, px_per_nm: float, rng: Generator) -> list[Outline]:
    """Particles in the image and around it, until they cover the share that was drawn, or no room is left."""
    typical = log_uniform(material.radius_nm, rng) * px_per_nm
    spread = rng.uniform(*material.size_spread)
    faceting, domed = rng.uniform(*material.faceting), rng.uniform(*material.domed)
    touching, overlap = rng.uniform(*material.touching), rng.uniform(*material.overlap)
    margin = _MARGIN * typical
    wanted = rng.uniform(*material.coverage) * (size + 2 * margin) ** 2
    outlines: list[Outline] = []
    centres: list[Array] = []
    radii: list[float] = []
    covered = 0.0
    for _ in range(_MOST_TRIES):
        if covered >= wanted:
            break
        one = Outline(
            centre=rng.uniform(-margin, size + margin, 2),
            radius=typical * float(np.exp(np.clip(spread * rng.standard_normal(), -1.0, 1.0))),
            angle=rng.uniform(0, 2 * np.pi),
            sides=SIDES[int(rng.integers(len(SIDES)))],
            faceting=faceting,
            domed=domed,
            elongation=rng.uniform(*material.elongation),
        )
        needed = np.full(len(outlines), _APART)
        if outlines and rng.random() < touching:
            neighbour = int(rng.integers(len(outlines)))
            one = _against(one, outlines[neighbour], overlap, rng.uniform(0, 2 * np.pi))
            needed[:] = _CROWDED
            needed[neighbour] = 0.0
        distance = np.hypot(*(np.array(centres).reshape(-1, 2) - one.centre).T)
        if (distance >= needed * (one.radius + np.array(radii))).all():
            outlines.append(one)
            centres.append(one.centre)
            radii.append(one.radius)
            covered += np.pi * one.radius**2 / one.elongation
    return outlines


def _against(one: Outline, neighbour: Outline, overlap: float, direction: float) -> Outline:
    """The same particle where it touches its neighbour in this direction from it."""
    reach = neighbour.reach(direction) + one.reach(direction + np.pi) - overlap * min(one.radius, neighbour.radius)
    return one.moved_to(neighbour.centre + reach * np.array([np.cos(direction), np.sin(direction)]))
