"""What is decided once for a large image, by parts of it that fit in memory: model, scale, contrast, dim atoms."""

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from adatom.data import make_image
from adatom.data.span import Span
from adatom.distribute.tile_search import Decisions, look_at
from adatom.distribute.tiles import Tile
from adatom.distribute.windows import SquarePixels, WorkingPixels
from adatom.errors import ArgumentError
from adatom.files import LazyImage
from adatom.finder import Finding, search
from adatom.models.choice import LEAST_SUPPORT, choose_model
from adatom.models.sight import DimJudge, ModelAtScale

_CHOOSING_SIDE = 2048  # of the part by which model, scale and contrast are chosen [px]
_PART_SIDE = 768  # of the part that is searched whole, for the report [px]


def search_a_part(image: LazyImage, square: SquarePixels, **asked: Any) -> Finding:
    """The finds of a part of an image, its middle if atoms are plain there, with the eyes that found them.

    Parameters
    ----------
    image : of any size.
    square : the same with square pixels, levelled.
    asked : arguments of `adatom.finder.search`.

    Raises
    ------
    ArgumentError : if there is nothing to be seen in any of the parts that are looked at.
    """
    best: Finding | None = None
    for shares in ((0.5, 0.5), (0.25, 0.25), (0.75, 0.75), (0.25, 0.75), (0.75, 0.25)):
        values = image.window(*(span.as_slice for span in _part(image.shape, shares, _PART_SIDE)))
        finite = values[np.isfinite(values)]
        if not finite.size or np.ptp(finite) == 0:
            continue
        finding = search(_as_image(values, image), chosen=_choose(image, square, shares, **asked), **asked)
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
    square: SquarePixels,
    finding: Finding,
    *,
    min_probability: float | None,
    refine: bool,
    min_distance_nm: float | None,
    keeps_maps: bool = False,
) -> Decisions:
    """What holds for all tiles of an image, by the finds of a part of it.

    Raises
    ------
    ArgumentError : for models that need the whole image at once.
    """
    eyes = finding.eyes
    assert isinstance(eyes, ModelAtScale)
    working = WorkingPixels.of(square, eyes.factor, eyes.model.preprocessing_, eyes.sign)
    least_px = None if min_distance_nm is None or square.pixel_nm is None else min_distance_nm / square.pixel_nm
    decisions = Decisions(eyes, working, DimJudge(None), 0.0, least_px, refine)
    if eyes.model.judges_dim_atoms:
        seen = look_at(Tile(*eyes.sample_of(square.shape), 0), decisions).peaks
        bright = replace(seen, flux=eyes.sign * seen.flux)
        decisions = replace(decisions, weigh=eyes.judge_of_dim_atoms(bright, square.shape))
    return replace(decisions, min_probability=min_probability, keeps_maps=keeps_maps)


def _choose(image: LazyImage, square: SquarePixels, shares: tuple[float, float], **asked: Any) -> ModelAtScale | None:
    """Model, scale and contrast, as `adatom.find` would choose them if it had the image's middle there; None where it
    is for `search` to tell what is wrong.
    """
    spacing_nm = asked["spacing_nm"]
    if spacing_nm is not None and square.pixel_nm is None:
        return None
    rows, columns = _part(image.shape, shares, _CHOOSING_SIDE)
    return choose_model(
        _as_image(image.window(rows.as_slice, columns.as_slice), image),
        square.window(*_part(square.shape, shares, _CHOOSING_SIDE)).values,
        square_factor=square.factor[1],
        model=asked["model"],
        spacing_px=None if spacing_nm is None else spacing_nm / square.pixel_nm,
        contrast=asked["contrast"],
    )


def _part(shape: tuple[int, int], shares: tuple[float, float], side: int) -> tuple[Span, Span]:
    """A part whose middle lies at these shares of the height and width."""
    spans = []
    for n, share in zip(shape, shares, strict=True):
        length = min(n, side + (n - side) % 2)  # of the same parity, for the middle to be the image's middle
        start = min(max(0, int(share * n - length / 2)), n - length)
        spans.append(Span(start, start + length))
    return spans[0], spans[1]


def _as_image(values: np.ndarray, image: LazyImage) -> xr.DataArray:
    return make_image(
        values, pixel_size=image.pixel_size, signal=image.signal, units=image.units, history=image.history
    )
