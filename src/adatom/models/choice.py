"""Which model to look through, and at which scale: the one that best supports what it sees in the image."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.analyse import find_species_lattice
from adatom.data import nearest_distances, pixel_size_nm
from adatom.locate import Peaks
from adatom.models.catalogue import load, model_path, shipped_models
from adatom.models.segmenter import Segmenter
from adatom.models.support import support
from adatom.prepare import positions_back

Array = NDArray[np.float64]

# Below this support, a model that was chosen for an image does not explain it well; above, it may be trusted.
LEAST_SUPPORT = 0.5
# Candidates with less than this share of the best support are not looked at again.
_LIKELY = 0.6
# Of a large image the middle is enough to choose by: at most so many pixels, and so many working pixels, a side.
_WINDOW = 512


@dataclass(frozen=True)
class Sight:
    """What was seen in an image of square pixels.

    Attributes
    ----------
    peaks : atoms, positions in the image's pixels.
    names : of the species.
    maps : (class, y, x) probabilities at the working scale, or None for a method that has none.
    factor : working pixels a pixel of the image along (y, x).
    """

    peaks: Peaks
    names: list[str]
    maps: Array | None = None
    factor: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class ModelAtScale:
    """A model that looks at images of square pixels at one scale.

    Attributes
    ----------
    factor : working pixels a pixel of the image.
    name, sha256 : of the model file (None for a model in memory).
    is_stated : whether the scale is the one that the image's calibration states.
    support : how well the model knows what it sees, 0 to 1, see `adatom.models.support`.
    """

    model: Segmenter
    factor: float
    name: str
    sha256: str | None
    is_stated: bool = False
    support: float = float("nan")

    @property
    def lattice_constant_nm(self) -> float | None:
        """Edge of the cell that the model knows, where it is more than nominal."""
        recipe = self.model.recipe_
        return recipe.material.lattice_constant_nm if recipe and self.model.scale_["calibrated"] else None

    @property
    def spacing_px(self) -> float:
        """Typical distance of nearest neighbours in the image's pixels."""
        return float(self.model.scale_["spacing_px"]) / self.factor

    @property
    def network_error_px(self) -> float:
        """Standard deviation of the network's positions along one axis, in the image's pixels, over its validation."""
        return float(self.model.figures_["val_position_rms_px"]) / np.sqrt(2) / self.factor

    def see(self, values: Array, min_probability: float = 0.5, min_distance_px: float | None = None) -> Sight:
        """Atoms and maps of `values` (y, x); `min_distance_px` in the image's pixels."""
        maps, factor = self.model.look(values, (self.factor, self.factor))
        apart = None if min_distance_px is None else min_distance_px * self.factor
        peaks = self.model.peaks(maps, min_probability=min_probability, min_distance_px=apart)
        x, y = positions_back(peaks.x, factor[1]), positions_back(peaks.y, factor[0])
        return Sight(Peaks(x, y, peaks.species, peaks.probability), self.model.classes_, maps, factor)


def choose_model(
    image: xr.DataArray,
    square: Array,
    *,
    square_factor: float,
    model: Segmenter | str | Path | None,
    spacing_px: float | None,
) -> ModelAtScale:
    """The model and the scale that explain an image best.

    Where none explains it well, a scale that rests on the image's calibration is taken before one that rests on its
    periods, as these may be those of noise.

    Parameters
    ----------
    image : (y, x), as it was measured.
    square : the same with square pixels, levelled.
    square_factor : square pixels a pixel of the image, along x.
    model : a model, its file, or the name of one that ships; None for any that ships.
    spacing_px : known distance of nearest neighbours in square pixels, or None to find the scale.
    """
    candidates: list[tuple[Segmenter, str, str | None]]
    if model is None:
        candidates = [(load(path), name, _sha256(path)) for name, path in shipped_models().items()]
    elif isinstance(model, (str, Path)):
        path = model_path(model)
        candidates = [(load(path), str(model), _sha256(path))]
    else:
        candidates = [(model, model.recipe_.name if model.recipe_ else "model in memory", None)]
    seen: list[tuple[ModelAtScale, Peaks]] = []
    for candidate, name, sha256 in candidates:
        if spacing_px is not None:
            factors = [candidate.scale_["spacing_px"] / spacing_px]
        else:
            factors = [factor[1] / square_factor for factor in candidate.working_factors(image)]
        stated = spacing_px is None and pixel_size_nm(image) is not None and bool(candidate.scale_["calibrated"])
        for k, factor in enumerate(_different(factors)):  # the calibration's comes first
            seen.append(_look(ModelAtScale(candidate, factor, name, sha256, stated and k == 0), square))
    most = max(eyes.support for eyes, _ in seen)
    likely = [(eyes, peaks) for eyes, peaks in seen if eyes.support >= _LIKELY * most]
    judged = [_against_lattice(eyes, peaks, square, spacing_px is None) for eyes, peaks in likely]
    best = max(judged, key=lambda eyes: eyes.support)
    calibrated = [eyes for eyes, _ in seen if eyes.is_stated] if best.support < LEAST_SUPPORT else []
    return max(calibrated, key=lambda eyes: eyes.support, default=best)


def _different(factors: list[float]) -> list[float]:
    kept: list[float] = []
    for factor in factors:
        if all(abs(factor / other - 1) > 0.03 for other in kept):
            kept.append(factor)
    return kept


def _look(eyes: ModelAtScale, square: Array) -> tuple[ModelAtScale, Peaks]:
    """The same eyes with their support in the middle of the image, and the atoms they saw there."""
    side = int(_WINDOW / max(1.0, eyes.factor))
    top, left = ((n - min(n, side)) // 2 for n in square.shape)
    sight = eyes.see(square[top : top + side, left : left + side])
    assert sight.maps is not None
    return replace(eyes, support=support(sight.maps)), sight.peaks


def _against_lattice(eyes: ModelAtScale, peaks: Peaks, square: Array, free_scale: bool) -> ModelAtScale:
    """A model and scale judged once more by the lattice of the atoms that it found.

    A model knows how many neighbour distances its cell measures. If the found lattice has another ratio, the model
    looks at another material, or at the wrong scale, and its support counts half. If the ratio is right, the known
    cell says which scale is; that one is taken if it supports at least as much.
    """
    recipe = eyes.model.recipe_
    lattice = find_species_lattice(peaks.x, peaks.y, peaks.species)
    if recipe is None or lattice is None or lattice.coincidence < 0.6:
        return eyes
    edge = recipe.material.lattice_constant_nm / recipe.microscope.pixel_size_nm  # working px
    distance = float(np.median(nearest_distances(np.column_stack([peaks.x, peaks.y]))))
    ratio = (lattice.edge / distance) / (edge / eyes.model.scale_["spacing_px"])
    if not 0.75 < ratio < 1.33:
        return replace(eyes, support=0.5 * eyes.support)
    factor = edge / lattice.edge
    if not free_scale or not 0.03 < abs(factor / eyes.factor - 1) < 0.5:
        return eyes
    other, _ = _look(replace(eyes, factor=factor, is_stated=False), square)
    return other if other.support >= eyes.support else eyes


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
