"""A model that looks at an image at one scale, and what it sees there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.analyse import find_lattice
from adatom.data.span import Span
from adatom.locate import Peaks
from adatom.models.dim_atoms import SURE, DimAtoms, learn_dim_atoms
from adatom.models.ensemble import Ensemble
from adatom.models.ensemble_maps import EnsembleMaps
from adatom.models.image_model import ImageModel
from adatom.models.maps import Factor, Maps
from adatom.models.scale import Look
from adatom.prepare import is_large

Array = NDArray[np.float64]

# So many atoms must agree on a lattice for anything to be told by it.
SURE_LATTICE = 0.5
_FAMILIARITY_WINDOW = 128
# The middle of a large image tells what dim atoms are: so many working pixels a side, or where these are coarse so many
# pixels, but no fewer working pixels than that.
_SAMPLE_SIDE, _SAMPLE_PX, _LEAST_SAMPLE = 1024, 2048, 256


@dataclass(frozen=True)
class Sight:
    """What was seen in an image of square pixels.

    Attributes
    ----------
    peaks : atoms, positions in the image's pixels.
    names : of the species.
    maps : what the model saw, or None for a method that has no maps.
    ensemble_maps : what an ensemble saw, instead.
    """

    peaks: Peaks
    names: list[str]
    maps: Maps | None = None
    ensemble_maps: EnsembleMaps | None = None


@dataclass(frozen=True)
class ModelAtScale:
    """A model that looks at images of square pixels at one scale.

    Attributes
    ----------
    factor : working pixels a pixel of the image.
    name, sha256 : of the model file (None for a model in memory).
    sign : 1 for bright atoms, -1 for dark ones.
    is_stated : whether the scale is the one that the image's calibration states.
    support : how well the model knows what it sees, 0 to 1, see `adatom.models.support`.
    seen : what it saw at this scale in the middle of the image, where it searched for the scale.
    min_probability : atoms less probable are left out, if it is more than the model's own limit.
    coverage : of the sets of species that are asked for.
    ensemble : whose scout `model` is, where all members are to look once the scale is known.
    """

    model: ImageModel
    factor: float
    name: str
    sha256: str | None
    sign: int = 1
    is_stated: bool = False
    support: float = float("nan")
    seen: Look | None = None
    min_probability: float | None = None
    ensemble: Ensemble | None = None
    coverage: float | None = None

    @property
    def lattice_constant_nm(self) -> float | None:
        """Edge of the cell that the model knows, where it is more than nominal."""
        recipe = self.model.recipe_
        return recipe.material.lattice_constant_nm if recipe and self.model.scale_["calibrated"] else None

    @property
    def empty_classes(self) -> tuple[str, ...]:
        """Classes of sites that hold nothing: vacancies that the model knows by their neighbours."""
        material = self.model.recipe_.material if self.model.recipe_ else None
        defects = getattr(material, "point_defects", [])
        return tuple(defect.name for defect in defects if defect.is_class and not any(defect.becomes.values()))

    @property
    def is_of_lone_atoms(self) -> bool:
        """Whether nothing but their looks speaks for the atoms."""
        return self.min_probability is not None

    @property
    def spacing_px(self) -> float:
        """Typical distance of nearest neighbours in the image's pixels."""
        return float(self.model.scale_["spacing_px"]) / self.factor

    def unfamiliarity(self, square: Array) -> float | None:
        """Probability that the middle of levelled `square` is unlike what the model was trained on."""
        return self.model.unfamiliarity(self.sign * middle(square, self.factor, _FAMILIARITY_WINDOW), self.factor)

    def see(self, values: Array, min_probability: float | None = None, min_distance_px: float | None = None) -> Sight:
        """Atoms and maps of levelled `values` (y, x); `min_distance_px` in the image's pixels."""
        image, factor = self.sign * values, (self.factor, self.factor)

        def weigh(finds: Peaks) -> Peaks:
            return self.judge_of_dim_atoms(finds, values.shape)(finds)

        if self.ensemble is None:
            maps = self.model.look(image, factor, is_levelled=True)
            find = partial(self.model.peaks, maps, min_distance_px=min_distance_px)
            return Sight(self.likely(find, min_probability, weigh), self.model.classes_, maps)
        ensemble_maps = self.ensemble.look(image, factor, is_levelled=True)
        find_joined = partial(self.ensemble.peaks, ensemble_maps, min_distance_px=min_distance_px)
        return Sight(self.likely(find_joined, min_probability, weigh), self.model.classes_, None, ensemble_maps)

    def sample_of(self, shape: Sequence[int]) -> tuple[Span, Span]:
        """The rows and columns of a large image of which the finds tell what dim atoms are: its middle."""
        side = ceil(min(_SAMPLE_SIDE / self.factor, max(_SAMPLE_PX, _LEAST_SAMPLE / self.factor)))
        starts = [max(0, (n - side) // 2) for n in shape]
        rows, columns = (Span(start, min(n, start + side)) for start, n in zip(starts, shape, strict=True))
        return rows, columns

    def judge_of_dim_atoms(self, finds: Peaks, shape: Sequence[int]) -> "DimJudge":
        """The judge of an image of this shape (y, x), by all its finds, or by those of its middle if it is a large one;
        fluxes are those of bright atoms.
        """
        if is_large(shape):
            rows, columns = self.sample_of(shape)
            inside = (finds.y >= rows.start) & (finds.y < rows.stop)
            finds = finds.of(inside & (finds.x >= columns.start) & (finds.x < columns.stop))
        sure = finds.of(finds.probability > SURE)
        lattice = find_lattice(np.column_stack([sure.x, sure.y]))
        if lattice is None or lattice.coincidence < SURE_LATTICE:
            return DimJudge(None)
        return DimJudge(learn_dim_atoms(finds.probability, finds.flux))

    def likely(
        self, find: Callable[..., Peaks], min_probability: float | None, weigh: Callable[[Peaks], Peaks]
    ) -> Peaks:
        """The atoms among those that `find` finds, which takes a least probability; `weigh` judges dim ones."""
        least = self.min_probability if min_probability is None else min_probability
        if self.model.judges_dim_atoms:
            peaks = weigh(find(min_probability=0.0))
            peaks = peaks.of(peaks.probability >= (self.model.min_probability if least is None else least))
        else:
            peaks = find(min_probability=least)
        return replace(peaks, flux=self.sign * peaks.flux)

    def species_sets(self, peaks: Peaks) -> NDArray[Any] | None:
        """The sets of species of atoms that were seen (n,), where they are asked for."""
        return None if self.coverage is None else (self.ensemble or self.model).species_sets(peaks, self.coverage)

    def draw(self, sight: Sight, image: xr.DataArray, square: Factor) -> tuple[xr.DataArray, xr.Dataset | None]:
        """Probability maps of what was seen in `image` (a pixel is `square` square pixels), and their doubts."""
        if self.ensemble is not None and sight.ensemble_maps is not None:
            seen = sight.ensemble_maps
            doubts = self.ensemble.uncertainty_as_image(seen, image, _product(seen.factor, square))
            return doubts["probability"], doubts
        assert sight.maps is not None
        return self.model.maps_as_image(sight.maps, image, _product(sight.maps.factor, square)), None


def _product(first: Factor, second: Factor) -> Factor:
    return first[0] * second[0], first[1] * second[1]


@dataclass(frozen=True)
class DimJudge:
    """What weighs the dim finds of an image, whichever part of it they are from.

    Attributes
    ----------
    kind : what dim atoms are like; None where sure ones stand on no lattice, and nothing is weighed.
    """

    kind: DimAtoms | None

    def __call__(self, finds: Peaks) -> Peaks:
        if self.kind is None:
            return finds
        return replace(finds, probability=self.kind.weigh(finds.probability, finds.flux))


def middle(square: Array, factor: float, window: int) -> Array:
    """At most `window` working pixels a side of the middle of an image."""
    side = int(window / factor)
    top, left = ((n - min(n, side)) // 2 for n in square.shape)
    return square[top : top + side, left : left + side]
