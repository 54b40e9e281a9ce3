"""The two sublattices of a honeycomb."""

import numpy as np

from adatom.analyse.sublattices import honeycomb_sublattices


def honeycomb(n: int, *, angle: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Positions (2 n n, 2) with a bond of 10, and the sublattice of each."""
    edge = 10 * np.sqrt(3)
    a, b = (edge * np.array([np.cos(angle + k), np.sin(angle + k)]) for k in (0, np.pi / 3))
    i, j = (index.ravel()[:, None] for index in np.mgrid[:n, :n])
    first = i * a + j * b
    return np.concatenate([first, first + (a + b) / 3]), np.repeat([0, 1], n * n)


def agreement(number: np.ndarray, known: np.ndarray) -> float:
    """Share of the atoms on the right one, whichever is called 0, of those that were told."""
    told = number >= 0
    right = float((number[told] == known[told]).mean())
    return max(right, 1 - right)


def test_sublattices_are_told_apart_though_atoms_are_missing_displaced_and_sheared() -> None:
    rng = np.random.default_rng(0)
    positions, known = honeycomb(20)
    kept = rng.random(len(positions)) > 0.08
    positions, known = positions[kept] + rng.normal(0, 0.4, (kept.sum(), 2)), known[kept]
    positions = positions @ np.array([[1.04, 0.03], [0.0, 0.97]])
    number = honeycomb_sublattices(positions)
    assert number is not None
    assert agreement(number, known) > 0.995
    assert (number >= 0).mean() > 0.95


def test_other_arrangements_have_none() -> None:
    edge = np.array([[10.0, 0.0], [5.0, 5 * np.sqrt(3)]])
    i, j = (index.ravel()[:, None] for index in np.mgrid[:20, :20])
    rng = np.random.default_rng(0)
    assert honeycomb_sublattices(i * edge[0] + j * edge[1] + rng.normal(0, 0.2, (400, 2))) is None
    assert honeycomb_sublattices(np.column_stack([10.0 * i, 10.0 * j]) + rng.normal(0, 0.2, (400, 2))) is None
    assert honeycomb_sublattices(rng.uniform(0, 200, (400, 2))) is None
    assert honeycomb_sublattices(np.zeros((0, 2))) is None
