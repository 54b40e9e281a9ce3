"""Turning, mirroring, zooming and cutting an image, its class map and its atoms, in one step and by one rule.

An image that is turned first and zoomed afterwards is interpolated twice; here all steps are one matrix.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.prepare.sample import median

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """What of an old image a new one shows.

    Attributes
    ----------
    matrix : (2, 2), from steps (y, x) in the new image to steps (y, x) in the old one [px].
    centre : (y, x) of the old image that is the middle of the new one [px].
    size : (rows, columns) of the new image.
    """

    matrix: Array
    centre: tuple[float, float]
    size: tuple[int, int]

    @classmethod
    def of(
        cls,
        *,
        centre: tuple[float, float],
        size: tuple[int, int],
        angle_deg: float = 0.0,
        mirror: bool = False,
        zoom: float | tuple[float, float] = 1.0,
    ) -> "Geometry":
        """The old image, turned clockwise as it is seen, then mirrored left to right, and cut.

        Parameters
        ----------
        zoom : new pixels an old one, or such numbers along (y, x) of the old image.
        """
        c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
        turn = np.array([[c, -s], [s, c]])
        if mirror:
            turn = turn @ np.diag([1.0, -1.0])
        factor = np.broadcast_to(np.asarray(zoom, dtype=float), 2)
        return cls(turn / factor[:, None], centre, size)

    @property
    def flux_factor(self) -> float:
        """By what the volume of a peak [value x px^2] grows."""
        return float(1 / abs(np.linalg.det(self.matrix)))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the outer edges of what it shows of the old image [px]."""
        half = 0.5 * np.array(self.size)
        reach_y, reach_x = np.abs(self.matrix) @ half
        y, x = self.centre
        return x - reach_x, y - reach_y, x + reach_x, y + reach_y

    def image(self, values: Array) -> Array:
        """The new image (y, x), by cubic splines; NaN where the old one has NaN or ends."""
        values = np.asarray(values, dtype=float)
        known = np.isfinite(values)
        filled = values if known.all() else np.where(known, values, median(values))
        # a pixel that shows several old ones shows their mean
        shrink = np.sqrt(np.abs(np.linalg.det(self.matrix)))
        if shrink > 1:
            filled = ndimage.gaussian_filter(filled, 0.5 * np.sqrt(shrink**2 - 1))
        # a pixel is an area: up to half a pixel beyond the outermost centres there is something to see
        new = self._sampled(np.pad(filled, 1, mode="edge"), 3, np.nan, pad=1)
        shown: Array = np.where(self.label(known.astype(np.uint8)) == 1, new, np.nan)
        return shown

    def label(self, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The new class map, of the nearest pixel; 0 where the old one ends."""
        return self._sampled(np.pad(label, 1), 0, 0, pad=1).astype(label.dtype)

    def points(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Positions x, y [px] in the new image, also of what it does not show."""
        middle = 0.5 * (np.array(self.size) - 1)
        old = np.stack([np.asarray(y, float) - self.centre[0], np.asarray(x, float) - self.centre[1]])
        new_y, new_x = np.linalg.inv(self.matrix) @ old.reshape(2, -1) + middle[:, None]
        return new_x, new_y

    def shows(self, x: Array, y: Array) -> NDArray[np.bool_]:
        """Which positions [px] of the new image lie on one of its pixels."""
        rows, columns = self.size
        inside: NDArray[np.bool_] = (x >= -0.5) & (x < columns - 0.5) & (y >= -0.5) & (y < rows - 0.5)
        return inside

    def _sampled(self, values: Array, order: int, beyond: float, pad: int = 0) -> Array:
        offset = np.array(self.centre) + pad - self.matrix @ (0.5 * (np.array(self.size) - 1))
        sampled: Array = ndimage.affine_transform(
            values, self.matrix, offset, self.size, order=order, mode="constant", cval=beyond
        )
        return sampled
