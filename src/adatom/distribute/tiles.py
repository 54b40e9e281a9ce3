"""Tiles: how an image is parted so that each part fits in memory, and each atom belongs to one part."""

from dataclasses import dataclass
from math import ceil

from adatom.data.span import Span, parted
from adatom.errors import ArgumentError

# Measured (benchmarks/scale.py): what Python and its libraries take, and what one working pixel takes while it is
# looked at, and one square pixel while its atoms are fitted [bytes].
_BASE_BYTES = 550e6
_BYTES_PER_PIXEL = 420.0
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


def tile_side(memory_bytes: float, *, halo: int, block_side: int, factor: float) -> int:
    """The side of the largest tiles [square px] that are searched within so much memory.

    Parameters
    ----------
    memory_bytes : of the process, all that it needs included.
    halo : how far beyond a tile is looked [working px].
    block_side : sides are multiples of this [square px].
    factor : working pixels a square pixel.

    Raises
    ------
    ArgumentError : if not even the smallest tile is searched in so much memory.
    """
    per_pixel = _BYTES_PER_PIXEL * max(1.0, 0.5 + 0.5 / factor**2)
    least_bytes = _BASE_BYTES + per_pixel * (factor * block_side + 2 * halo) ** 2
    if memory_bytes < least_bytes:
        least_gb = ceil(least_bytes / 1e7) / 100
        raise ArgumentError(
            f"memory: expected at least {least_gb:.2f} GB for this model, got {memory_bytes / 1e9:.3g} GB."
        )
    side = min(((memory_bytes - _BASE_BYTES) / per_pixel) ** 0.5 - 2 * halo, _MOST_SIDE)
    return max(1, int(side / factor) // block_side) * block_side


def side_for_many(shape: tuple[int, int], side: int, block_side: int) -> int:
    """The side [square px] of tiles that many workers share in, at most `side`, and a multiple of `block_side`. The
    number of workers plays no part: a run goes on with fewer or more of them.
    """
    wanted = (shape[0] * shape[1] / _MANY) ** 0.5
    return min(side, max(1, int(wanted) // block_side) * block_side)
