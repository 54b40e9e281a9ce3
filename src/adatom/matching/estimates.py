"""Estimates with their errors: what is measured in an image, against the same measured in simulated images.

Numbers are changed until simulated images show what the image shows (indirect inference: Gourieroux, Monfort & Renault,
J. Appl. Econometrics 8, S85 (1993), 10.1002/jae.3950080507); how much simulated images of one truth scatter is how sure
the numbers are (parametric bootstrap: Efron & Tibshirani, An Introduction to the Bootstrap, 1993).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.errors import ArgumentError
from adatom.matching.narrowing import FIELDS, Setting, recipe_at
from adatom.matching.observe import Numbers, Observation, Scene, observe, shared_noise
from adatom.matching.sites import Crystal
from adatom.models.recipe import Recipe
from adatom.simulate import simulate_image
from adatom.simulate.recipe import AnyAtoms

Array = NDArray[np.float64]
FindAgain = Callable[[Array], Array]

_FEWEST = 12  # atoms
_ROUNDS = (4, 4, 8)  # simulated images of each correction
_LAST = 16  # and of the last, which says how sure all is
# Errors are so much larger than the scatter of so few images says: what was held fixed has some too.
_CAUTION = 1.25
_SIDES = (96, 320)  # px, of them: as large as the recipe's, for what it states of a whole image
_TURNS = {"microscope.rotation_deg": 360.0, "microscope.ellipticity_deg": 180.0}  # degrees that change nothing
_LEAST_NOISE = 1e-3
_MOST_DARK = 5.0  # peaks
_SLOW = 1.2  # spacings: what changes faster is no background
_MOST_CHANGE = 2.5  # of a ratio in a round
_MOST_CORRELATION = 3.0  # px
_WHITE = 0.04  # share of the noise that neighbours have in common, below which it is called white
START = 3 * 2**41  # of the numbers of simulated images, far from those that anybody trains on


def estimate(
    seen: Observation,
    scene: Scene,
    recipe: Recipe,
    crystal: Crystal | None,
    *,
    tilt_px: int,
    find_again: FindAgain,
    arrangement: str | None,
    seed: int,
) -> dict[str, Setting]:
    """What the image says of the recipe's numbers, by the name of the field.

    Parameters
    ----------
    recipe : with the pixel size of the scene.
    tilt_px : side of the recipe's images in pixels of the scene, over which it states the tilt.
    find_again : finds the atoms of a simulated image as those of the image were found.

    Raises
    ------
    ArgumentError : if the atoms of images that are simulated so are not found again.
    """
    settings = _first(seen.numbers, recipe)
    side = int(np.clip(tilt_px, *_SIDES))
    share = side**2 / max(int(seen.resolved.sum()), 1)
    first = START
    for n_images in (*_ROUNDS, _LAST):
        point = recipe_at(recipe, settings, is_point=True, arrangement=arrangement)
        shown = [
            numbers
            for index in range(first, first + n_images)
            if (numbers := _simulated(point, crystal, side, tilt_px, find_again, seed, index)) is not None
        ]
        first += n_images
        if len(shown) < 2:
            raise ArgumentError(
                f"recipe: expected one whose images can be matched, got {recipe.name}: in images simulated with what "
                "was measured no atoms stand on its sites. Choose a recipe of the material that the image shows."
            )
        settings = _corrected(settings, seen.numbers, shown, share, recipe)
    for name in ("defects.vacancy", "defects.substitution"):
        if name in settings:  # none of so many is no proof that there are none
            settings[name] = Setting(settings[name].value, max(settings[name].std, 1 / len(scene.positions)))
    return settings | _slow_ones(settings, scene, seen, recipe)


def _slow_ones(settings: dict[str, Setting], scene: Scene, seen: Observation, recipe: Recipe) -> dict[str, Setting]:
    """The background's numbers with errors that say how few of its waves an image holds.

    What is as slow as the image has been levelled out of it, so simulated images of a fast background, wrongly thought
    to be one, would scatter too little. The waves are counted between the length found and the recipe's longest.
    """
    size = settings.get("microscope.background_size_nm")
    if size is None or "microscope.background" not in settings:
        return {}
    length = np.sqrt(size.value * max(recipe.microscope.background_size_nm[1], size.value)) / scene.pixel_nm
    n_waves = seen.resolved.sum() / (4 * np.pi * length**2)  # areas over which a Gaussian field is one
    least = min(1.0, 1 / float(np.sqrt(2 * max(n_waves, 0.5))))
    return {
        name: Setting(settings[name].value, max(settings[name].std, least))
        for name in ("microscope.background", "microscope.background_size_nm")
    }


def _first(numbers: Numbers, recipe: Recipe) -> dict[str, Setting]:
    """The numbers as they were read from the image; noise in the words of a recipe."""
    settings = {}
    for name, value in numbers.items():
        if name in FIELDS and np.isfinite(value):
            settings[name] = Setting(float(np.sqrt(max(value, 0.0))) if FIELDS[name].is_variance else value)
    settings["microscope.noise_lag"] = Setting(float(np.clip(numbers["microscope.noise_lag"], 0.0, 0.9)))
    slowest = "microscope.background_size_nm"
    if slowest in settings:
        settings[slowest] = Setting(max(settings[slowest].value, _finest_background(numbers, recipe)))
    # so many streaks as a recipe has at most: more are something else
    streaks = "microscope.streaks"
    if streaks in settings:
        settings[streaks] = Setting(min(settings[streaks].value, recipe.microscope.streaks[1]))
    length = _correlation_length(numbers["noise.shared"])
    settings["microscope.noise_correlation_px"] = Setting(length)
    dose = None
    if numbers["noise.sure_gain"] > 0 and recipe.microscope.counts_per_peak is not None:
        dose = 1 / numbers["noise.gain"]
        settings["microscope.counts_per_peak"] = Setting(dose)
    return settings | _parted(numbers["noise.between"] ** 2, dose, length, recipe)


def _finest_background(numbers: Numbers, recipe: Recipe) -> float:
    """Length [nm] below which nothing is background: what no Gaussian describes looks like one as fast as atoms."""
    return max(_SLOW * numbers["material.spacing_nm"], recipe.microscope.background_size_nm[0])


def _parted(between: float, dose: float | None, correlation: float, recipe: Recipe) -> dict[str, Setting]:
    """Dark counts and noise whose variances make that between atoms, of which an image tells only the sum.

    As much of it as can be is counts; or noise, if neighbouring pixels share it, as they share no counts.
    """
    if dose is None:
        return {"microscope.noise": Setting(max(float(np.sqrt(between)), _LEAST_NOISE))}
    least = min(recipe.microscope.dark_level)
    dark = least if correlation else float(np.clip(between * dose, least, _MOST_DARK))
    noise = float(np.sqrt(max(between - dark / dose, _LEAST_NOISE**2)))
    return {"microscope.dark_level": Setting(dark), "microscope.noise": Setting(noise)}


def _correlation_length(shared: float) -> float:
    """Standard deviation [px] of the Gaussian that noise was smoothed with, from what neighbours share of it."""
    return float(np.interp(shared, *_shares_by_length()[::-1])) if shared > _WHITE else 0.0


@cache
def _shares_by_length() -> tuple[Array, Array]:
    """Lengths [px] and the share (see `observe`) of noise that was smoothed with a Gaussian of each."""
    lengths = np.concatenate([[0.0], np.arange(0.3, _MOST_CORRELATION, 0.05)])
    return lengths, np.array([shared_noise(_smoothed_impulse(length)) for length in lengths])


def _smoothed_impulse(length: float) -> Array:
    impulse = np.zeros((41, 41))
    impulse[20, 20] = 1.0
    return ndimage.gaussian_filter(impulse, length) if length else impulse


def _simulated(
    point: Recipe, crystal: Crystal | None, side: int, tilt_px: int, find_again: FindAgain, seed: int, index: int
) -> Numbers | None:
    """What a simulated image shows, looked at as the measured one was."""
    microscope = point.microscope.model_copy(update={"image_size": side})
    tilt = tuple(value * side / tilt_px for value in microscope.tilt)
    drawn = simulate_image(
        point.model_copy(update={"microscope": microscope.model_copy(update={"tilt": tilt})}), seed=seed, index=index
    )
    values = drawn.image.astype(float)
    positions = find_again(values)
    if len(positions) < (2 if crystal is None else _FEWEST):
        return None
    scene = Scene(values, positions, microscope.pixel_size_nm)
    seen = observe(scene, image_size=tilt_px, crystal=crystal, start=None if crystal is None else _map(point, crystal))
    return None if seen is None else seen.numbers


def _map(point: Recipe, crystal: Crystal) -> Array:
    """From crystal to image, as a recipe without chance draws it."""
    microscope = point.microscope
    angle, scale = np.deg2rad(microscope.rotation_deg[0]), microscope.scale[0]
    if isinstance(point.material, AnyAtoms):
        scale = point.material.spacing_nm[0] / (crystal.spacing * microscope.pixel_size_nm)
    shear, stretch = microscope.shear[0], microscope.stretch[0]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    mapped: Array = scale * turn @ np.array([[1.0 + stretch, shear], [shear, 1.0 - stretch]])
    return mapped


def _corrected(
    settings: dict[str, Setting], target: Numbers, shown: list[Numbers], share: float, recipe: Recipe
) -> dict[str, Setting]:
    """Numbers changed by what simulated images show too little of, with the errors that their scatter makes."""
    corrected = dict(settings)
    effective = _CAUTION * np.sqrt(share + 1 / len(shown))
    for name, setting in settings.items():
        field = FIELDS.get(name)
        values = np.array([numbers[name] for numbers in shown if np.isfinite(numbers.get(name, np.nan))])
        if field is None or len(values) < 2 or name not in target:
            continue
        if name in _TURNS:
            turn = _TURNS[name]
            values = target[name] + (values - target[name] + turn / 2) % turn - turn / 2
        is_ratio = field.is_ratio and bool((values > 0).all()) and target[name] > 0
        shown_values = np.log(values) if is_ratio else values
        std = float(np.std(shown_values, ddof=1)) * effective
        if field.is_variance and field.is_ratio:  # a positive number, seen on top of what noise makes
            ratio = np.clip(max(target[name], 0.0) / float(values.mean()), 1 / _MOST_CHANGE, _MOST_CHANGE)
            value = setting.value * float(np.sqrt(ratio))
            std = min(0.5 * std * float(values.mean()) / value**2, 1.0)
        elif is_ratio:
            ratio = np.clip(target[name] / np.exp(shown_values.mean()), 1 / _MOST_CHANGE, _MOST_CHANGE)
            value = setting.value * float(ratio)
        elif field.is_variance:
            variance = max(setting.value**2 + target[name] - float(values.mean()), 0.0)
            value = float(np.sqrt(variance))
            std = std / (value + np.sqrt(variance + std))
        else:
            value = setting.value + target[name] - float(values.mean())
            if name == "defects.substitution":  # where few are seen nobody knows how many are not
                value = min(value, max(target[name], recipe.defects.substitution[1]))
        low = _finest_background(target, recipe) if name == "microscope.background_size_nm" else field.low
        high = recipe.microscope.streaks[1] if name == "microscope.streaks" else field.high
        if name == "microscope.streaks" and value > high:
            value = 0.0  # so many would be no streaks
        corrected[name] = Setting(float(np.clip(value, low, high)), std)
    return corrected | _corrected_noise(settings, corrected, target, shown, effective, recipe)


def _corrected_noise(
    settings: dict[str, Setting],
    corrected: dict[str, Setting],
    target: Numbers,
    shown: list[Numbers],
    effective: float,
    recipe: Recipe,
) -> dict[str, Setting]:
    """Noise between atoms, how it grows on them, and how far neighbouring pixels share it."""
    between = np.log([max(numbers["noise.between"], 1e-9) for numbers in shown])
    ratio = float(np.clip(max(target["noise.between"], 1e-9) / np.exp(between.mean()), 1 / _MOST_CHANGE, _MOST_CHANGE))
    std = float(between.std(ddof=1)) * effective
    noise, correlation = settings["microscope.noise"], settings["microscope.noise_correlation_px"]
    shared = np.array([numbers["noise.shared"] for numbers in shown])
    lengths, shares = _shares_by_length()
    length = 0.0
    if target["noise.shared"] > _WHITE:
        own = float(np.interp(correlation.value, lengths, shares))
        length = _correlation_length(float(np.clip(own + target["noise.shared"] - shared.mean(), 0, shares[-1])))
    slope = float(np.interp(length, lengths, np.gradient(shares, lengths)))
    changed = {
        "microscope.noise_correlation_px": Setting(length, float(shared.std(ddof=1)) * effective / max(slope, 0.1))
    }
    dose, variance = None, noise.value**2
    if "microscope.counts_per_peak" in settings:
        old = settings["microscope.counts_per_peak"].value
        gains = np.array([numbers["noise.gain"] for numbers in shown])
        gain = float(np.clip(1 / old + target["noise.gain"] - gains.mean(), 1 / old / _MOST_CHANGE, _MOST_CHANGE / old))
        dose = 1 / gain
        changed["microscope.counts_per_peak"] = Setting(dose, float(gains.std(ddof=1)) * effective / gain)
        variance += settings["microscope.dark_level"].value / old
    parted = _parted(variance * ratio**2, dose, length, recipe)
    if dose is None:
        return changed | {"microscope.noise": Setting(parted["microscope.noise"].value, std)}
    return changed | parted
