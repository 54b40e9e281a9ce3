"""The eight rotations and reflections of a square, and the way back from each."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.locate import Peaks
from adatom.models.maps import Factor


@dataclass(frozen=True)
class Symmetry:
    """Quarter-turns as `numpy.rot90` makes them, then a mirror along x."""

    turns: int = 0
    mirror: bool = False

    def turned(self, values: NDArray[Any]) -> NDArray[Any]:
        """An image (..., y, x) turned."""
        values = np.rot90(values, self.turns, axes=(-2, -1))
        return values[..., ::-1] if self.mirror else values

    def turned_back(self, values: NDArray[Any]) -> NDArray[Any]:
        """What `turned` gave, as it was."""
        values = values[..., ::-1] if self.mirror else values
        return np.rot90(values, -self.turns, axes=(-2, -1))

    def factor(self, factor: Factor) -> Factor:
        """Working pixels a pixel along (y, x) of the turned image."""
        return factor if self.turns % 2 == 0 else (factor[1], factor[0])

    def peaks_back(self, peaks: Peaks, shape: tuple[float, float]) -> Peaks:
        """Atoms of the turned image in pixels of the image, which has this shape (y, x)."""
        x, y, x_std, y_std = peaks.x, peaks.y, peaks.x_std, peaks.y_std
        rows, columns = shape if self.turns % 2 == 0 else shape[::-1]  # of the turned image
        if self.mirror:
            x = columns - 1 - x
        for _ in range(self.turns % 4):
            x, y, x_std, y_std = rows - 1 - y, x, y_std, x_std
            rows, columns = columns, rows
        return replace(peaks, x=x, y=y, x_std=x_std, y_std=y_std)


IDENTITY = Symmetry()
SYMMETRIES = tuple(Symmetry(turns, mirror) for mirror in (False, True) for turns in range(4))
