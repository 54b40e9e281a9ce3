"""Tiles: how an image is parted so that each part fits in memory, and each atom belongs to one part."""

from dataclasses import dataclass
from math import ceil

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
class Span:
    """Pixels from `start` up to, and without, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    def grown(self, by: int, length: int) -> "Span":
        """Larger by so much on both sides, within an axis of this length."""
        return Span(max(0, self.start - by), min(length, self.stop + by))

    @property
    def as_slice(self) -> slice:
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class Tile:
    """A part of an image, in working pixels; atoms of which the centre lies in it are its own.

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
    rows, columns = (_spans(n, side) for n in shape)
    return [
        Tile(row, column, number)
        for number, (row, column) in enumerate((row, column) for row in rows for column in columns)
    ]


def tile_side(memory_bytes: float, *, halo: int, multiple: int, pixels_per_pixel: float) -> int:
    """The side of the largest tiles [working px] that are searched within so much memory.

    Parameters
    ----------
    memory_bytes : of the process, all that it needs included.
    halo : how far beyond a tile is looked [working px].
    multiple : sides are multiples of this.
    pixels_per_pixel : pixels of the image that are one working pixel.

    Raises
    ------
    ArgumentError : if not even the smallest tile is searched in so much memory.
    """
    per_pixel = _BYTES_PER_PIXEL * max(1.0, 0.5 + 0.5 * pixels_per_pixel)
    side = ((memory_bytes - _BASE_BYTES) / per_pixel) ** 0.5 - 2 * halo if memory_bytes > _BASE_BYTES else 0
    if side < multiple:
        least = _BASE_BYTES + per_pixel * (multiple + 2 * halo) ** 2
        least_gb = ceil(least / 1e7) / 100
        raise ArgumentError(
            f"memory: expected at least {least_gb:.2f} GB for this model, got {memory_bytes / 1e9:.3g} GB."
        )
    return int(min(side, _MOST_SIDE)) // multiple * multiple


def side_for_many(shape: tuple[int, int], side: int, multiple: int) -> int:
    """The side [working px] of tiles that many workers share in, at most `side`, and a multiple of `multiple`. The
    number of workers plays no part: a run goes on with fewer or more of them.
    """
    wanted = (shape[0] * shape[1] / _MANY) ** 0.5
    return min(side, max(1, int(wanted) // multiple) * multiple)


def _spans(n: int, side: int) -> list[Span]:
    return [Span(start, min(start + side, n)) for start in range(0, n, side)]
