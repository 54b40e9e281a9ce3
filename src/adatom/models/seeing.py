"""Atoms of all frames of an image: seen by a model or as blobs, and fitted in what was measured."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from adatom.analyse import Lattice, find_bright_lattice, find_species_lattice
from adatom.data import nearest_distances, spacing
from adatom.locate import Peaks, combine_positions, find_blobs, refine_positions
from adatom.locate.peaks import suppress_close
from adatom.models.blocks import Block, Blocks
from adatom.models.sight import ModelAtScale, Sight
from adatom.prepare import SquareImage, image_periods

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Classical:
    """Blobs of one size."""

    spacing_px: float
    sign: int = 1
    name: str = "classical (Laplacian of a Gaussian)"
    sha256: None = None
    support: float = float("nan")
    factor: float = 1.0
    lattice_constant_nm: None = None
    empty_classes: tuple[str, ...] = ()

    def see(self, values: Array, min_probability: float | None, min_distance_px: float | None) -> Sight:
        del min_probability, min_distance_px  # no probabilities, only ranks; what is too close goes after the fit
        return Sight(find_blobs(self.sign * values, spacing_px=self.spacing_px), ["atom"])


_NOTHING = Peaks.at(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0))


def classical_spacing(values: Array, warnings: list[str]) -> float:
    """Distance of neighbours [px] that the periods of an image suggest; a guess is warned of."""
    periods = image_periods(values)
    if periods:
        return float(periods[0][0] * 2 / np.sqrt(3))  # rows of a hexagonal lattice are closer than its atoms
    warnings.append("The image shows no period: an atomic spacing of 10 px was assumed. Give --spacing NM.")
    return 10.0


@dataclass(frozen=True)
class Seen:
    """What was found in all frames: columns in square pixels, scan jitter; and of the first frame maps, their doubts
    (where an ensemble looked), and the lattice.
    """

    columns: dict[str, Array]
    maps: xr.DataArray | None
    doubts: xr.Dataset | None
    lattice: Lattice | None
    jitter_px: float

    @cached_property
    def spacing_px(self) -> float:
        return spacing(self.columns)


def see_all(
    image: xr.DataArray,
    square: SquareImage,
    eyes: ModelAtScale | Classical,
    min_probability: float | None,
    min_distance_px: float | None,
    refine: bool,
    all_maps: bool = False,
) -> Seen:
    """Look at each frame, and at the lattice of the first; `square` is the first frame. With `all_maps` maps are those
    of all frames, (class, frame, y, x).
    """
    frames = [image] if image.ndim == 2 else [image.isel(frame=k) for k in range(image.sizes["frame"])]
    tables, jitters = [], []
    every: dict[int, xr.DataArray] = {}
    maps: xr.DataArray | None = None
    doubts: xr.Dataset | None = None
    for number, frame in enumerate(frames):
        part = square if number == 0 else SquareImage.of(frame)
        sight, table, jitter_px = see_frame(frame, part, eyes, number, min_probability, min_distance_px, refine)
        tables.append(table)
        jitters.append(jitter_px)
        if number == 0 and not part.is_blank and isinstance(eyes, ModelAtScale):
            maps, doubts = eyes.draw(sight, frame, square.factor)
        if all_maps and not part.is_blank and isinstance(eyes, ModelAtScale):
            every[number] = eyes.draw(sight, frame, square.factor)[0]
    if every and image.ndim == 3:
        nothing = xr.zeros_like(next(iter(every.values())))
        maps = xr.concat([every.get(k, nothing) for k in range(len(frames))], dim="frame")
    columns = _joined(tables)
    x, y, species, flux = (tables[0][name] for name in ("x", "y", "species", "flux"))
    one_kind = isinstance(eyes, ModelAtScale) and eyes.model.finds_scale
    lattice = find_bright_lattice(x, y, flux) if one_kind else find_species_lattice(x, y, species)
    return Seen(columns, maps, doubts, lattice, float(np.sqrt(np.mean(np.square(jitters)))))


def see_frame(
    frame: xr.DataArray,
    square: SquareImage,
    eyes: ModelAtScale | Classical,
    number: int,
    min_probability: float | None,
    min_distance_px: float | None,
    refine: bool,
) -> tuple[Sight, dict[str, Array], float]:
    """What is seen in one frame (y, x), of which `square` is the same levelled, and `number` its place in the movie:
    also columns of its atoms, and the jitter of its lines, see `locate_in_blocks`.
    """
    values = square.values
    sight = Sight(_NOTHING, ["atom"]) if square.is_blank else eyes.see(values, min_probability, min_distance_px)
    # resampled pixels have lost their own noise
    taken_out = frame.to_numpy() - values if values.shape == frame.shape else None
    blocks = Blocks.of(values.shape, eyes.spacing_px)
    return sight, *locate_in_blocks(
        blocks.all(), blocks, values, (0, 0), eyes, sight, number, refine, min_distance_px, taken_out
    )


def _joined(tables: list[dict[str, Array]]) -> dict[str, Array]:
    """Columns of all frames; a frame without an atom may lack some."""
    names = dict.fromkeys(name for table in tables for name in table)
    nothing = np.zeros(0)
    return {name: np.concatenate([table.get(name, nothing) for table in tables]) for name in names}


def locate_in_blocks(
    some: list[Block],
    blocks: Blocks,
    values: Array,
    origin: tuple[int, int],
    eyes: ModelAtScale | Classical,
    sight: Sight,
    frame: int,
    refine: bool,
    min_distance_px: float | None,
    taken_out: Array | None,
) -> tuple[dict[str, Array], float]:
    """Columns of the atoms in some of the blocks of a frame, and how far scan lines are shifted at random [px].

    `values` (y, x), square pixels, and what levelling took out of them, `taken_out`, are parts of the frame that reach
    as far as is near these blocks, and begin at the row and column `origin`. Atoms are in pixels of the whole frame.
    """
    tables, jitters = [], []
    peaks = sight.peaks
    for block in some:
        top, left = block.near_rows.start, block.near_columns.start
        part = (
            slice(top - origin[0], block.near_rows.stop - origin[0]),
            slice(left - origin[1], block.near_columns.stop - origin[1]),
        )
        near = peaks.of(blocks.in_span(peaks.y, peaks.x, block.near_rows, block.near_columns))
        # where an atom was seen says which block's it is: neighbours fit it elsewhere by some digits
        own = blocks.in_span(near.y, near.x, block.rows, block.columns)
        near = replace(near, x=near.x - left, y=near.y - top)
        table, jitter_px = _locate_near(
            values[part],
            eyes,
            Sight(near, sight.names),
            own,
            frame,
            refine,
            min_distance_px,
            None if taken_out is None else taken_out[part],
        )
        table["x"], table["y"] = table["x"] + left, table["y"] + top
        tables.append(table)
        jitters.append(jitter_px)
    return _joined(tables), float(np.sqrt(np.mean(np.square(jitters))))


def _locate_near(
    values: Array,
    eyes: ModelAtScale | Classical,
    sight: Sight,
    own: NDArray[np.bool_],
    frame: int,
    refine: bool,
    min_distance_px: float | None,
    taken_out: Array | None,
) -> tuple[dict[str, Array], float]:
    """Fit all atoms of a block and those near it; columns of its `own` (n,)."""
    peaks, names = sight.peaks, sight.names
    x, y = peaks.x, peaks.y
    x_std, y_std, flux = peaks.x_std, peaks.y_std, peaks.flux
    empty, refined, jitter_px = np.zeros(len(x), dtype=bool), np.zeros(len(x), dtype=bool), 0.0
    snr = np.full(len(x), np.nan)
    # at a site that is known to be empty there is no peak to be fitted
    peaked = ~np.isin(np.array(names, dtype=object)[peaks.species], eyes.empty_classes)
    if refine and peaked.any():
        apart_px = np.median(nearest_distances(np.column_stack([x, y]))) if len(x) >= 20 else eyes.spacing_px
        apart_px = float(np.clip(apart_px, 0.7 * eyes.spacing_px, 1.5 * eyes.spacing_px))
        fitted = refine_positions(
            eyes.sign * values,
            x[peaked],
            y[peaked],
            spacing_px=apart_px,
            taken_out=None if taken_out is None else eyes.sign * taken_out,
        )
        jitter_px = fitted.jitter_px
        seen = (x[peaked], y[peaked], x_std[peaked], y_std[peaked])
        if isinstance(eyes, ModelAtScale):
            near_border = _distance_to_border(values, *seen[:2]) < 0.3 * apart_px
            settled = combine_positions(*seen, fitted, spacing_px=apart_px, at_border=near_border)
        else:
            settled = (fitted.x, fitted.y, fitted.x_std, fitted.y_std, fitted.converged)
        x, y, x_std, y_std, refined, flux, empty, snr = (
            _where(peaked, mine, others)
            for mine, others in zip(
                (*settled, eyes.sign * fitted.flux, fitted.empty, fitted.snr),
                (x, y, x_std, y_std, refined, np.zeros(len(x)), empty, snr),
                strict=True,
            )
        )
    rows, columns = values.shape
    inside = (x >= -0.5) & (x < columns - 0.5) & (y >= -0.5) & (y < rows - 0.5)
    row, column = np.clip(np.round(y), 0, rows - 1).astype(int), np.clip(np.round(x), 0, columns - 1).astype(int)
    inside &= np.isfinite(values[row, column])
    apart = np.zeros(len(x), dtype=bool)
    least = 0.5 * eyes.spacing_px if min_distance_px is None else min_distance_px
    apart[suppress_close(np.column_stack([x, y]), peaks.probability, least)] = True
    kept = inside & apart & ~empty & own
    sets = eyes.species_sets(peaks) if isinstance(eyes, ModelAtScale) else None
    table = {
        "frame": np.full(int(kept.sum()), frame),
        "x": x[kept],
        "y": y[kept],
        "x_std": x_std[kept],
        "y_std": y_std[kept],
        "species": np.array(names, dtype=object)[peaks.species[kept]],
        "probability": peaks.probability[kept],
        "flux": flux[kept],
        "refined": refined[kept],
        "snr": snr[kept],
        "species_probability": peaks.species_probability[kept],
        **{name: values[kept] for name, values in peaks.doubts().items()},
        **({} if sets is None else {"species_set": sets[kept]}),
    }
    return table, jitter_px


def _where(mask: NDArray[np.bool_], mine: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """`mine` (m,) where the mask (n,) is true, `others` (n,) elsewhere."""
    joined = others.copy()
    joined[mask] = mine
    return joined


def _distance_to_border(values: Array, x: Array, y: Array) -> Array:
    """How far each atom is from the end of what was measured [px]; 0 beyond it."""
    rows, columns = values.shape
    known = np.isfinite(values)
    if known.all():
        return np.minimum.reduce([x, y, columns - 1 - x, rows - 1 - y])
    inset = ndimage.distance_transform_edt(np.pad(known, 1)) - 1  # a pixel beside the end has 0
    row, column = np.clip(np.round(y), -1, rows).astype(int) + 1, np.clip(np.round(x), -1, columns).astype(int) + 1
    distance: Array = inset[row, column]
    return distance
