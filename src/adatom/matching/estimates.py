"""Estimates with their errors: what is measured in an image, against the same measured in simulated images.

Numbers are changed until simulated images show what the image shows (indirect inference: Gourieroux, Monfort & Renault,
J. Appl. Econometrics 8, S85 (1993), 10.1002/jae.3950080507); how much simulated images of one truth scatter is how sure
the numbers are (parametric bootstrap: Efron & Tibshirani, An Introduction to the Bootstrap, 1993).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.matching.narrowing import FIELDS, Setting, recipe_at
from adatom.matching.observe import Numbers, Observation, Scene, observe, shared_noise
from adatom.matching.sites import Crystal
from adatom.models.recipe import Recipe
from adatom.simulate import simulate_image

Array = NDArray[np.float64]

_ROUNDS = (4, 4, 6)  # simulated images of each correction
_LAST = 16  # and of the last, which says how sure all is
_LARGEST = 256  # px, a side of them
_GEOMETRY = ("microscope.scale", "microscope.rotation_deg", "microscope.strain", "microscope.shear")
_LEAST_NOISE = 1e-3
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
    arrangement: str | None,
    seed: int = 0,
) -> dict[str, Setting]:
    """What the image says of the recipe's numbers, by the name of the field.

    Parameters
    ----------
    recipe : with the pixel size of the scene.
    tilt_px : side of the recipe's images in pixels of the scene, over which it states the tilt.
    """
    settings = _first(seen.numbers, recipe)
    side = int(np.clip(max(scene.raw.shape), 96, _LARGEST))
    share = side**2 / max(int(seen.resolved.sum()), 1)
    first = START
    for n_images in (*_ROUNDS, _LAST):
        point = recipe_at(recipe, settings, is_point=True, arrangement=arrangement)
        shown = [
            numbers
            for index in range(first, first + n_images)
            if (numbers := _simulated(point, crystal, side, tilt_px, seed, index)) is not None
        ]
        first += n_images
        if len(shown) < 2:
            break
        settings = _corrected(settings, seen.numbers, shown, share, recipe)
    return settings


def _first(numbers: Numbers, recipe: Recipe) -> dict[str, Setting]:
    """The numbers as they were read from the image; noise in the words of a recipe."""
    settings = {name: Setting(value) for name, value in numbers.items() if name in FIELDS and np.isfinite(value)}
    between = numbers["noise.between"] ** 2
    if "microscope.counts_per_peak" in settings and recipe.microscope.counts_per_peak is not None:
        settings |= _parted(between, settings["microscope.counts_per_peak"].value, recipe)
    else:
        settings.pop("microscope.counts_per_peak", None)
        settings["microscope.noise"] = Setting(max(float(np.sqrt(between)), _LEAST_NOISE))
    settings["microscope.noise_correlation_px"] = Setting(_correlation_length(numbers["noise.shared"]))
    return settings


def _parted(between: float, dose: float, recipe: Recipe) -> dict[str, Setting]:
    """Dark counts and noise whose variances make that between atoms: as much of it as can be is counts, as an image tells
    only the sum.
    """
    dark = float(np.clip(between * dose, *recipe.microscope.dark_level))
    noise = float(np.sqrt(max(between - dark / dose, _LEAST_NOISE**2)))
    return {"microscope.dark_level": Setting(dark), "microscope.noise": Setting(noise)}


def _correlation_length(shared: float) -> float:
    """Standard deviation [px] of the Gaussian that noise was smoothed with, from the share that neighbours have of it."""
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
    point: Recipe, crystal: Crystal | None, side: int, tilt_px: int, seed: int, index: int
) -> Numbers | None:
    """What a simulated image shows, looked at as the measured one was."""
    microscope = point.microscope.model_copy(update={"image_size": side})
    tilt = tuple(value * side / tilt_px for value in microscope.tilt)
    drawn = simulate_image(
        point.model_copy(update={"microscope": microscope.model_copy(update={"tilt": tilt})}), seed=seed, index=index
    )
    if len(drawn.x) < 12:
        return None
    scene = Scene(drawn.image.astype(float), np.column_stack([drawn.x, drawn.y]), microscope.pixel_size_nm)
    seen = observe(scene, image_size=tilt_px, crystal=crystal, start=None if crystal is None else _map(point, crystal))
    return None if seen is None else seen.numbers


def _map(point: Recipe, crystal: Crystal) -> Array:
    """From crystal to image, as a recipe without chance draws it."""
    del crystal
    microscope = point.microscope
    angle, shear, scale = np.deg2rad(microscope.rotation_deg[0]), microscope.shear[0], microscope.scale[0]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    mapped: Array = scale * turn @ np.array([[1.0, shear], [shear, 1.0]])
    return mapped


def _corrected(
    settings: dict[str, Setting], target: Numbers, shown: list[Numbers], share: float, recipe: Recipe
) -> dict[str, Setting]:
    """Numbers changed by what simulated images show too little of, with the errors that their scatter makes."""
    corrected = dict(settings)
    effective = np.sqrt(share + 1 / len(shown))
    for name, setting in settings.items():
        field = FIELDS.get(name)
        if field is None or name in ("microscope.noise", "microscope.noise_correlation_px"):
            continue
        values = np.array([numbers[name] for numbers in shown if np.isfinite(numbers.get(name, np.nan))])
        if len(values) < 2:
            continue
        if name == "microscope.rotation_deg":
            values = setting.value + (values - setting.value + 180) % 360 - 180
        if field.is_ratio and (values > 0).all():
            std = float(np.std(np.log(values), ddof=1)) * effective
            ratio = np.clip(target[name] / np.exp(np.log(values).mean()), 1 / _MOST_CHANGE, _MOST_CHANGE)
            value = setting.value if name in _GEOMETRY else setting.value * float(ratio)
        else:
            std = float(np.std(values, ddof=1)) * effective
            value = setting.value if name in _GEOMETRY else setting.value + target[name] - float(values.mean())
            if name == "defects.substitution":
                value = min(value, _MOST_CHANGE * target[name])
        corrected[name] = Setting(float(np.clip(value, field.low, field.high)), std)
    return corrected | _corrected_noise(settings, corrected, target, shown, effective, recipe)


def _corrected_noise(
    settings: dict[str, Setting],
    corrected: dict[str, Setting],
    target: Numbers,
    shown: list[Numbers],
    effective: float,
    recipe: Recipe,
) -> dict[str, Setting]:
    """Noise between atoms, and how far neighbouring pixels share it."""
    between = np.log([max(numbers["noise.between"], 1e-9) for numbers in shown])
    ratio = np.clip(max(target["noise.between"], 1e-9) / np.exp(between.mean()), 1 / _MOST_CHANGE, _MOST_CHANGE)
    std = float(between.std(ddof=1)) * effective
    noise, correlation = settings["microscope.noise"], settings["microscope.noise_correlation_px"]
    shared = np.array([numbers["noise.shared"] for numbers in shown])
    wanted, own = _correlation_length(target["noise.shared"]), _correlation_length(float(shared.mean()))
    length = float(np.clip(correlation.value + wanted - own, 0.0, _MOST_CORRELATION)) if wanted else 0.0
    lengths, shares = _shares_by_length()
    slope = float(np.interp(length, lengths, np.gradient(shares, lengths)))
    changed = {
        "microscope.noise_correlation_px": Setting(length, float(shared.std(ddof=1)) * effective / max(slope, 0.1))
    }
    if "microscope.counts_per_peak" not in settings:
        return changed | {"microscope.noise": Setting(max(noise.value * float(ratio), _LEAST_NOISE), std)}
    dark, dose = settings["microscope.dark_level"].value, settings["microscope.counts_per_peak"].value
    variance = (noise.value**2 + dark / dose) * float(ratio) ** 2
    parted = _parted(variance, corrected["microscope.counts_per_peak"].value, recipe)
    # the error is that of the sum: a small part of it is unknown by as much as the whole
    of_noise = min(std * variance / parted["microscope.noise"].value ** 2, 1.0)
    return changed | parted | {"microscope.noise": Setting(parted["microscope.noise"].value, of_noise)}
