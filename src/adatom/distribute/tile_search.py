"""One tile: its pixels to its atoms, by decisions that were made once for the whole image."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.distribute.tiles import Span, Tile
from adatom.distribute.windows import Window, WorkingPixels
from adatom.locate import Peaks
from adatom.models.seeing import locate
from adatom.models.sight import ModelAtScale, Sight

Array = NDArray[np.float64]

# Atoms so many spacings beyond a tile are fitted with those in it, for they overlap and share a background.
_FITTED_BEYOND = 4.0
# Atoms are fitted in blocks that are the same ones whatever the tiles are, so that these change nothing: their side in
# pixels of the image, or in working pixels where those are larger, and the least in working pixels.
_BLOCK_SIDE, _LEAST_BLOCK = 512, 128
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
    """

    eyes: ModelAtScale
    working: WorkingPixels
    weigh: Callable[[Peaks], Peaks]
    min_probability: float | None
    min_distance_px: float | None
    refine: bool

    @property
    def fit_halo(self) -> int:
        """How far beyond a tile atoms are fitted with its own [working px]."""
        return ceil(_FITTED_BEYOND * self.eyes.spacing_px * max(self.working.factor))

    @property
    def block_side(self) -> int:
        """Of what is fitted at once [working px]; sides of tiles are multiples of it."""
        multiple = grid_of(self.eyes.model)
        side = max(_LEAST_BLOCK, _BLOCK_SIDE * min(1.0, *self.working.factor))
        return max(1, int(side) // multiple) * multiple

    @property
    def halo(self) -> int:
        """How far beyond a tile the network looks [working px]; a multiple of its coarsest pixel."""
        model = self.eyes.model
        multiple = grid_of(model)
        return -(-(model.reach_px + self.fit_halo + _CLAIMED) // multiple) * multiple


def grid_of(model: object) -> int:
    """Tiles begin at multiples of this [working px]: the network's coarsest pixel, and that of the background."""
    multiple = int(model.net_.multiple)  # type: ignore[attr-defined]
    return int(np.lcm(multiple, 8))


@dataclass(frozen=True)
class SeenTile:
    """A tile that the network has looked at.

    Attributes
    ----------
    tile : which.
    square : its pixels and those around it.
    peaks : atoms in and around it, in square pixels of the image.
    """

    tile: Tile
    square: Window
    peaks: Peaks


def look_at(tile: Tile, decisions: Decisions) -> SeenTile:
    """Read a tile with its surroundings, and let the network look at it."""
    working, eyes = decisions.working, decisions.eyes
    shape, halo = working.shape, decisions.halo
    rows, columns = tile.rows.grown(halo, shape[0]), tile.columns.grown(halo, shape[1])
    square = working.square.window(*working.needed(rows, columns))
    prepared = working.prepared(rows, columns, square)
    maps = eyes.model.look_at_prepared(prepared, working.factor, working.contrast)
    near_rows = tile.rows.grown(decisions.fit_halo + _CLAIMED, shape[0])
    near_columns = tile.columns.grown(decisions.fit_halo + _CLAIMED, shape[1])
    margin = eyes.model.margin_px
    top, left = near_rows.start - rows.start, near_columns.start - columns.start
    maps = type(maps)(
        maps.values[:, top : top + near_rows.length + 2 * margin, left : left + near_columns.length + 2 * margin],
        maps.factor,
        maps.contrast,
    )
    # positions count from the first pixel of what the maps show
    origin_y, origin_x = near_rows.start / working.factor[0], near_columns.start / working.factor[1]

    def find(min_probability: float | None) -> Peaks:
        found = eyes.model.peaks(maps, min_probability=min_probability, min_distance_px=decisions.min_distance_px)
        return replace(found, x=found.x + origin_x, y=found.y + origin_y)

    peaks = eyes.likely(find, decisions.min_probability, decisions.weigh)
    near = [working.square_span(near_rows, 0), working.square_span(near_columns, 1)]
    return SeenTile(tile, square.part(near[0], near[1]), peaks)


def locate_atoms(seen: SeenTile, decisions: Decisions) -> dict[str, NDArray[Any]]:
    """Columns of the atoms whose centres lie in a tile, positions in square pixels of the image."""
    blocks = [
        _locate_in_block(seen, rows, columns, decisions)
        for rows in _blocks(seen.tile.rows, decisions.block_side)
        for columns in _blocks(seen.tile.columns, decisions.block_side)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _locate_in_block(seen: SeenTile, rows: Span, columns: Span, decisions: Decisions) -> dict[str, NDArray[Any]]:
    """The same of a part of it, in working pixels."""
    working, eyes = decisions.working, decisions.eyes
    near = [span.grown(decisions.fit_halo, n) for span, n in zip((rows, columns), working.shape, strict=True)]
    peaks = seen.peaks.of(_within(seen.peaks.y, seen.peaks.x, near[0], near[1], working))
    square = seen.square.part(working.square_span(near[0], 0), working.square_span(near[1], 1))
    peaks = replace(peaks, x=peaks.x - square.left, y=peaks.y - square.top)
    sight = Sight(peaks, eyes.model.classes_)
    table, _ = locate(square.values, eyes, sight, 0, decisions.refine, decisions.min_distance_px, None)
    table["x"], table["y"] = table["x"] + square.left, table["y"] + square.top
    own = _within(table["y"], table["x"], rows, columns, working)
    return {name: values[own] for name, values in table.items()}


def _blocks(span: Span, side: int) -> list[Span]:
    return [Span(start, min(start + side, span.stop)) for start in range(span.start, span.stop, side)]


def _within(y: Array, x: Array, rows: Span, columns: Span, working: WorkingPixels) -> NDArray[np.bool_]:
    """Which places (n,) in square pixels lie in these working pixels, those at an end with what is beyond."""
    within = np.ones(len(y), dtype=bool)
    for axis, (places, span) in enumerate(((y, rows), (x, columns))):
        place = (places + 0.5) * working.factor[axis]  # from the outer edge
        within &= (place >= span.start) | (span.start == 0)
        within &= (place < span.stop) | (span.stop == working.shape[axis])
    return within
