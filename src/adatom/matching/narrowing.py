"""Recipes with narrower ranges: one value of each number, to simulate what was measured, or some around it."""

from dataclasses import dataclass
from typing import Any

from adatom.models.recipe import Recipe
from adatom.simulate.recipe import AnyAtoms

Range = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """How a number of a recipe is estimated and narrowed.

    Attributes
    ----------
    unit : as a reader wants it.
    floor : half-width of a range, which none is narrower than; a share of the value where `is_ratio`.
    is_ratio : whether the number is positive, and its errors are relative.
    is_variance : whether its square is what is measured, and may come out below 0.
    low, high : what the number may be.
    """

    unit: str
    floor: float
    is_ratio: bool = False
    is_variance: bool = False
    low: float = 0.0
    high: float = float("inf")


# What is estimated, by the name of the recipe's field; a material that lacks one does without.
FIELDS: dict[str, Field] = {
    "material.spacing_nm": Field("nm", 0.02, is_ratio=True),
    "material.height_b": Field("of A", 0.06, is_ratio=True),
    "material.height_corner": Field("of centre", 0.06, is_ratio=True),
    "material.height_faulted": Field("of the other half", 0.06, is_ratio=True),
    "material.contrast_exponent": Field("", 0.05, low=0.1),
    "material.height_spread": Field("of a height", 0.02, is_variance=True),
    "material.displacement_nm": Field("nm", 0.002, is_variance=True),
    "defects.vacancy": Field("of the sites", 0.01, high=1.0),
    "defects.substitution": Field("of the sites", 0.01, high=1.0),
    "microscope.scale": Field("", 0.01, is_ratio=True),
    "microscope.rotation_deg": Field("degrees", 2.0, low=-float("inf")),
    "microscope.stretch": Field("", 0.005, low=-0.5),
    "microscope.shear": Field("", 0.005, low=-0.5),
    "microscope.peak_width_nm": Field("nm", 0.03, is_ratio=True),
    "microscope.ellipticity": Field("", 0.03, low=1.0),
    "microscope.ellipticity_deg": Field("degrees", 5.0, low=-float("inf")),
    "microscope.counts_per_peak": Field("counts", 0.1, is_ratio=True),
    "microscope.noise": Field("heights", 0.08, is_ratio=True),
    "microscope.noise_correlation_px": Field("px", 0.05),
    "microscope.noise_lag": Field("", 0.02, high=0.95),
    "microscope.row_offset": Field("heights", 0.01, is_variance=True),
    "microscope.row_shift_nm": Field("nm", 0.001, is_variance=True),
    "microscope.streaks": Field("in 100 lines", 0.05),
    "microscope.tilt": Field("heights", 0.1, is_variance=True),
    "microscope.background": Field("heights", 0.1, is_ratio=True, is_variance=True),
    "microscope.background_size_nm": Field("nm", 0.15, is_ratio=True),
}
_DEVIATIONS = 3.0
_SEEN = 2.0  # deviations
_WIDEST = 0.5  # of a value: what is told no better than that is not known well enough to be varied by it
_ANY_DIRECTION = 25.0  # degrees: a direction that is no surer than that is any
# Of a recipe's range of dark levels the image says only the sum with the noise; so far around the one taken.
_DARK_SHARE = 0.3


@dataclass(frozen=True)
class Setting:
    """A number that an image has, and how sure it is (`std`, of its logarithm where its errors are relative)."""

    value: float
    std: float = 0.0

    def range_of(self, field: Field) -> Range:
        """The range that training should draw it from."""
        reach = max(_DEVIATIONS * self.std, field.floor)
        if field.is_ratio:
            reach = min(reach, _WIDEST)
            return self.value / (1 + reach), self.value * (1 + reach)
        return max(self.value - reach, field.low), min(self.value + reach, field.high)


def recipe_at(
    recipe: Recipe, settings: dict[str, Setting], *, is_point: bool, arrangement: str | None = None
) -> Recipe:
    """A recipe with `settings`, and without what the image does not show.

    Parameters
    ----------
    settings : by the name of the field; beside ``counts_per_peak`` also ``dark_level``.
    is_point : each number has its value in every image; else it has a range around it.
    arrangement : the only one left to a recipe of any atoms; None: all are.

    Raises
    ------
    pydantic.ValidationError : if a value cannot stand in a recipe.
    """
    content = recipe.model_dump(mode="json")
    material, defects, microscope = content["material"], content["defects"], content["microscope"]
    _leave_out_what_is_not_seen(material, defects, microscope)
    for name, setting in settings.items():
        part, key = name.split(".")
        if name not in FIELDS or key not in content[part]:
            continue
        if name == "microscope.ellipticity_deg" and not is_point and setting.std > _ANY_DIRECTION:
            continue
        if name == "microscope.streaks" and not is_point and setting.value < _SEEN * setting.std:
            setting = Setting(0.0)  # what noise alone looks like
        content[part][key] = list((setting.value,) * 2 if is_point else setting.range_of(FIELDS[name]))
    if "microscope.scale" in settings:  # and the stretch, which say it all
        microscope["strain"] = [0.0, 0.0]
    if "microscope.counts_per_peak" in settings:
        dark = settings["microscope.dark_level"].value
        microscope["counts_probability"] = 1.0
        microscope["dark_level"] = [dark, dark] if is_point else [dark / (1 + _DARK_SHARE), dark * (1 + _DARK_SHARE)]
    else:
        microscope["counts_per_peak"] = None
    microscope["row_offset_probability"] = 1.0 if settings["microscope.row_offset"].value > 0 else 0.0
    if isinstance(recipe.material, AnyAtoms):
        _set_any_atoms(material, microscope, settings, is_point, arrangement)
    return Recipe.model_validate(content)


def _leave_out_what_is_not_seen(material: dict[str, Any], defects: dict[str, Any], microscope: dict[str, Any]) -> None:
    """Things that hide atoms are added where an image has them; heights are counted on the image's own grey scale, and
    what no fit tells from a background is in the background.
    """
    defects |= {"vacancy_cluster": [0.0, 0.0], "island": [0.0, 0.0], "adsorbate": [0.0, 0.0]}
    defects |= {"step_probability": 0.0, "bare_probability": 0.0, "support": [0.0, 0.0]}
    microscope |= {"coarse_probability": 0.0, "halo": [0.0, 0.0], "waves_probability": 0.0}
    microscope |= {"tip_change_probability": 0.0, "gamma": [1.0, 1.0], "saturated_probability": 0.0}
    microscope |= {"border_probability": 0.0, "ellipticity_deg": None}


def _set_any_atoms(
    material: dict[str, Any],
    microscope: dict[str, Any],
    settings: dict[str, Setting],
    is_point: bool,
    arrangement: str | None,
) -> None:
    """Widths go with the distance of the atoms there, and lengths are those at the working scale."""
    width, spacing = settings["microscope.peak_width_nm"], settings["material.spacing_nm"]
    low, high = (width.value,) * 2 if is_point else width.range_of(FIELDS["microscope.peak_width_nm"])
    material["peak_width"] = [low / spacing.value, high / spacing.value]
    microscope["peak_width_nm"] = [low * 0.9, high * 1.1]
    microscope["scale"] = [1.0, 1.0]
    if arrangement is not None:
        material |= {"arrangements": {arrangement: 1.0}, "grains_probability": 0.0, "drift": [0.0, 0.0]}
