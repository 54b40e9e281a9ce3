"""Where nothing may be measured."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adatom.decide.posterior import Array
from adatom.errors import ArgumentError, ShapeError

Mask = NDArray[np.bool_]


class Zone(Protocol):
    """Part of the plane."""

    def contains(self, places: Array) -> Mask:
        """(n,), which of the places (n, 2) [nm] lie in it or on its edge."""


@dataclass(frozen=True)
class Disc:
    """Around a defect, or a crater left by a crash; all in nm."""

    x_nm: float
    y_nm: float
    radius_nm: float

    def contains(self, places: Array) -> Mask:
        return np.asarray(np.hypot(places[:, 0] - self.x_nm, places[:, 1] - self.y_nm) <= self.radius_nm)


@dataclass(frozen=True)
class Rectangle:
    """Upright; all in nm."""

    x_low_nm: float
    x_high_nm: float
    y_low_nm: float
    y_high_nm: float

    def contains(self, places: Array) -> Mask:
        x, y = places.T
        inside = (x >= self.x_low_nm) & (x <= self.x_high_nm) & (y >= self.y_low_nm) & (y <= self.y_high_nm)
        return np.asarray(inside)


@dataclass(frozen=True)
class Polygon:
    """With corners (x, y) [nm], one after the other around it; edges that cross make holes."""

    corners: Sequence[tuple[float, float]]

    def contains(self, places: Array) -> Mask:
        corners = np.asarray(self.corners, dtype=float)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise ShapeError(f"corners: expected three pairs (x, y) at least, got shape {corners.shape}.")
        x, y = places[:, 0, None], places[:, 1, None]
        (x0, y0), (x1, y1) = corners.T, np.roll(corners, -1, axis=0).T
        # a ray to the right leaves a polygon through an odd number of edges
        crosses = (y0 > y) != (y1 > y)
        rise = np.where(y1 == y0, 1.0, y1 - y0)
        inside = (crosses & (x < x0 + (y - y0) * (x1 - x0) / rise)).sum(axis=1) % 2 == 1
        square = np.maximum((x1 - x0) ** 2 + (y1 - y0) ** 2, 1e-300)
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / square, 0, 1)
        off = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
        return np.asarray(inside | (off <= 1e-9 * np.sqrt(square)).any(axis=1))


@dataclass(frozen=True)
class Region:
    """Where measuring is allowed.

    Parameters
    ----------
    forbidden : zones in which nothing is measured.
    margin_nm : width of a border, of the rectangle around all candidates, in which nothing is measured; >= 0.
    mask : (n,), candidates that are allowed, True; None allows all.
    """

    forbidden: Sequence[Zone] = field(default=())
    margin_nm: float = 0.0
    mask: Mask | None = None

    def allows(self, places: Array) -> Mask:
        """(n,), which candidates may be measured.

        Raises
        ------
        ArgumentError : if the margin is negative, or no candidate is left.
        ShapeError : if the mask has another length than `places`.
        """
        if not self.margin_nm >= 0:
            raise ArgumentError(f"margin_nm: expected 0 or more, got {self.margin_nm}.")
        low, high = places.min(axis=0) + self.margin_nm, places.max(axis=0) - self.margin_nm
        allowed = ((places >= low) & (places <= high)).all(axis=1)
        if self.mask is not None:
            mask = np.asarray(self.mask, dtype=bool)
            if mask.shape != (len(places),):
                raise ShapeError(f"mask: expected one truth for each of {len(places)} candidates, got {mask.shape}.")
            allowed &= mask
        for zone in self.forbidden:
            allowed &= ~zone.contains(places)
        if not allowed.any():
            raise ArgumentError("region: expected one that leaves candidates to measure, got none. Forbid less.")
        return np.asarray(allowed)


EVERYWHERE = Region()
