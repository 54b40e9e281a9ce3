"""Augmentation: an image, its class map and its atoms changed together, so that an atom stays under its pixel.

Ranges stand in a recipe's block ``augmentation``; what is left out changes nothing. A range ``[low, high]`` is drawn
from evenly, once an image; doses by their logarithm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from adatom.data.ranges import NonNegativeRange, PositiveRange, Range, Share, StrictModel
from adatom.errors import ArgumentError, ShapeError
from adatom.prepare import degrade
from adatom.prepare.geometry import Geometry

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]

_TRIES = 50  # to place a turned crop in the image before its angle is given up
_ONE: PositiveRange = (1.0, 1.0)
_NONE: NonNegativeRange = (0.0, 0.0)


class Augmentation(StrictModel):
    """How images are changed before a network sees them; heights are in units of an image's contrast."""

    rotation_deg: Range = Field(default=_NONE, description="any angle, clockwise")
    flip: bool = Field(default=False, description="half of the images are mirrored")
    zoom: PositiveRange = Field(default=_ONE, description="above 1 magnifies")
    crop_px: int | None = Field(default=None, ge=8, description="side of the square cut out; by default none is")
    blur_px: NonNegativeRange = Field(default=_NONE, description="standard deviation of a Gaussian")
    resize: Share = Field(default=_ONE, description="share of the pixels along a side that it was taken with")
    row_jitter_px: NonNegativeRange = Field(default=_NONE, description="standard deviation of scan lines along x")
    background: NonNegativeRange = Field(default=_NONE, description="height of a plane and of a hill")
    gamma: PositiveRange = Field(default=_ONE, description="exponent of a crooked grey scale, on half of the images")
    contrast: PositiveRange = Field(default=_ONE, description="factor on all greys about their median")
    poisson: PositiveRange | None = Field(default=None, description="counts that the image's contrast is worth")
    gaussian: NonNegativeRange = Field(default=_NONE, description="standard deviation of noise")
    row_offset: NonNegativeRange = Field(default=_NONE, description="standard deviation of the heights of scan lines")
    salt_and_pepper: Share = Field(default=_NONE, description="share of the pixels that are black or white")
    cut_out: tuple[int, int] = Field(default=(0, 0), description="number of squares that are not measured")
    cut_out_px: PositiveRange = Field(default=(8.0, 16.0), description="their sides")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.resize[0] <= 0:
            raise ValueError(f"resize: expected shares above 0, got {list(self.resize)}")
        if not 0 <= self.cut_out[0] <= self.cut_out[1]:
            raise ValueError(f"cut_out: a range is [low, high] from 0 up, got {list(self.cut_out)}")
        return self


@dataclass(frozen=True)
class Augmented:
    """An image that was changed, and its truth.

    Attributes
    ----------
    image : (y, x), NaN where nothing is shown.
    label : (y, x) class map.
    x, y : (m,) positions of the atoms that it still shows [px].
    kept : (m,) their numbers among those that were given.
    flux_factor : by what the volumes of peaks grew; NaN where that depends on the peak.
    """

    image: Array
    label: NDArray[np.uint8]
    x: Array
    y: Array
    kept: NDArray[np.int64]
    flux_factor: float


def augment_image(
    image: Array,
    label: NDArray[np.uint8],
    x: Array,
    y: Array,
    *,
    settings: Augmentation,
    rng: np.random.Generator,
) -> Augmented:
    """Change one image and its truth.

    Parameters
    ----------
    image, label : (y, x), NaN where not measured, and class map.
    x, y : (n,) positions of its atoms [px].
    rng : all that is random comes from it, in one order: the same generator, the same result.

    Raises
    ------
    ArgumentError : if the image is smaller than the crop.
    """
    geometry = draw_geometry(image.shape, settings, rng)
    new_x, new_y = geometry.points(x, y)
    seen = geometry.shows(new_x, new_y)
    changed, stretched = spoil(geometry.image(image), settings, rng)
    new_label = np.where(np.isfinite(changed), geometry.label(label), 0).astype(label.dtype)
    column, row = (
        np.clip(np.round(each), 0, n - 1) for each, n in zip((new_x, new_y), geometry.size[::-1], strict=True)
    )
    seen &= np.isfinite(changed[row.astype(int), column.astype(int)])
    return Augmented(
        changed, new_label, new_x[seen], new_y[seen], np.flatnonzero(seen), geometry.flux_factor * stretched
    )


