"""What is decided once for a large image, by a part of it that fits in memory: model, scale, contrast, dim atoms."""

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from adatom.data import make_image
from adatom.distribute.tile_search import Decisions, grid_of, look_at
from adatom.distribute.tiles import Span, Tile
from adatom.distribute.windows import SquarePixels, WorkingPixels
from adatom.errors import ArgumentError
from adatom.files import LazyImage
from adatom.finder import Finding, search
from adatom.models.choice import LEAST_SUPPORT
from adatom.models.sight import ModelAtScale, judge_of_dim_atoms

_PART_SIDE = 768  # that is searched whole [px]
_SAMPLE_SIDE = 1024  # of the part that tells of dim atoms [working px]


def search_a_part(image: LazyImage, **asked: Any) -> Finding:
    """The finds of a part of an image, its middle if atoms are plain there, with the eyes that found them.

    Parameters
    ----------
    image : of any size.
    asked : arguments of `adatom.finder.search`.

    Raises
    ------
    ArgumentError : if there is nothing to be seen in any of the parts that are looked at.
    """
    best: Finding | None = None
    for down, right in ((0.5, 0.5), (0.25, 0.25), (0.75, 0.75), (0.25, 0.75), (0.75, 0.25)):
        part = _part(image, down, right)
        if not np.isfinite(part).any() or np.ptp(part.values[np.isfinite(part.values)]) == 0:
            continue
        finding = search(part, **asked)
        if not isinstance(finding.eyes, ModelAtScale):
            continue
        if best is None or finding.eyes.support > best.eyes.support:
            best = finding
        if finding.eyes.support >= LEAST_SUPPORT:
            break
    if best is None:
        raise ArgumentError(f"image: expected atoms in some part of {image.name}, got nothing but one value.")
    return best


def decide(
    image: LazyImage, finding: Finding, *, min_probability: float | None, refine: bool, min_distance_nm: float | None
) -> Decisions:
    """What holds for all tiles of an image, by the finds of a part of it.

    Raises
    ------
    ArgumentError : for an ensemble, and for models that need the whole image at once.
    """
    eyes = finding.eyes
    assert isinstance(eyes, ModelAtScale)
    if eyes.ensemble is not None:
        raise ArgumentError("model: expected one model to search by tiles, got an ensemble. Search the image whole.")
    square = SquarePixels.of(image)
    working = WorkingPixels.of(square, eyes.factor, eyes.model.preprocessing_, eyes.sign)
    least_px = None if min_distance_nm is None or square.pixel_nm is None else min_distance_nm / square.pixel_nm
    decisions = Decisions(eyes, working, lambda peaks: peaks, 0.0, least_px, refine)
    if eyes.model.judges_dim_atoms:
        seen = look_at(_sample(working.shape, grid_of(eyes.model)), decisions).peaks
        decisions = replace(decisions, weigh=judge_of_dim_atoms(replace(seen, flux=eyes.sign * seen.flux)))
    return replace(decisions, min_probability=min_probability)


def _part(image: LazyImage, down: float, right: float) -> xr.DataArray:
    """A part whose middle lies at these shares of the image's height and width."""
    spans = []
    for n, share in zip(image.shape, (down, right), strict=True):
        side = min(n, _PART_SIDE + (n - _PART_SIDE) % 2)  # of the same parity, for the middle to be the image's middle
        start = min(max(0, int(share * n - side / 2)), n - side)
        spans.append(slice(start, start + side))
    return make_image(
        image.window(*spans), pixel_size=image.pixel_size, signal=image.signal, units=image.units, history=image.history
    )


def _sample(shape: tuple[int, int], grid: int) -> Tile:
    """The middle of an image."""
    spans = []
    for n in shape:
        start = max(0, (n - _SAMPLE_SIDE) // 2) // grid * grid
        spans.append(Span(start, min(n, start + _SAMPLE_SIDE)))
    return Tile(spans[0], spans[1], 0)
