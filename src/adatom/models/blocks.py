"""Blocks: atoms of a large image are fitted together with those near them, not with all.

Where the blocks lie depends on the image and on the typical distance of its atoms alone. So an image gives the same
atoms be it searched at once or by tiles, whatever these are: each of them is a number of whole blocks.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from adatom.data.span import Span, parted
from adatom.prepare import is_large

Array = NDArray[np.float64]

# Sides of blocks: so many pixels, and so many distances of neighbours at least, for most atoms to have all neighbours
# in theirs. Atoms so many distances beyond a block are fitted with those in it: they overlap and share a background.
_SIDE, _SPACINGS, _BEYOND = 512, 32.0, 4.0


@dataclass(frozen=True)
class Block:
    """A part of an image, in square pixels; atoms that were seen in it are its own.

    Attributes
    ----------
    rows, columns : the part.
    near_rows, near_columns : what is fitted with it.
    """

    rows: Span
    columns: Span
    near_rows: Span
    near_columns: Span


@dataclass(frozen=True)
class Blocks:
    """All blocks of an image.

    Attributes
    ----------
    shape : (y, x) of the image [square px].
    side : of the blocks; those at the end are what is left.
    beyond : how far beyond a block atoms are fitted with its own.
    """

    shape: tuple[int, int]
    side: int
    beyond: int

    @classmethod
    def of(cls, shape: tuple[int, int], spacing_px: float) -> "Blocks":
        """Blocks of an image whose atoms are typically so far apart; a small image is one."""
        side = max(_SIDE, ceil(_SPACINGS * spacing_px)) if is_large(shape) else max(shape)
        return cls(shape, side, ceil(_BEYOND * spacing_px))

    def within(self, rows: Span, columns: Span) -> list[Block]:
        """Those of a part of the image that is made of whole blocks."""
        return [
            Block(row, column, row.grown(self.beyond, self.shape[0]), column.grown(self.beyond, self.shape[1]))
            for row in parted(rows, self.side)
            for column in parted(columns, self.side)
        ]

    def all(self) -> list[Block]:
        return self.within(Span(0, self.shape[0]), Span(0, self.shape[1]))

    def in_span(self, y: Array, x: Array, rows: Span, columns: Span) -> NDArray[np.bool_]:
        """Which places (n,) lie in this part [px]; at an end of the image, those beyond it too."""
        within = np.ones(len(y), dtype=bool)
        for places, span, n in ((y, rows, self.shape[0]), (x, columns, self.shape[1])):
            within &= (places >= span.start - 0.5) | (span.start == 0)
            within &= (places < span.stop - 0.5) | (span.stop == n)
        return within