def spoil(image: Array, settings: Augmentation, rng: np.random.Generator) -> tuple[Array, float]:
    """Change what an image (y, x) shows and not where it shows it; also the factor on the volumes of peaks, or NaN."""
    factor = rng.uniform(*settings.contrast)
    # what is bent has no volumes of peaks any more; half of the images keep them, to be learned from
    gamma = rng.uniform(*settings.gamma) if settings.gamma != _ONE and rng.integers(2) else 1.0
    image = degrade.blur(image, rng.uniform(*settings.blur_px))
    image = degrade.coarsen(image, rng.uniform(*settings.resize))
    image = degrade.shift_rows(image, rng.uniform(*settings.row_jitter_px), rng)
    image = degrade.tilt_ground(image, rng.uniform(*settings.background), rng)
    image = degrade.bend_greys(image, gamma)
    image = degrade.stretch_greys(image, factor)
    if settings.poisson is not None:
        image = degrade.count(image, float(np.exp(rng.uniform(*np.log(settings.poisson)))), rng)
    image = degrade.add_noise(image, rng.uniform(*settings.gaussian), rng)
    image = degrade.offset_rows(image, rng.uniform(*settings.row_offset), rng)
    image = degrade.salt_and_pepper(image, rng.uniform(*settings.salt_and_pepper), rng)
    image = degrade.cut_out(image, int(rng.integers(*settings.cut_out, endpoint=True)), settings.cut_out_px, rng)
    return image, float(factor) if gamma == 1 else np.nan


def draw_geometry(
    shape: tuple[int, ...],
    settings: Augmentation,
    rng: np.random.Generator,
    *,
    scale: tuple[float, float] = (1.0, 1.0),
) -> Geometry:
    """What of an image of this shape a new one shows.

    A crop lies in the image with all its corners, anywhere; if that cannot be at any of the angles and zooms tried, it
    is not turned. An image of which no crop is asked for keeps its size and its middle, and lacks the corners that it
    turns out of sight.

    Parameters
    ----------
    scale : pixels of the new image an old one along (y, x), before any zoom.

    Raises
    ------
    ArgumentError : if the image is smaller than the crop.
    """
    rows, columns = shape
    middle = (0.5 * (rows - 1), 0.5 * (columns - 1))
    side = settings.crop_px
    size = (rows, columns) if side is None else (side, side)
    for number in range(_TRIES + 1):
        mirror = bool(settings.flip and rng.integers(2))
        angle, zoom = rng.uniform(*settings.rotation_deg), rng.uniform(*settings.zoom)
        if number == _TRIES:
            angle, zoom = 0.0, settings.zoom[1]
        geometry = Geometry.of(
            centre=middle, size=size, angle_deg=angle, mirror=mirror, zoom=(zoom * scale[0], zoom * scale[1])
        )
        if side is None:
            return geometry
        left, top, right, bottom = geometry.bounds
        room_x, room_y = 0.5 * (columns - (right - left)), 0.5 * (rows - (bottom - top))
        if min(room_x, room_y) >= 0:
            shift = rng.uniform(-room_y, room_y), rng.uniform(-room_x, room_x)
            return Geometry(geometry.matrix, (middle[0] + shift[0], middle[1] + shift[1]), size)
    most = int(min(rows * scale[0], columns * scale[1]) * settings.zoom[1])
    raise ArgumentError(f"crop_px: expected at most {most} px in an image of {columns} x {rows} px, got {side}.")


def augment(
    images: "Array | torch.Tensor",
    labels: "NDArray[np.uint8] | torch.Tensor",
    positions: Sequence[Array],
    *,
    settings: Augmentation,
    rng: np.random.Generator,
) -> "tuple[Array | torch.Tensor, NDArray[np.uint8] | torch.Tensor, list[Array], list[NDArray[np.int64]]]":
    """Change images of one size, their class maps and their atoms.

    Parameters
    ----------
    images, labels : (n, y, x), both arrays or both tensors.
    positions : for each image, (m, 2) x, y of its atoms [px].

    Returns
    -------
    images, labels : of the kind, type and device that came.
    positions : of the atoms that the images still show.
    kept : for each image, which of its atoms these are.

    Raises
    ------
    ShapeError : if there are not as many of each.
    """
    if images.ndim != 3 or images.shape != labels.shape or len(positions) != len(images):
        raise ShapeError(
            f"augment: expected images and labels (n, y, x) and n tables of positions, got {tuple(images.shape)}, "
            f"{tuple(labels.shape)} and {len(positions)}."
        )
    changed = [
        augment_image(np.asarray(image), np.asarray(label), xy[:, 0], xy[:, 1], settings=settings, rng=rng)
        for image, label, xy in zip(_as_array(images), _as_array(labels), positions, strict=True)
    ]
    new_images, new_labels = (np.stack([getattr(each, name) for each in changed]) for name in ("image", "label"))
    return (
        _like(images, new_images),
        _like(labels, new_labels),
        [np.column_stack([each.x, each.y]) for each in changed],
        [each.kept for each in changed],
    )


def _as_array(values: "NDArray | torch.Tensor") -> NDArray:
    return values if isinstance(values, np.ndarray) else values.detach().cpu().numpy()


def _like(model: "NDArray | torch.Tensor", values: NDArray) -> "NDArray | torch.Tensor":
    """Values of the kind of `model`; but an image of whole numbers becomes one of floats, which know NaN."""
    if isinstance(model, np.ndarray):
        return values if model.dtype.kind in "iub" and values.dtype.kind == "f" else values.astype(model.dtype)
    import torch

    new = torch.from_numpy(values).to(model.device)
    return new if not model.is_floating_point() and new.is_floating_point() else new.to(model.dtype)
