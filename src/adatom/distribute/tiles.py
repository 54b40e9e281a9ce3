"""Tiles: how an image is parted so that each part fits in memory, and each atom belongs to one part."""

from dataclasses import dataclass
from math import ceil

from adatom.data.span import Span, parted
from adatom.distribute.windows import BAND_ROWS
from adatom.errors import ArgumentError

# Measured, and rounded up: what Python, its libraries, the model and the decisions take; one working pixel that the
# network looks at; one square pixel that is held at a time; and one of those that are fitted at once [bytes].
_BASE_BYTES = 700e6
_LOOKED_AT, _READ, _FITTED = 320.0, 30.0, 250.0
# Above this side nothing is gained [working px].
_MOST_SIDE = 2048
# On a cluster there are at least so many tiles, if they can be so small: enough for workers to share in.
_MANY = 64


@dataclass(frozen=True)
class Tile:
    """A part of an image, in square pixels, made of whole blocks; atoms that are seen in it are its own.

    Attributes
    ----------
    rows, columns : the part.
    number : of the tile, from 0, row by row.
    """

    rows: Span
    columns: Span
    number: int


def part_into_tiles(shape: tuple[int, int], side: int) -> list[Tile]:
    """Tiles of `side` pixels a side that cover (y, x) pixels, each once; those at the end are what is left."""
    rows, columns = (parted(Span(0, n), side) for n in shape)
    return [
        Tile(row, column, number)
        for number, (row, column) in enumerate((row, column) for row in rows for column in columns)
    ]


@dataclass(frozen=True)
class Needs:
    """What tiles of an image need of memory.

    Attributes
    ----------
    factor : working pixels a square pixel.
    seen_beyond : how far beyond a tile the network looks [working px].
    block_side, fitted_beyond : sides of tiles are multiples of the first; how far beyond a block is fitted [square px].
    """

    factor: float
    seen_beyond: int
    block_side: int
    fitted_beyond: int

    def bytes_of(self, side: int) -> float:
        """What the process takes in all, with tiles of this side [square px]."""
        looked_at = self.factor * side + 2 * self.seen_beyond
        read = looked_at * min(looked_at, BAND_ROWS) / self.factor**2 + (side + 2 * self.fitted_beyond) ** 2
        fitted = (self.block_side + 2 * self.fitted_beyond) ** 2
        return _BASE_BYTES + _LOOKED_AT * looked_at**2 + _READ * read + _FITTED * fitted


def tile_side(memory_bytes: float, needs: Needs) -> int:
    """The side of the largest tiles [square px] that are searched within so much memory.

    Parameters
    ----------
    memory_bytes : of the process, all that it needs included.

    Raises
    ------
    ArgumentError : if not even the smallest tile is searched in so much memory.
    """
    side = needs.block_side
    if memory_bytes < needs.bytes_of(side):
        least_gb = ceil(needs.bytes_of(side) / 1e7) / 100
        raise ArgumentError(
            f"memory: expected at least {least_gb:.2f} GB for this model, got {memory_bytes / 1e9:.3g} GB."
        )
    while (larger := side + needs.block_side) * needs.factor <= _MOST_SIDE and needs.bytes_of(larger) <= memory_bytes:
        side = larger
    return side


def side_for_many(shape: tuple[int, int], side: int, block_side: int) -> int:
    """The side [square px] of tiles that many workers share in, at most `side`, and a multiple of `block_side`. The
    number of workers plays no part: a run goes on with fewer or more of them.
    """
    wanted = (shape[0] * shape[1] / _MANY) ** 0.5
    return min(side, max(1, int(wanted) // block_side) * block_side)
