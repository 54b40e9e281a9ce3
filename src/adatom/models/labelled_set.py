"""Experimental images with known atoms to a stored training set: augmented crops, and others for validation.

Each image is cut in two: a strip at one of its ends is for validation, the rest for training. Crops are made from the
pixels of their own part alone, so that nothing which a network is judged on was ever shown to it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from adatom import __version__
from adatom.data import pixel_size_nm
from adatom.data.ranges import StrictModel
from adatom.data.training_set import TRAINING, VALIDATION
from adatom.data.training_store import KnownImage, write_training_set
from adatom.errors import ArgumentError
from adatom.models.labelled_image import Crop, LabelledImage, Part
from adatom.models.recipe import first_problem
from adatom.prepare.augment import Augmentation, draw_geometry

Array = NDArray[np.float64]

# What is done to crops unless somebody says otherwise: all directions, some magnification, some faults.
USUAL = Augmentation(
    rotation_deg=(0, 360),
    flip=True,
    zoom=(0.87, 1.15),
    blur_px=(0, 0.7),
    background=(0, 0.3),
    gamma=(0.8, 1.25),
    gaussian=(0, 0.1),
    row_offset=(0, 0.03),
)
_AS_THEY_ARE = Augmentation()
# Usual side of a crop: at most this part of an image's shorter side, in whole multiples.
_CROP_PX, _PART_OF_SIDE, _MULTIPLE_PX = 128, 3, 16
_HALF_WIDTH, _MOST_RADIUS = 1.18, 0.35  # of the mask: standard deviations of a peak; distances of neighbours
_TRIES = 10  # to draw a crop for validation that holds an atom


class Cropping(StrictModel):
    """How a training set is cut out of images.

    Attributes
    ----------
    n : crops, all images and those for validation together.
    crop_px : side of a crop [px]; by default 128, or a third of the shortest side of an image.
    validation : share of each image, and of the crops, for validation.
    radius_nm : of the disc that is an atom in the class map, [px] where the images have no pixel size; by default half
        the width of the atoms' peaks, and at most 0.35 of the distance of neighbours.
    augmentation : of the crops for training.
    seed : same seed, same crops.
    """

    n: int = Field(default=200, ge=4)
    crop_px: int | None = Field(default=None, ge=16, le=4096)
    validation: float = Field(default=0.2, gt=0, lt=1)
    radius_nm: float | None = Field(default=None, gt=0)
    augmentation: Augmentation = USUAL
    seed: int = Field(default=0, ge=0)

    @classmethod
    def of(cls, **settings: Any) -> "Cropping":
        """The same, but what is out of range is an error of ours, an `ArgumentError`."""
        try:
            return cls(**settings)
        except ValidationError as error:
            raise ArgumentError(f"label: {first_problem(error)}.") from error


@dataclass(frozen=True)
class Labelled:
    """What a labelled set holds.

    Attributes
    ----------
    classes, n_atoms : names, and for each how many atoms the images have.
    crop_px, n_training, n_validation : side [px] and numbers of crops.
    radius_px : of an atom in the class map.
    brightness : for each image, how bright it is at its atoms, see `adatom.locate.marks_on_image.check_marks`.
    """

    classes: list[str]
    n_atoms: dict[str, int]
    crop_px: int
    n_training: int
    n_validation: int
    radius_px: float
    brightness: list[float]

    def as_dict(self) -> dict[str, Any]:
        """All of it, JSON-serialisable."""
        return asdict(self)


def write_labelled_set(
    images: Sequence[xr.DataArray],
    atoms: Sequence[pd.DataFrame],
    store: Path,
    *,
    cropping: Cropping | None = None,
    classes: Sequence[str] | None = None,
    force: bool = False,
    command: str = "",
    on_image: Callable[[int], None] | None = None,
) -> Labelled:
    """Cut a training set out of images whose atoms are all known; `store` is made, see `adatom.data.training_set`.

    Parameters
    ----------
    images : (y, x) each; the pixels of the first are those of the set, the others are brought to them.
    atoms : for each image its atoms: ``x`` and ``y`` in its unit, and ``species`` where there are classes.
    cropping : how many crops, how large, and so on.
    classes : their names in order, of which the atoms have some; by default those of the atoms, sorted.
    force : take positions for right that would fit an image far better with x and y swapped, say.

    Raises
    ------
    ArgumentError : if atoms lie outside their image, or seem to be in another unit or order; if there is none, or a
        class is unknown; if an image is too small to be cut, given twice, or has a pixel size where another has none.
    """
    how = cropping or Cropping()
    if len(images) != len(atoms) or not images:
        raise ArgumentError(f"atoms: expected a table for each image, got {len(atoms)} for {len(images)} images.")
    names = _class_names(atoms, classes)
    pixel = pixel_size_nm(images[0])
    known = [
        LabelledImage.of(image, table, names, None if pixel is None else pixel[1], number, force)
        for number, (image, table) in enumerate(zip(images, atoms, strict=True), start=1)
    ]
    _check_different(known)
    shortest = min(min(one.shown_size) for one in known)
    side = how.crop_px or min(_CROP_PX, max(16, int(shortest / _PART_OF_SIDE) // _MULTIPLE_PX * _MULTIPLE_PX))
    unit_px = 1.0 if pixel is None else pixel[1]
    radius = _estimated_radius(known) if how.radius_nm is None else how.radius_nm / unit_px
    rng = np.random.default_rng([how.seed, 0])
    parts = [one.cut(side, how.validation, rng) for one in known]
    n_validation = int(np.clip(round(how.validation * how.n), 2, how.n - 2))
    split = np.repeat(np.array([VALIDATION, TRAINING], dtype=np.uint8), [n_validation, how.n - n_validation])
    crops = [
        _draw_crop(parts, int(part), side, how, np.random.default_rng([how.seed, 1, k])) for k, part in enumerate(split)
    ]

    def made() -> Iterator[KnownImage]:
        for k, crop in enumerate(crops):
            settings = how.augmentation if split[k] == TRAINING else _AS_THEY_ARE
            yield crop.known_image(radius, settings, np.random.default_rng([how.seed, 2, k]))
            if on_image is not None:
                on_image(k + 1)

    attrs: dict[str, Any] = {
        "classes": names,
        "pixel_size_nm": None if pixel is None else pixel[1],
        "label_radius_px": float(radius),
        "recipe": "",
        "seed": how.seed,
        "version": __version__,
        "command": command,
        "cropping": how.model_dump(mode="json"),
        "sources": [dict(image.attrs.get("source", {})) for image in images],
    }
    of_samples: dict[str, NDArray[Any]] = {
        "split": split,
        "source": np.array([crop.number for crop in crops], dtype=np.int64),
        "footprint": np.array([crop.footprint for crop in crops]),
    }
    write_training_set(store, made(), n=how.n, size=side, attrs=attrs, of_samples=of_samples)
    species = np.concatenate([one.species for one in known])
    return Labelled(
        classes=names,
        n_atoms={name: int((species == k).sum()) for k, name in enumerate(names)},
        crop_px=side,
        n_training=how.n - n_validation,
        n_validation=n_validation,
        radius_px=float(radius),
        brightness=[one.brightness for one in known],
    )


def _class_names(atoms: Sequence[pd.DataFrame], classes: Sequence[str] | None) -> list[str]:
    have = {name for table in atoms for name in (table["species"] if "species" in table else ["atom"] * len(table))}
    if classes is None:
        return sorted(have) or ["atom"]
    unknown = sorted(have - set(classes))
    if unknown or len(set(classes)) != len(classes):
        got = f"{unknown[0]} too" if unknown else f"{', '.join(classes)}"
        raise ArgumentError(f"classes: expected the different names of all classes of the atoms, got {got}.")
    return list(classes)


def _draw_crop(
    parts: "list[tuple[Part, Part]]", split: int, side: int, how: Cropping, rng: np.random.Generator
) -> Crop:
    """A crop of any image, of large ones more often; those for validation show an atom where that is not hard."""
    those = [pair[0 if split == TRAINING else 1] for pair in parts]
    area = np.array([part.area for part in those])
    settings = (how.augmentation if split == TRAINING else _AS_THEY_ARE).model_copy(update={"crop_px": side})
    for _ in range(_TRIES):
        part = those[rng.choice(len(those), p=area / area.sum())]
        crop = Crop(part, draw_geometry(part.values.shape, settings, rng, scale=part.known.scale))
        if split == TRAINING or crop.geometry.shows(*crop.places()).any():
            break
    return crop


def _estimated_radius(known: list[LabelledImage]) -> float:
    """Half the width of the peaks at half their height, or less where neighbours are near [px of the set]."""
    widths = [one.width for one in known if np.isfinite(one.width)]
    apart = [one.apart for one in known if np.isfinite(one.apart)]
    limits = ([_HALF_WIDTH * np.median(widths)] if widths else []) + (
        [_MOST_RADIUS * np.median(apart)] if apart else []
    )
    if not limits:
        raise ArgumentError("radius: expected the radius of an atom, as one atom alone does not tell it. Use --radius.")
    return float(max(1.0, min(limits)))


def _check_different(known: list[LabelledImage]) -> None:
    """An image that is given twice would be cut in two ways, and be trained on where it is judged."""
    for one in known:
        for other in known[: one.number]:
            if one.values.shape == other.values.shape and np.array_equal(one.values, other.values, equal_nan=True):
                raise ArgumentError(
                    f"images: expected different ones, got the same as image {other.number + 1} and {one.number + 1}. "
                    "Put all atoms of an image into one table."
                )
