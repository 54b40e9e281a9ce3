"""Match the experiment: a recipe whose simulated images look like a measured one."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from pydantic import ValidationError

from adatom.analyse import find_bright_lattice
from adatom.analyse.sublattices import honeycomb_sublattices
from adatom.data import check_image, make_image, nearest_distances, pixel_size_nm
from adatom.errors import ArgumentError, RecipeError, ShapeError
from adatom.finder import Finding, search
from adatom.matching.estimates import FindAgain, estimate
from adatom.matching.narrowing import FIELDS, Setting, recipe_at
from adatom.matching.observe import Observation, Scene, observe
from adatom.matching.sites import Crystal, draw_crystal
from adatom.matching.two_sample import Crops, TwoSampleTest, cut_crops, tell_apart
from adatom.models.recipe import Recipe, first_problem, load_recipe
from adatom.prepare import resample
from adatom.prepare.level import level_plane
from adatom.simulate import simulate_image
from adatom.simulate.recipe import AnyAtoms, ImageRecipe
from adatom.simulate.structure_recipe import Structure

Array = NDArray[np.float64]

_FEWEST = 30  # atoms
_CROP = 4.0  # spacings, a side of the crops that are compared
_CROP_PX = (16, 48)
_FINEST = 0.5  # pixels of the recipe in a pixel of the scene
_WRONG_SCALE = 0.25  # no drift stretches so much: the pixel size is wrong
_SAME = 0.02  # from which on pixels differ
# What a recipe need not have had; that an image has it is no warning.
_ALWAYS_ITS_OWN = (
    "microscope.rotation_deg",
    "microscope.scale",
    "microscope.stretch",
    "microscope.noise_lag",
    "microscope.ellipticity_deg",
)
COMPARED_START = 5 * 2**40  # of the numbers of the images that are compared with the measured one


@dataclass
class Match:
    """A recipe matched to an image, and how well.

    Attributes
    ----------
    recipe : the narrowed recipe.
    estimates : one row a number: ``value``, ``std``, ``unit``, ``old_low``, ``old_high``, ``new_low``, ``new_high``.
    before, after : whether simulated crops can be told from the image's, by the old recipe and by the new one.
    factor : pixels of the recipe's images in a pixel of the image.
    pixel_size_nm : of the image, as the recipe's lattice or the image's calibration has it.
    real, simulated_before, simulated_after : crops that were compared.
    warnings : sentences.
    """

    recipe: Recipe
    estimates: pd.DataFrame
    before: TwoSampleTest
    after: TwoSampleTest
    factor: float
    pixel_size_nm: float
    real: Crops
    simulated_before: Crops
    simulated_after: Crops
    warnings: list[str] = field(default_factory=list)

    def crops(self) -> tuple[Array, Array, Array]:
        """Crops (n, y, x) that were compared: real ones, simulated ones before and after."""
        return self.real.values, self.simulated_before.values, self.simulated_after.values

    def summary(self) -> dict[str, Any]:
        """What ``match.json`` holds."""
        return {
            "recipe": self.recipe.name,
            "factor": self.factor,
            "pixel_size_nm": self.pixel_size_nm,
            "working_pixel_size_nm": self.recipe.microscope.pixel_size_nm,
            "two_sample": {"before": vars(self.before), "after": vars(self.after)},
            "estimates": self.estimates.astype(object).where(self.estimates.notna(), None).to_dict(orient="records"),
            "warnings": self.warnings,
        }


def match(image: xr.DataArray, recipe: Recipe | str | Path, *, seed: int = 0) -> Match:
    """Narrow the ranges of a recipe around what an image shows.

    Parameters
    ----------
    image : (y, x).
    recipe : a recipe, its file, or the name of one that ships; of the material that the image shows, or of any atoms.
    seed : of the simulated images by which estimates are corrected, and of those that are compared.

    Returns
    -------
    A recipe with ranges of three standard deviations around the estimates, but no narrower than a floor; the estimates;
    and how well simulated images can be told from the measured one before and after.

    Raises
    ------
    ShapeError, ArgumentError, RecipeError : on bad input, saying what is wrong.
    """
    image = check_image(image)
    if image.dims != ("y", "x"):
        raise ShapeError(f"image: expected one image (y, x), got {image.dims}. Choose a channel and a frame.")
    if isinstance(recipe, (str, Path)):
        recipe = load_recipe(recipe)
    if not isinstance(recipe, Recipe):
        raise ArgumentError(f"recipe: expected a Recipe, a file or a name, got {type(recipe).__name__}.")
    known = image.to_numpy()[np.isfinite(image.to_numpy())]
    if not known.size or np.ptp(known) == 0:
        raise ArgumentError("image: expected one that shows atoms, got a constant. Choose another channel.")
    finding = search(image)
    if len(finding.atoms) < _FEWEST:
        raise ArgumentError(
            f"image: expected at least {_FEWEST} atoms to match a recipe to, found {len(finding.atoms)}. "
            "Give a larger image, or look at what adatom find shows."
        )
    warnings: list[str] = []
    sign = -1.0 if finding.summary["contrast"] == "dark" else 1.0
    if sign < 0:
        warnings.append("Atoms are dark in this image: the recipe is matched to its negative.")
    seen = _at_working_scale(image, finding, recipe, sign)
    arrangement = _arrangement(finding, seen) if isinstance(recipe.material, AnyAtoms) else None
    crystal = _crystal(recipe, seen, arrangement)
    if crystal is None and recipe.material.lattice_constant_nm is not None:
        raise ArgumentError(f"image: expected the lattice of the recipe {recipe.name}, found none among its atoms.")
    size = round(recipe.microscope.image_size / seen.factor)  # of the recipe's images in pixels of the scene
    observed = (
        observe(seen.scene, image_size=size, crystal=crystal, measured=seen.vectors)
        if crystal is None or seen.vectors is not None
        else None
    )
    if observed is None:
        raise ArgumentError(
            f"image: expected the atoms of the recipe {recipe.name}, found {len(finding.atoms)} that do not stand on "
            "its sites. Choose a recipe of the material that the image shows, or any_atoms."
        )
    scale = observed.numbers.get("microscope.scale", 1.0)
    if recipe.material.lattice_constant_nm is not None and abs(scale - 1) > _WRONG_SCALE:
        raise ArgumentError(
            f"image: expected the lattice of the recipe {recipe.name}, got one {scale:.2f} times as large by the pixel "
            f"size of {seen.pixel_nm:.4g} nm. It would fit with {seen.pixel_nm / scale:.4g} nm: give --pixel-size NM."
        )
    measuring = _with_pixel(recipe, seen.scene.pixel_nm)
    settings = estimate(
        observed,
        seen.scene,
        measuring,
        crystal,
        tilt_px=size,
        find_again=_finder_of(finding, seen, recipe),
        arrangement=arrangement,
        seed=seed,
    )
    try:
        narrow = recipe_at(measuring, settings, is_point=False, arrangement=arrangement)
    except ValidationError as error:
        raise RecipeError(f"recipe: what the image shows cannot stand in one ({first_problem(error)}).") from error
    matched = _finished(narrow, recipe, observed, seen, size)
    table = _table(settings, recipe, matched, warnings)

    spacing_px = seen.spacing_px * seen.scene.pixel_nm / recipe.microscope.pixel_size_nm
    side = int(np.clip(round(_CROP * spacing_px), *_CROP_PX))
    real = cut_crops([level_plane(resample(seen.scene.raw, (seen.factor,) * 2)[0])], side)
    old, new = (_simulated_crops(each, side, len(real.values), seed) for each in (recipe, matched))
    return Match(
        matched,
        table,
        tell_apart(real, old, seed=seed),
        tell_apart(real, new, seed=seed),
        seen.pixel_nm / recipe.microscope.pixel_size_nm,
        seen.pixel_nm,
        real,
        old,
        new,
        warnings,
    )


@dataclass(frozen=True)
class _Seen:
    """The image as it is measured, on its own pixels unless these are very fine.

    Attributes
    ----------
    scene : image and atoms.
    vectors : (2, 2) of the atoms' lattice [px of the scene], or None.
    flux : (n,) of the atoms.
    factor : pixels of the recipe in a pixel of the scene.
    pixel_nm : size of the image's pixels in nm.
    """

    scene: Scene
    vectors: Array | None
    flux: Array
    factor: float
    pixel_nm: float

    @property
    def spacing_px(self) -> float:
        return float(np.median(nearest_distances(self.scene.positions)))


def _at_working_scale(image: xr.DataArray, finding: Finding, recipe: Recipe, sign: float) -> _Seen:
    atoms, size = finding.atoms, pixel_size_nm(image)
    step = np.array((1.0, 1.0) if size is None else (size[1], size[0]))
    position = atoms[["x", "y"]].to_numpy() / step  # px of the image
    aspect = np.array([1.0, 1.0]) if size is None else step / step.min()
    square = position * aspect
    flux = atoms["flux"].to_numpy()
    lattice = find_bright_lattice(square[:, 0], square[:, 1], flux)
    constant, microscope = recipe.material.lattice_constant_nm, recipe.microscope
    pixel_nm = None if size is None else float(step.min())
    if constant is not None and (pixel_nm is None or microscope.scale_from != "calibration"):
        if lattice is None:
            raise ArgumentError(f"image: expected the lattice of the recipe {recipe.name}, found none among its atoms.")
        pixel_nm = constant / lattice.edge
    elif isinstance(recipe.material, AnyAtoms):
        pixel_nm = float(finding.summary["working_factor"]) * microscope.pixel_size_nm
    elif pixel_nm is None:
        raise ArgumentError(
            f"image: expected a pixel size for the recipe {recipe.name}, whose atoms form no lattice, got none. "
            "Give --pixel-size NM (pixel_size= in adatom.read)."
        )
    factor = pixel_nm / microscope.pixel_size_nm
    # an image of very fine pixels is no better for them
    wanted = min(1.0, factor / _FINEST)
    values = sign * image.to_numpy().astype(float)
    raw, true = resample(values, (wanted * aspect[1], wanted * aspect[0]))
    scene = Scene(raw, (position + 0.5) * [true[1], true[0]] - 0.5, pixel_nm / wanted)
    return _Seen(scene, None if lattice is None else lattice.vectors * wanted, flux, factor / wanted, pixel_nm)


def _finder_of(finding: Finding, seen: _Seen, recipe: Recipe) -> FindAgain:
    """Finds atoms [px] in simulated images of the scene's scale as they were found in the image."""
    # a model of one material goes by nm, which are only nominal in a recipe of any atoms
    model = "any_atoms" if isinstance(recipe.material, AnyAtoms) else finding.summary["model"]
    spacing_nm = seen.spacing_px * seen.scene.pixel_nm

    def find_again(values: Array) -> Array:
        image = make_image(values, pixel_size=seen.scene.pixel_nm)
        atoms = search(image, model=model, spacing_nm=spacing_nm, contrast="bright", refine=False).atoms
        positions: Array = atoms[["x", "y"]].to_numpy() / seen.scene.pixel_nm
        return positions

    return find_again


