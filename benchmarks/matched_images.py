"""Images whose recipe is known to the last number, and how far the estimates of a match are from it.

Their backgrounds are no slower than a seventh of the image: slower ones and a tilt are told only together.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from adatom.data import make_image
from adatom.matching import Match
from adatom.matching.narrowing import FIELDS, Setting, recipe_at
from adatom.models import Recipe, load_recipe
from adatom.simulate import simulate_image

SIDE = 160  # px


@dataclass(frozen=True)
class KnownImage:
    """An image and the numbers that it was drawn with, by the name of the recipe's field."""

    image: xr.DataArray
    recipe: Recipe
    truth: dict[str, float]


def known_image(name: str, number: int, *, side: int = SIDE) -> KnownImage:
    """Image `number` of ``hexagonal_two_atoms``, ``si111_7x7`` or ``MoS2`` (a structure), with one value for each range
    of the recipe.
    """
    recipe = load_recipe(name)
    rng = np.random.default_rng([7, number])
    unit = recipe.microscope.pixel_size_nm
    truth = {
        "microscope.scale": 1.0,
        "microscope.rotation_deg": rng.uniform(0, 60),
        "microscope.stretch": rng.uniform(-0.03, 0.03),
        "microscope.shear": rng.uniform(-0.03, 0.03),
        "microscope.ellipticity": rng.uniform(1, 1.2),
        "microscope.ellipticity_deg": rng.uniform(0, 180),
        "microscope.noise": _log_uniform(rng, 0.03, 0.15),
        "microscope.noise_lag": rng.uniform(0, 0.2),
        "microscope.row_offset": 0.0 if number % 3 else rng.uniform(0.05, 0.2),
        "microscope.row_shift_nm": rng.uniform(0, 0.25) * unit,
        "microscope.streaks": 0.0,
        "microscope.tilt": rng.uniform(0, 4),
        "microscope.background": rng.uniform(0.05, 0.4),
        "defects.vacancy": rng.uniform(0, 0.05),
        "defects.substitution": rng.uniform(0, 0.03),
        "material.height_spread": rng.uniform(0.02, 0.1),
        "material.displacement_nm": rng.uniform(0, 0.3) * unit,
    }
    if name in ("hexagonal_two_atoms", "MoS2"):
        truth |= {
            "microscope.peak_width_nm": rng.uniform(0.04, 0.055),
            "microscope.background_size_nm": rng.uniform(0.4, 0.6),
        }
        if name == "MoS2":
            del truth["defects.substitution"]
            truth |= {"material.contrast_exponent": rng.uniform(1.5, 1.9)}
        else:
            truth |= {"material.height_b": rng.uniform(0.35, 0.8)}
        if number % 2:  # counted quanta, of which white noise between atoms cannot be told
            truth |= {"microscope.counts_per_peak": _log_uniform(rng, 10, 200), "microscope.dark_level": 0.3}
            truth |= {"microscope.noise": 0.001, "microscope.noise_correlation_px": 0.0}
    else:
        truth |= {
            "microscope.peak_width_nm": rng.uniform(0.15, 0.22),
            "microscope.background_size_nm": rng.uniform(2, 3),
            "material.height_corner": rng.uniform(0.9, 1.25),
            "material.height_faulted": rng.uniform(0.85, 1.25),
        }
    if "microscope.noise_correlation_px" not in truth:
        truth["microscope.noise_correlation_px"] = rng.uniform(0.4, 0.9) if number % 4 == 0 else 0.0
    point = recipe_at(recipe, {name: Setting(value) for name, value in truth.items()}, is_point=True)
    point = point.model_copy(update={"microscope": point.microscope.model_copy(update={"image_size": side})})
    image = simulate_image(point, seed=99, index=number).image.astype(float)
    return KnownImage(make_image(image, pixel_size=unit), recipe, truth)


def errors(known: KnownImage, matched: Match) -> dict[str, float]:
    """Errors of the estimates, of the logarithm where errors are relative, in their standard deviations.

    Left out is the noise beside counts, of which only the sum is told; angles are compared up to turns that change
    nothing.
    """
    found = matched.estimates.set_index("name")
    truth = dict(known.truth)
    turn = 120.0
    if "material.height_faulted" in truth:
        # of Si(111)-7x7 turned by 60 degrees only the halves have changed places
        turn = 60.0
        off = float(found.loc["microscope.rotation_deg", "value"]) - truth["microscope.rotation_deg"]
        if round(off / 60) % 2:
            truth["material.height_faulted"] = 1 / truth["material.height_faulted"]
    turns = {"microscope.rotation_deg": turn, "microscope.ellipticity_deg": 180.0}
    result = {}
    for name, true in truth.items():
        if name not in found.index or (
            name.startswith("microscope.noise") and "microscope.counts_per_peak" in known.truth
        ):
            continue
        if name == "microscope.tilt":
            true *= known.recipe.microscope.image_size / known.image.sizes["x"]
        if name == "microscope.scale":
            true *= matched.pixel_size_nm / known.recipe.microscope.pixel_size_nm
        value, std = float(found.loc[name, "value"]), float(found.loc[name, "std"])
        if FIELDS[name].is_ratio and value > 0 and std > 0:
            result[name] = float(np.log(value / true)) * value / std
            continue
        error = value - true
        if name in turns:
            error = (error + turns[name] / 2) % turns[name] - turns[name] / 2
        if std > 0 or error:
            result[name] = error / max(std, 1e-12)
    return result


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
