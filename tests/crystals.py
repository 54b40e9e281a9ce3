"""Crystals with known lattices, defects and strains, as positions alone."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRAPHENE_NM = 0.246


def honeycomb(n: int, constant: float = GRAPHENE_NM) -> Array:
    """n x n cells (2 n^2, 2) of a honeycomb, one sublattice after the other."""
    vectors = constant * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    cells = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2) @ vectors
    return np.concatenate([cells, cells + np.array([0.0, constant / np.sqrt(3)])])


def disc(positions: Array, radius: float) -> Array:
    """Those within a distance of their middle."""
    away = positions - positions.mean(axis=0)
    return positions[np.hypot(*away.T) < radius]


def hexagonal(n: int, constant: float) -> Array:
    """A block of n rows of n atoms on a triangular lattice, nearly square."""
    row, column = np.divmod(np.arange(n * n), n)
    return constant * np.column_stack([column + 0.5 * (row % 2), np.sqrt(0.75) * row])


def square(n: int, constant: float) -> Array:
    """n x n atoms of a square lattice."""
    return constant * np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2).astype(float)


def turned(positions: Array, degrees: float) -> Array:
    """Turned about the origin, from x towards y."""
    angle = np.deg2rad(degrees)
    return positions @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def with_dislocation(positions: Array, core: Array, burgers: float, poisson: float = 0.25) -> Array:
    """Displaced as by an edge dislocation at `core` with its Burgers vector along x (Hirth & Lothe, 3-45)."""
    x, y = (positions - core).T
    square = x**2 + y**2
    ux = burgers / (2 * np.pi) * (np.arctan2(y, x) + x * y / (2 * (1 - poisson) * square))
    uy = (1 - 2 * poisson) / (4 * (1 - poisson)) * np.log(square) + (x**2 - y**2) / (4 * (1 - poisson) * square)
    return positions + np.column_stack([ux, -burgers / (2 * np.pi) * uy])