def _arrangement(finding: Finding, seen: _Seen) -> str | None:
    """Which arrangement of the generator the atoms have, if that is plain."""
    if finding.summary["model"] == "si111_7x7":
        return "si111_7x7"
    if honeycomb_sublattices(seen.scene.positions) is not None:
        return "honeycomb"
    lattice = find_bright_lattice(seen.scene.positions[:, 0], seen.scene.positions[:, 1], seen.flux)
    if lattice is None:
        return None
    if lattice.is_hexagonal and abs(lattice.edge / seen.spacing_px - 1) < 0.1:
        return "hexagonal"
    if not lattice.is_hexagonal and lattice.angle_deg > 80 and lattice.stretch < 1.1:
        return "square"
    return None


def _crystal(recipe: Recipe, seen: _Seen, arrangement: str | None) -> Crystal | None:
    if recipe.material.lattice_constant_nm is None and arrangement is None:
        return None
    spacing = seen.spacing_px * seen.scene.pixel_nm
    settings = {
        name: Setting(0.0)
        for name in FIELDS
        if name.split(".")[1]
        in ("height_spread", "displacement_nm", "vacancy", "substitution", "row_offset", "rotation_deg", "shear")
    }
    settings |= {"microscope.scale": Setting(1.0), "microscope.stretch": Setting(0.0)}
    settings |= {"material.spacing_nm": Setting(spacing)}
    settings |= {"microscope.peak_width_nm": Setting(float(np.mean(recipe.microscope.peak_width_nm)))}
    ideal: ImageRecipe = recipe_at(recipe, settings, is_point=True, arrangement=arrangement)
    material = ideal.material.model_dump()
    for name in ("height_b", "height_corner", "height_faulted", "contrast_exponent"):
        if name in material:
            low, high = material[name]
            material[name] = ((low + high) / 2,) * 2
    if isinstance(ideal.material, Structure):
        material |= {"point_defects": [], "line_defects": [], "grains": None, "second_layer": None, "particles": None}
        material |= {"thickness_change": (0.0, 0.0), "tilt_deg": (0.0, 0.0)}
    ideal = ideal.model_copy(update={"material": type(ideal.material).model_validate(material)})
    side = 1.9 * max(seen.scene.raw.shape)
    return draw_crystal(ideal, side_px=side, pixel_nm=seen.scene.pixel_nm)


