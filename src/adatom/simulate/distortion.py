"""How a crystal lies in the image: turned, strained, sheared."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.simulate.recipe import Microscope


def draw_distortion(microscope: Microscope, rng: Generator) -> NDArray[np.float64]:
    """Rotation and strain (2, 2), for (x, y) rows from the left."""
    angle = np.deg2rad(rng.uniform(*microscope.rotation_deg))
    shear = rng.uniform(*microscope.shear)
    strain = np.array([[1 + rng.uniform(*microscope.strain), shear], [shear, 1 + rng.uniform(*microscope.strain)]])
    if any(microscope.stretch):  # drawn only where a recipe asks for it: others go on giving the same images
        strain += rng.uniform(*microscope.stretch) * np.diag([1.0, -1.0])
    distortion: NDArray[np.float64] = turned(angle) @ strain
    return distortion


def turned(angle: float) -> NDArray[np.float64]:
    """Rotation (2, 2) by an angle [radians], for (x, y) rows from the left."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
