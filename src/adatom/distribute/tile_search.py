"""One tile: its pixels to its atoms, by decisions that were made once for the whole image."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.data.span import Span
from adatom.distribute.maps_store import MapsPart, part_of
from adatom.distribute.tiles import Needs, Tile
from adatom.distribute.windows import Window, WorkingPixels
from adatom.locate import Peaks
from adatom.models.blocks import Blocks
from adatom.models.seeing import locate_in_blocks
from adatom.models.sight import ModelAtScale, Sight

_CLAIMED = 8  # claims reach over so many pixels of the maps at most


@dataclass(frozen=True)
class Decisions:
    """What is decided once for an image, before any tile.

    Attributes
    ----------
    eyes : the model, its scale, and whether atoms are bright or dark.
    working : the image at this scale.
    weigh : judges dim atoms.
    min_probability : less probable atoms are left out; None for the model's own limit.
    min_distance_px : in square pixels; None for half the typical distance.
    refine : whether atoms are fitted.
    keeps_maps : whether what the network saw is wanted too.
    """

    eyes: ModelAtScale
    working: WorkingPixels
    weigh: Callable[[Peaks], Peaks]
    min_probability: float | None
    min_distance_px: float | None
    refine: bool
    keeps_maps: bool = False

    @property
    def blocks(self) -> Blocks:
        """Of which tiles are made."""
        return Blocks.of(self.working.square.shape, self.eyes.spacing_px)

    @property
    def needs(self) -> Needs:
        """What tiles need of memory."""
        factor, blocks = max(self.working.factor), self.blocks
        seen_beyond = self.eyes.model.reach_px + ceil(blocks.beyond * factor) + _CLAIMED + self._grid
        return Needs(factor, seen_beyond, blocks.side, blocks.beyond)

    @property
    def _grid(self) -> int:
        """What is looked at begins at a multiple of this [working px]: of the network's coarsest pixel, and of the cell
        of the background.
        """
        return int(np.lcm(int(self.eyes.model.net_.multiple), self.working.cell))  # type: ignore[arg-type]

    def looked_at(self, near: tuple[Span, Span]) -> tuple[Span, Span]:
        """What the network has to look at, to know the atoms near a tile [working px]."""
        grid, reach = self._grid, self.eyes.model.reach_px
        rows, columns = (
            Span((span.start - reach) // grid * grid, -(-(span.stop + reach) // grid) * grid).within(n)
            for span, n in zip(near, self.working.shape, strict=True)
        )
        return rows, columns

    def claimed(self, near: tuple[Span, Span]) -> tuple[Span, Span]:
        """The working pixels that tell of atoms in these square pixels."""
        rows, columns = (
            Span(floor(span.start * factor), ceil(span.stop * factor)).grown(_CLAIMED, n)
            for span, factor, n in zip(near, self.working.factor, self.working.shape, strict=True)
        )
        return rows, columns


@dataclass(frozen=True)
class SeenTile:
    """A tile that the network has looked at.

    Attributes
    ----------
    tile : which.
    square : its pixels and those around it.
    peaks : atoms in and around it, in square pixels of the image.
    maps : what the network saw in it, where that is wanted.
    """

    tile: Tile
    square: Window
    peaks: Peaks
    maps: MapsPart | None


def look_at(tile: Tile, decisions: Decisions) -> SeenTile:
    """Read a tile with what is around it, and find its atoms."""
    working, eyes, blocks = decisions.working, decisions.eyes, decisions.blocks
    near = (tile.rows.grown(blocks.beyond, blocks.shape[0]), tile.columns.grown(blocks.beyond, blocks.shape[1]))
    rows, columns = decisions.claimed(near)
    seen_rows, seen_columns = decisions.looked_at((rows, columns))
    prepared = working.prepared(seen_rows, seen_columns)
    find_there: Callable[..., Peaks]
    if eyes.ensemble is None:
        seen = eyes.model.look_at_prepared(prepared, working.factor, working.contrast)
        # to decode what is only there for the network to be right elsewhere would take long
        maps = Window(seen.values, seen_rows.start, seen_columns.start).part(
            rows.longer(2 * eyes.model.margin_px), columns.longer(2 * eyes.model.margin_px)
        )
        seen = replace(seen, values=maps.values)
        find_there, probability = partial(eyes.model.peaks, seen), partial(eyes.model.inner, seen)
    else:
        joint = eyes.ensemble.look_at_prepared(
            prepared, working.factor, working.contrast, with_maps=decisions.keeps_maps
        )
        find_there, probability = partial(eyes.ensemble.peaks, joint), partial(eyes.ensemble.inner, joint)
        rows, columns = seen_rows, seen_columns

    def find(min_probability: float | None) -> Peaks:
        found = find_there(min_probability=min_probability, min_distance_px=decisions.min_distance_px)
        # positions count from the first pixel of what was looked at
        y, x = found.y + rows.start / working.factor[0], found.x + columns.start / working.factor[1]
        return replace(found, x=x, y=y).of(blocks.in_span(y, x, *near))

    peaks = eyes.likely(find, decisions.min_probability, decisions.weigh)
    kept = _own_maps(tile, probability(), rows, columns, working) if decisions.keeps_maps else None
    return SeenTile(tile, working.square.window(*near), peaks, kept)


def _own_maps(tile: Tile, values: NDArray[Any], rows: Span, columns: Span, working: WorkingPixels) -> MapsPart:
    """Of the probabilities (class, y, x) around a tile, those of its own pixels; each is one tile's."""
    own = [
        Span(round(span.start * factor), n if span.stop == whole else round(span.stop * factor))
        for span, factor, n, whole in zip(
            (tile.rows, tile.columns), working.factor, working.shape, working.square.shape, strict=True
        )
    ]
    inner = Window(values, rows.start, columns.start).part(*own)
    return part_of(inner.values, own[0], own[1])


def locate_atoms(seen: SeenTile, decisions: Decisions) -> dict[str, NDArray[Any]]:
    """Columns of the atoms that were seen in a tile, positions in square pixels of the image."""
    eyes, blocks, square = decisions.eyes, decisions.blocks, seen.square
    columns, _ = locate_in_blocks(
        blocks.within(seen.tile.rows, seen.tile.columns),
        blocks,
        square.values,
        (square.top, square.left),
        eyes,
        Sight(seen.peaks, eyes.model.classes_),
        0,
        decisions.refine,
        decisions.min_distance_px,
        decisions.working.square.taken_out(square),
    )
    return columns
