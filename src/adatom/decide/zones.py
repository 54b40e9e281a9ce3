"""Where not to go: shapes in the frame of the places [nm], borders included."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adatom.decide.posterior import Array
from adatom.errors import ArgumentError


class Zone(Protocol):
    """A region of the plane."""

    def holds(self, places: Array) -> NDArray[np.bool_]:
        """Which places (n, 2) lie in it."""


@dataclass(frozen=True)
class Disc:
    """All within `radius_nm` of a point."""

    x_nm: float
    y_nm: float
    radius_nm: float

    def holds(self, places: Array) -> NDArray[np.bool_]:
        """(n,)."""
        inside: NDArray[np.bool_] = np.hypot(places[:, 0] - self.x_nm, places[:, 1] - self.y_nm) <= self.radius_nm
        return inside


@dataclass(frozen=True)
class Rectangle:
    """An upright rectangle."""

    x_nm: tuple[float, float]
    y_nm: tuple[float, float]

    def holds(self, places: Array) -> NDArray[np.bool_]:
        """(n,)."""
        (left, right), (top, bottom) = sorted(self.x_nm), sorted(self.y_nm)
        x, y = places.T
        inside: NDArray[np.bool_] = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
        return inside


@dataclass(frozen=True)
class Polygon:
    """A polygon of three corners or more (x, y)."""

    corners_nm: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        if len(self.corners_nm) < 3:
            raise ArgumentError(f"corners_nm: expected three corners or more, got {len(self.corners_nm)}.")

    def holds(self, places: Array) -> NDArray[np.bool_]:
        """(n,)."""
        from matplotlib.path import Path

        corners = np.asarray(self.corners_nm, dtype=float)
        # a border belongs to it, whichever way round its corners are given
        path = Path(corners)
        width = 1e-9 * float(np.ptp(corners, axis=0).max())
        inside: NDArray[np.bool_] = path.contains_points(places, radius=width) | path.contains_points(
            places, radius=-width
        )
        return inside


def allowed(places: Array, forbidden: Sequence[Zone], margin_nm: float = 0.0) -> NDArray[np.bool_]:
    """Which places (n, 2) lie in no forbidden zone, and no nearer than a margin to the border of them all."""
    low, high = places.min(axis=0) + margin_nm, places.max(axis=0) - margin_nm
    free = ((places >= low) & (places <= high)).all(axis=1)
    for zone in forbidden:
        free &= ~zone.holds(places)
    return free
