"""Single heavy atoms anywhere on a support, and some pairs of them."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.simulate.fields import log_uniform
from adatom.simulate.recipe import SingleAtoms

Array = NDArray[np.float64]


def draw_positions(material: SingleAtoms, side_nm: float, rng: Generator) -> Array:
    """(n, 2) positions (x, y) [nm] in a square about the origin."""
    n = rng.poisson(log_uniform(material.density_per_nm2, rng) * side_nm**2)
    positions = rng.uniform(-side_nm / 2, side_nm / 2, (n, 2))
    paired = positions[rng.random(n) < rng.uniform(*material.pair_share)]
    apart = rng.uniform(*material.pair_distance_nm, size=len(paired))
    angle = rng.uniform(0, 2 * np.pi, len(paired))
    partners = paired + apart[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return np.concatenate([positions, partners])