def _with_pixel(recipe: Recipe, pixel_nm: float) -> Recipe:
    return recipe.model_copy(
        update={"microscope": recipe.microscope.model_copy(update={"pixel_size_nm": pixel_nm, "coarse_probability": 0})}
    )


def _finished(narrow: Recipe, recipe: Recipe, observed: Observation, seen: _Seen, size: int) -> Recipe:
    """The narrowed recipe at its own working scale, with the islands that the image shows, under a name of its own."""
    content = narrow.model_dump(mode="json")
    microscope = content["microscope"]
    microscope["pixel_size_nm"] = recipe.microscope.pixel_size_nm
    if abs(seen.factor - 1) > _SAME:
        # measured on the image's own pixels, finer or coarser ones, and resampled as the image is
        microscope["coarse_probability"] = 1.0
        microscope["coarseness"] = [seen.factor, seen.factor]
        # lines of another width: their shifts average out, or do not
        microscope["row_shift_nm"] = [shift * np.sqrt(seen.factor) for shift in microscope["row_shift_nm"]]
    content["name"] = f"{recipe.name}-matched"
    content["description"] = f"{recipe.description} Matched to an image.".strip()
    content["defects"] |= _islands(observed, seen, size)
    return Recipe.model_validate(content)


def _islands(observed: Observation, seen: _Seen, size: int) -> dict[str, Any]:
    """Ranges of the islands, from where no atom is resolved."""
    hidden = ~observed.resolved & np.isfinite(seen.scene.raw)
    if hidden.mean() < 0.02:
        return {}
    flat = level_plane(seen.scene.raw)
    ground = float(np.median(flat[observed.resolved]))
    smooth = (flat[hidden] - ground) / observed.height
    low, high = np.quantile(smooth, [0.25, 0.9])
    if high <= 0.1:
        return {}
    step = max(1, size // 2)
    shares = np.array(
        [
            hidden[row : row + size, column : column + size].mean()
            for row in range(0, max(1, hidden.shape[0] - size + 1), step)
            for column in range(0, max(1, hidden.shape[1] - size + 1), step)
        ]
    )
    low = max(float(low), 0.1)
    return {
        "island": [0.0, float(shares.max())],
        "island_probability": float((shares > 0.02).mean()),
        "island_height": [low, max(float(high), low)],
    }


def _table(settings: dict[str, Setting], old: Recipe, new: Recipe, warnings: list[str]) -> pd.DataFrame:
    """One row an estimate; warns of those outside of the range that the recipe had."""
    rows = []
    for name, facts in FIELDS.items():
        part, key = name.split(".")
        before, after = getattr(getattr(old, part), key, None), getattr(getattr(new, part), key, None)
        # beside counts only the sum of noise and dark counts is told: that is no estimate of either
        is_split = name == "microscope.noise" and new.microscope.counts_per_peak is not None
        # and lengths of any atoms are told by their distance alone
        is_split |= name == "microscope.scale" and isinstance(old.material, AnyAtoms)
        if name not in settings or after is None or is_split:
            continue
        setting = settings[name]
        std = setting.std * setting.value if facts.is_ratio else setting.std
        rows.append(
            {
                "name": name,
                "value": setting.value,
                "std": std,
                "unit": facts.unit,
                "old_low": None if before is None else before[0],
                "old_high": None if before is None else before[1],
                "new_low": after[0],
                "new_high": after[1],
            }
        )
        if before is not None and name not in _ALWAYS_ITS_OWN:
            beyond = max(before[0] - abs(setting.value) - 3 * std, abs(setting.value) - 3 * std - before[1])
            if beyond > 0:
                warnings.append(
                    f"{name} is {setting.value:.3g} in this image, outside of the recipe's range "
                    f"{before[0]:g} to {before[1]:g}: a model trained on that recipe has not seen the like."
                )
    return pd.DataFrame(rows)


def _simulated_crops(recipe: Recipe, side: int, n: int, seed: int) -> Crops:
    """At least `n` crops of a recipe's images, a few of each."""
    n_images = max(8, -(-n // 4))
    images = [
        level_plane(simulate_image(recipe, seed=seed, index=COMPARED_START + index).image.astype(float))
        for index in range(n_images)
    ]
    crops = cut_crops(images, side)
    rng = np.random.default_rng(seed)
    most = max(4, -(-n // n_images))
    kept = [rng.permutation(np.flatnonzero(crops.image == number))[:most] for number in range(n_images)]
    return crops.of(np.sort(np.concatenate(kept)))
