"""A large image made smaller, from the tiles as they come: every so-manieth of its pixels."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adatom.distribute.tile_search import Decisions, SeenTile

_SIDE = 1024  # px


@dataclass(frozen=True)
class OverviewPart:
    """Pixels of the small picture: at these rows and columns these values (row, column)."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class OverviewGrid:
    """Which pixels of a large image the small one shows.

    Attributes
    ----------
    step : of so many pixels one.
    shape : (y, x) of the small picture.
    """

    step: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, int]) -> "OverviewGrid":
        """For a large image of (y, x) pixels."""
        step = max(1, -(-max(shape) // _SIDE))
        return cls(step, (-(-shape[0] // step), -(-shape[1] // step)))

    def part(self, seen: SeenTile, decisions: Decisions) -> OverviewPart:
        """What a tile shows of it."""
        factor = decisions.working.square.factor
        places = []
        for axis, first in enumerate((seen.square.top, seen.square.left)):
            n = seen.square.values.shape[axis]
            square = np.round((np.arange(self.shape[axis]) * self.step + 0.5) * factor[axis] - 0.5).astype(int)
            there = (square >= first) & (square < first + n)
            places.append((np.flatnonzero(there), square[there] - first))
        (rows, down), (columns, right) = places
        return OverviewPart(rows, columns, seen.square.values[np.ix_(down, right)].astype(np.float32))


class Overview:
    """The small picture as far as it is known, kept on the disk for a run that goes on."""

    def __init__(self, path: Path, values: NDArray[np.float32], grid: OverviewGrid) -> None:
        self._path, self.values, self.grid = path, values, grid

    @classmethod
    def opened(cls, folder: Path, shape: tuple[int, int], *, fresh: bool) -> "Overview":
        """Of a large image of (y, x) pixels."""
        grid = OverviewGrid.of(shape)
        path = folder / ".overview.npy"
        values = np.full(grid.shape, np.nan, dtype=np.float32)
        if not fresh and path.is_file():
            with suppress(ValueError, OSError):  # cut off, it is drawn without what was read before
                kept = np.load(path, allow_pickle=False)
                values = kept if kept.shape == values.shape else values
        return cls(path, values, grid)

    def add(self, part: OverviewPart) -> None:
        self.values[np.ix_(part.rows, part.columns)] = part.values

    def save(self) -> None:
        """Keep it for a run that goes on."""
        with open(self._path, "wb") as file:
            np.save(file, self.values)

    def done(self) -> None:
        self._path.unlink(missing_ok=True)
