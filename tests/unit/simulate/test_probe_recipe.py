"""What is said of a probe that is none."""

from typing import Any

import pytest
import yaml

from adatom.errors import RecipeError
from adatom.models.recipe import Recipe, load_recipe, parse_recipe

STEM = {"kind": "stem", "voltage_kv": [60, 80], "semi_angle_mrad": [25, 33], "source_nm": [0.02, 0.04]}
STM = {"kind": "stm", "tip_radius_nm": [0.2, 0.5]}


def with_probe(recipe: Recipe, probe: dict[str, Any], **microscope: Any) -> str:
    content = yaml.safe_load(recipe.to_yaml())
    content["microscope"] |= {"probe": probe} | microscope
    return yaml.safe_dump(content)


@pytest.mark.parametrize("probe", [STEM, STM])
def test_recipe_with_a_probe_survives_the_way_to_yaml_and_back(tiny_recipe, probe):
    recipe = parse_recipe(with_probe(tiny_recipe, probe))
    assert parse_recipe(recipe.to_yaml()) == recipe
    assert recipe.microscope.probe.kind == probe["kind"]


@pytest.mark.parametrize(
    ("probe", "told"),
    [
        ({"kind": "sem"}, "probe"),
        (STEM | {"voltage": [60, 60]}, "voltage"),
        (STEM | {"voltage_kv": [0, 60]}, "voltage_kv"),
        (STEM | {"semi_angle_mrad": [33, 25]}, "semi_angle_mrad"),
        (STEM | {"detector": "edx"}, "detector"),
        (STEM | {"bright_share": [0, 0.5]}, "bright_share"),
        (STEM | {"dose_e_per_a2": [0, 10]}, "dose_e_per_a2"),
        (STEM | {"flyback_nm": [0, 0.5], "flyback_length_nm": [0.2, 0.4]}, "flyback_nm"),
        (STEM | {"c3_um": [0, 1000]}, "c3_um"),
        (STM | {"tip_radius_nm": [100, 1000]}, "tip_radius_nm"),
        (STM | {"second_apex_nm": [1, 50], "second_apex_probability": 1}, "second_apex_nm"),
        (STM | {"bias_v": [-9, 9]}, "bias_v"),
        (STM | {"weight_filled": [[1, 1]]}, "weight_filled has one range for each of A, B"),
        (STM | {"second_apex_probability": 2}, "second_apex_probability"),
    ],
)
def test_wrong_value_is_told_by_its_key(tiny_recipe, probe, told):
    with pytest.raises(RecipeError, match=told):
        parse_recipe(with_probe(tiny_recipe, probe))


def test_a_probe_brings_its_own_dose(tiny_recipe):
    with pytest.raises(RecipeError, match="counts_per_peak is null beside a probe"):
        parse_recipe(with_probe(tiny_recipe, STEM, counts_per_peak=[5, 10]))


def test_widths_of_single_atoms_and_a_probe_contradict_each_other():
    content = with_probe(load_recipe("single_atoms"), STEM, counts_per_peak=None)
    with pytest.raises(RecipeError, match="width_spread"):
        parse_recipe(content)


def test_a_blurred_probe_reaches_farther(tiny_recipe):
    def reach(**values: Any) -> float:
        return parse_recipe(with_probe(tiny_recipe, STEM | values)).microscope.reach_nm

    assert reach(defocus_nm=[-30, 0]) > reach() + 0.5
    assert reach(drift_nm=[0, 2.0]) == pytest.approx(reach() + 2.0)
    assert tiny_recipe.microscope.reach_nm == 4 * 0.18
