"""A crystal whose atoms are known up to the border and beyond, for what must hold of the finder that ships."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from adatom.locate import match_positions

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Crystal:
    """An image and its atoms (n, 2) as (x, y) [px], `bond` apart, also those whose centres lie just outside."""

    values: Array
    atoms: Array
    bond: float

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Atoms (n,) whose centres lie on the image."""
        rows, columns = self.values.shape
        inside: NDArray[np.bool_] = ((self.atoms >= -0.5) & (self.atoms < np.array([columns, rows]) - 0.5)).all(axis=1)
        return inside

    def f1(self, found: Array) -> float:
        """Of found positions (n, 2) against the atoms inside, one to one; what is found outside is wrong."""
        return self._f1(found, self.atoms[self.inside])

    def f1_where(self, judged: NDArray[np.bool_], found: Array) -> float:
        """The same where only some atoms (n,) are asked for, and finding one of the others is not wrong."""
        others = match_positions(found, self.atoms[~judged], tolerance=0.3 * self.bond).found
        return self._f1(np.delete(found, others, axis=0), self.atoms[judged])

    def _f1(self, found: Array, known: Array) -> float:
        match = match_positions(found, known, tolerance=0.3 * self.bond)
        return 2 * len(match.found) / (match.n_found + match.n_known)


def draw_honeycomb(rows: int, columns: int, *, bond: float = 8.3, angle: float = 0.2, seed: int = 0) -> Crystal:
    """A honeycomb of two kinds of atoms, the second 0.6 as high, with little noise."""
    steps = np.arange(-60.0, 61.0)
    cells = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 1, 2)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    vectors = np.sqrt(3) * bond * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]]) @ turn
    atoms = (cells + np.array([[0.0, 0.0], [1 / 3, 1 / 3]])) @ vectors + [columns / 2 + 1.3, rows / 2 - 0.7]
    height = np.broadcast_to([1.0, 0.6], atoms.shape[:2]).reshape(-1)
    atoms, width = atoms.reshape(-1, 2), 0.27 * bond
    near = ((atoms > -4 * width) & (atoms < np.array([columns, rows]) + 4 * width)).all(axis=1)
    atoms, height = atoms[near], height[near]
    along_x, along_y = (
        np.exp(-0.5 * ((np.arange(n) - at[:, None]) / width) ** 2)
        for n, at in zip((columns, rows), atoms.T, strict=True)
    )
    values = (height[:, None] * along_y).T @ along_x
    values += 0.05 * np.random.default_rng(seed).normal(size=values.shape)
    return Crystal(values, atoms, bond)


@pytest.fixture(scope="session")
def honeycomb() -> Crystal:
    """160 x 160 px, 8.3 px a bond, turned by 0.2 rad."""
    return draw_honeycomb(160, 160)
