"""Which model to look through, at which scale and contrast: the one that best supports what it sees in the image."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from adatom.analyse import Lattice, find_lattice, find_species_lattice
from adatom.data import nearest_distances, pixel_size_nm
from adatom.errors import ArgumentError
from adatom.locate import Peaks
from adatom.models.catalogue import (
    DEFAULT_MODEL,
    LONE_ATOMS_MODEL,
    RECOGNISED_MODELS,
    load,
    model_path,
    read_header,
)
from adatom.models.ensemble import Ensemble
from adatom.models.image_model import ImageModel
from adatom.models.maps import Maps
from adatom.models.recipe import parse_recipe
from adatom.models.scale import FINEST_FOR_LONE, Look, find_lone_scale, find_scale
from adatom.models.sight import SURE_LATTICE, ModelAtScale, middle

Array = NDArray[np.float64]
Contrast = Literal["auto", "bright", "dark"]

# Below this support, a model that was chosen for an image does not explain it well; above, it may be trusted.
LEAST_SUPPORT = 0.5
# Candidates with less than this share of the best support are not looked at again.
_LIKELY = 0.6
# Of a large image the middle is enough to choose by: so many working pixels a side.
_WINDOW = 320
# A small part of the middle is enough where atoms are plain in it: side [working px], and the support that suffices.
_SEARCH_WINDOWS = {64: 0.6, 128: LEAST_SUPPORT, 256: 0.0}
# Below this support nothing is plain, and atoms are lone ones, if any. They take a larger part of the image to be met
# with, and noise has about as many grains that look like atoms: only those that are likelier than this are kept.
_LONE_BELOW = 0.72
_LONE_WINDOW = 256
_LEAST_PROBABILITY = 0.75
_SKEWNESS_WINDOW = 256
# Atoms are peaks: what stands out of the ground is brighter than it, and so is the long tail of the grey values. Only
# where the tail is dark, beyond this skewness, may atoms be.
_DARK_SKEWNESS = -0.05
# Of a honeycomb of broad atoms in noise the tail says little, up to this skewness, which hexagonal lattices of bright
# atoms have even in strong noise. The lattice says more: a honeycomb has two atoms where its gaps are one.
_UNDECIDED_SKEWNESS = 0.3
_TWICE = 1.5
_ALIKE = 0.85  # of the supports
# Beyond this they are, unless bright ones are better supported: of bright honeycombs only those blurred beyond 0.37
# bonds have such a tail.
_SURELY_DARK = -0.45
_MANY_MORE = 1.4
_FINER = 1.7
# Images likelier unlike a model's training than like it are warned of, and not handed over to it.
UNFAMILIAR = 0.5
_PLAIN_LATTICE = 0.8
_SAME_CELL = 0.05


def choose_model(
    image: xr.DataArray,
    square: Array,
    *,
    square_factor: float,
    model: ImageModel | Ensemble | str | Path | None,
    spacing_px: float | None,
    contrast: Contrast = "auto",
) -> ModelAtScale:
    """The scale and the contrast at which a model explains an image best; without a name, the model too.

    Parameters
    ----------
    image : (y, x), as it was measured.
    square : the same with square pixels, levelled.
    square_factor : square pixels a pixel of the image, along x.
    model : a model, its file, or the name of one that ships; None for the one that knows no material. Of an ensemble
        one member looks for the scale; at that one all look.
    spacing_px : known distance of nearest neighbours in square pixels, or None to find the scale.
    contrast : whether atoms are bright or dark, or ``auto`` to let the image say.
    """
    loaded, name, sha256 = _named(model)
    if loaded.is_of_regions:
        raise ArgumentError(
            f"model: expected one that finds atoms, got {name}, which tells regions apart "
            f"({', '.join(loaded.classes_)}). adatom.load(...).predict(image) gives its maps."
        )
    ensemble = loaded if isinstance(loaded, Ensemble) else None
    eyes = ModelAtScale(loaded.scout if isinstance(loaded, Ensemble) else loaded, 1.0, name, sha256)
    chosen = _at_scale(eyes, image, square, square_factor=square_factor, spacing_px=spacing_px, contrast=contrast)
    if model is None and spacing_px is None and chosen.is_of_lone_atoms and chosen.sign > 0:
        return _for_lone_atoms(image, square, square_factor) or chosen
    return replace(chosen, ensemble=ensemble)


def _named(model: ImageModel | Ensemble | str | Path | None) -> tuple[ImageModel | Ensemble, str, str | None]:
    """A model, its name, and the SHA-256 of its file, if it has one."""
    if isinstance(model, (ImageModel, Ensemble)):
        return model, model.recipe_.name if model.recipe_ else "model in memory", None
    path = model_path(DEFAULT_MODEL if model is None else model)
    loaded, sha256 = _loaded(path, path.stat().st_mtime_ns)
    return loaded, DEFAULT_MODEL if model is None else str(model), sha256


def _at_scale(
    eyes: ModelAtScale,
    image: xr.DataArray,
    square: Array,
    *,
    square_factor: float,
    spacing_px: float | None,
    contrast: Contrast,
) -> ModelAtScale:
    """The scale and the contrast at which these eyes see best; parameters as of `choose_model`."""

    def at_best_scale(sign: int) -> ModelAtScale:
        signed = replace(eyes, sign=sign)
        if spacing_px is not None and not eyes.model.takes_as_is:
            return _look(replace(signed, factor=eyes.model.scale_["spacing_px"] / spacing_px), square)[0]
        if eyes.model.finds_scale:
            return _search(signed, square)
        return _by_calibration_or_period(signed, image, square, square_factor)

    if contrast == "auto":
        chosen = _of_bright_and_dark(at_best_scale, square)
    else:
        chosen = at_best_scale(1 if contrast == "bright" else -1)
    if chosen.support >= _LONE_BELOW:
        return chosen
    return _lone(chosen, square)


def _for_lone_atoms(image: xr.DataArray, square: Array, square_factor: float) -> ModelAtScale | None:
    """The model of lone atoms on a support that is not flat, which knows their look and the support's; None where the
    image is unlike those that it was trained on.
    """
    path = model_path(LONE_ATOMS_MODEL)
    model, sha256 = _shipped(path)
    eyes = ModelAtScale(model, 1.0, LONE_ATOMS_MODEL, sha256, min_probability=model.min_probability)
    eyes = _by_calibration_or_period(eyes, image, square, square_factor)
    unfamiliarity = eyes.unfamiliarity(square)
    return eyes if unfamiliarity is not None and unfamiliarity <= UNFAMILIAR else None


def _of_bright_and_dark(at_best_scale: Callable[[int], ModelAtScale], square: Array) -> ModelAtScale:
    """For bright atoms, unless the image has them dark."""
    bright = at_best_scale(1)
    if not bright.model.finds_scale or (skewness := _skewness(bright, square)) > _UNDECIDED_SKEWNESS:
        return bright
    lattice = _hexagonal(bright)
    if skewness > _DARK_SKEWNESS and lattice is None:
        return bright
    dark = at_best_scale(-1)
    if lattice is not None and dark.support > _ALIKE * bright.support and _has_two_for_one(dark, bright, lattice):
        return dark
    if skewness > _DARK_SKEWNESS:
        return bright
    surely = skewness < _SURELY_DARK
    if bright.seen is not None and dark.seen is not None:
        # the gaps of a honeycomb are as plain as its atoms, but half as many
        surely |= dark.seen.density > _MANY_MORE * bright.seen.density
    return dark if dark.support > (0.9 if surely else 1.05) * bright.support else bright


def _hexagonal(eyes: ModelAtScale) -> Lattice | None:
    """The lattice of what was seen in the middle of an image, where it is plainly a hexagonal one."""
    if eyes.seen is None:
        return None
    peaks = eyes.seen.peaks()
    lattice = find_lattice(np.column_stack([peaks.x, peaks.y]))
    plain = lattice is not None and lattice.is_hexagonal and lattice.coincidence > _PLAIN_LATTICE
    return lattice if plain else None


def _has_two_for_one(eyes: ModelAtScale, others: ModelAtScale, lattice: Lattice) -> bool:
    """Whether `eyes` see a lattice of the same cell as that of `others`, with about twice as many atoms in it."""
    mine = _hexagonal(eyes)
    if mine is None or eyes.seen is None or others.seen is None:
        return False
    same_cell = abs(mine.edge / lattice.edge - 1) < _SAME_CELL
    return same_cell and eyes.seen.density > _TWICE * others.seen.density


def recognise(lattice: Lattice | None, spacing_px: float, square: Array, least_support: float) -> ModelAtScale | None:
    """The model of one material whose cell the found atoms show, where it knows the image as well.

    A finder that knows no material takes every bump for an atom; the model of a material knows which are none.

    Parameters
    ----------
    lattice, spacing_px : of the atoms found, in pixels of `square`.
    square : (y, x) image with square pixels, levelled.
    least_support : of the model, to be taken.
    """
    if lattice is None or not lattice.is_hexagonal or lattice.coincidence < SURE_LATTICE:
        return None
    for name, edge, distance in _materials():
        # bumps between the atoms, taken for atoms, make the distance of neighbours too small
        if not 0.85 < (lattice.edge / spacing_px) / (edge / distance) < 1.7:
            continue
        path = model_path(name)
        model, sha256 = _shipped(path)
        eyes, _ = _look(ModelAtScale(model, edge / lattice.edge, name, sha256), square)
        if eyes.support >= least_support:
            return eyes
    return None


@lru_cache(maxsize=1)
def _materials() -> list[tuple[str, float, float]]:
    """Of each model of a material that is recognised: name, edge of its cell, distance of its atoms [working px]."""
    materials = []
    for name in RECOGNISED_MODELS:
        path = model_path(name)
        header = read_header(path)
        recipe = parse_recipe(header["recipe"], name=path.name)
        if recipe.material.lattice_constant_nm:
            edge = recipe.material.lattice_constant_nm / recipe.microscope.pixel_size_nm
            materials.append((name, edge, float(header["scale"]["spacing_px"])))
    return materials


@lru_cache(maxsize=4)
def _loaded(path: Path, changed_ns: int) -> tuple[ImageModel | Ensemble, str]:
    """A model file, read once for many images; `changed_ns` tells a new file of the same name."""
    model: object = load(path)
    if not isinstance(model, (ImageModel, Ensemble)):
        raise ArgumentError(f"model: expected one that finds atoms, got {path.name}, a {type(model).__name__}.")
    return model, hashlib.sha256(path.read_bytes()).hexdigest()


def _shipped(path: Path) -> tuple[ImageModel, str]:
    """A model that ships; none of them is an ensemble."""
    model, sha256 = _loaded(path, path.stat().st_mtime_ns)
    assert isinstance(model, ImageModel)
    return model, sha256


def _search(eyes: ModelAtScale, square: Array) -> ModelAtScale:
    """The scale that the image itself shows; in a larger window where a small one says too little."""
    for window, enough in _SEARCH_WINDOWS.items():
        look = partial(_glance, eyes, square, window)
        found = find_scale(look, square.shape, spacing_px=eyes.model.scale_["spacing_px"])
        if found.support >= enough:
            break
    return replace(eyes, factor=found.factor, support=found.support, seen=found)


def _lone(eyes: ModelAtScale, square: Array) -> ModelAtScale:
    """The scale for lone atoms, where those that were found stand on no lattice."""
    if eyes.seen is None:
        return eyes
    peaks = eyes.seen.peaks()
    lattice = find_lattice(np.column_stack([peaks.x, peaks.y]))
    if lattice is not None and lattice.coincidence > SURE_LATTICE:
        return eyes
    lone = find_lone_scale(partial(_glance, eyes, square, _LONE_WINDOW), square.shape)
    if lone.density_of_sure > eyes.seen.density_of_sure or eyes.factor > FINEST_FOR_LONE:
        eyes = replace(eyes, factor=lone.factor, support=lone.support, seen=lone)
    return replace(eyes, min_probability=_LEAST_PROBABILITY)


def _glance(eyes: ModelAtScale, square: Array, window: int, factors: list[float]) -> list[Look]:
    """What is seen at several scales in the middle of an image, `window` working pixels a side."""
    parts = [eyes.sign * middle(square, factor, window) for factor in factors]
    return [
        Look(factor, eyes.model.support(maps), part.size, cache(partial(_atoms, eyes.model, maps, part.shape)))
        for factor, part, maps in zip(factors, parts, eyes.model.glance(parts, factors), strict=True)
    ]


def _atoms(model: ImageModel, maps: Maps, shape: tuple[int, ...]) -> Peaks:
    """Atoms in the pixels of a part of an image, those just beyond it left out."""
    return model.peaks(maps).within(np.ones(shape, dtype=bool))


def _skewness(eyes: ModelAtScale, square: Array) -> float:
    """Skewness of the middle of an image as the model gets it, a little smoothed.

    At a finer scale than the model's: bright gaps between dark atoms may have been taken for atoms, and are further
    apart.
    """
    factor = _FINER * eyes.factor
    prepared = eyes.model.prepared(middle(square, factor, _SKEWNESS_WINDOW), factor)
    smooth = ndimage.gaussian_filter(prepared, 1.0)
    spread = float(smooth.std())
    if spread == 0:
        return 0.0
    score = np.clip((smooth - smooth.mean()) / spread, -3, 3)
    return float(np.mean(score * score * score))


def _by_calibration_or_period(
    eyes: ModelAtScale, image: xr.DataArray, square: Array, square_factor: float
) -> ModelAtScale:
    """The scale for a model of one material.

    Where none explains the image well, a scale that rests on the image's calibration is taken before one that rests on
    its periods, as these may be those of noise.
    """
    factors = _different([factor[1] / square_factor for factor in eyes.model.working_factors(image)])
    stated = pixel_size_nm(image) is not None and bool(eyes.model.scale_["calibrated"])
    seen = [  # the calibration's comes first
        _look(replace(eyes, factor=factor, is_stated=stated and k == 0), square) for k, factor in enumerate(factors)
    ]
    most = max(each.support for each, _ in seen)
    likely = [(each, peaks) for each, peaks in seen if each.support >= _LIKELY * most]
    best = max((_against_lattice(each, peaks, square) for each, peaks in likely), key=lambda each: each.support)
    calibrated = [each for each, _ in seen if each.is_stated] if best.support < LEAST_SUPPORT else []
    return max(calibrated, key=lambda each: each.support, default=best)


def _different(factors: list[float]) -> list[float]:
    kept: list[float] = []
    for factor in factors:
        if all(abs(factor / other - 1) > 0.03 for other in kept):
            kept.append(factor)
    return kept


def _look(eyes: ModelAtScale, square: Array, window: int = _WINDOW) -> tuple[ModelAtScale, Peaks]:
    """The same eyes with their support in the middle of the image, and the atoms they saw there."""
    sight = eyes.see(middle(square, eyes.factor, window))
    assert sight.maps is not None
    return replace(eyes, support=eyes.model.support(sight.maps)), sight.peaks


def _against_lattice(eyes: ModelAtScale, peaks: Peaks, square: Array) -> ModelAtScale:
    """A model and scale judged once more by the lattice of the atoms that it found.

    A model knows how many neighbour distances its cell measures. If the found lattice has another ratio, the model
    looks at another material, or at the wrong scale, and its support counts half. If the ratio is right, the known
    cell says which scale is; that one is taken if it supports at least as much.
    """
    recipe = eyes.model.recipe_
    lattice = find_species_lattice(peaks.x, peaks.y, peaks.species)
    if recipe is None or lattice is None or lattice.coincidence < 0.6:
        return eyes
    if recipe.material.lattice_constant_nm is None:
        return eyes
    edge = recipe.material.lattice_constant_nm / recipe.microscope.pixel_size_nm  # working px
    distance = float(np.median(nearest_distances(np.column_stack([peaks.x, peaks.y]))))
    ratio = (lattice.edge / distance) / (edge / eyes.model.scale_["spacing_px"])
    if not 0.75 < ratio < 1.33:
        return replace(eyes, support=0.5 * eyes.support)
    factor = edge / lattice.edge
    if not 0.03 < abs(factor / eyes.factor - 1) < 0.5:
        return eyes
    other, _ = _look(replace(eyes, factor=factor, is_stated=False), square)
    return other if other.support >= eyes.support else eyes
