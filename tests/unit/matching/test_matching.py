"""What a match refuses, in one sentence each; and that the recipe it gives is one."""

import numpy as np
import pytest

import adatom as ad
from adatom.errors import ArgumentError, MissingFileError, ShapeError
from adatom.matching.narrowing import FIELDS, Setting, recipe_at
from adatom.models import load_recipe


def test_it_is_reached_from_all_three_doors():
    import adatom.matching
    import adatom.simulate

    assert adatom.simulate.match is adatom.matching.match is ad.match


def test_noise_without_atoms_a_constant_and_movies_are_refused():
    noise = np.random.default_rng(0).normal(size=(96, 96))
    with pytest.raises(ArgumentError, match=r"constant"):
        ad.match(ad.make_image(np.ones((64, 64))), "hexagonal_two_atoms")
    with pytest.raises(ShapeError, match=r"\(y, x\)"):
        ad.match(ad.make_image(np.stack([noise, noise])), "hexagonal_two_atoms")
    with pytest.raises(ShapeError, match="shape"):
        ad.match(ad.make_image(np.zeros((64, 64, 3, 1))), "hexagonal_two_atoms")
    with pytest.raises(ArgumentError, match=r"lattice|atoms"):
        ad.match(ad.make_image(noise), "hexagonal_two_atoms")


def test_a_recipe_must_be_one():
    image = ad.make_image(np.random.default_rng(0).normal(size=(64, 64)))
    with pytest.raises(MissingFileError, match="recipe"):
        ad.match(image, "no_such_recipe")
    with pytest.raises(ArgumentError, match="expected a Recipe"):
        ad.match(image, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["hexagonal_two_atoms", "si111_7x7", "any_atoms"])
def test_narrowed_recipes_are_valid_and_hold_the_values(name: str):
    recipe = load_recipe(name)
    settings = {field: Setting(facts.floor + max(facts.low, 0.1), 0.01) for field, facts in FIELDS.items()}
    settings["microscope.dark_level"] = Setting(0.3)
    narrow = recipe_at(recipe, settings, is_point=False, arrangement="honeycomb" if name == "any_atoms" else None)
    assert narrow.defects.island == (0, 0) and narrow.microscope.border_probability == 0
    low, high = narrow.microscope.tilt
    assert low <= settings["microscope.tilt"].value <= high
    low, high = narrow.material.height_spread
    assert high - low >= FIELDS["material.height_spread"].floor


def test_a_range_is_three_deviations_wide_but_no_less_than_the_floor():
    field = FIELDS["microscope.peak_width_nm"]
    assert Setting(1.0, 0.1).range_of(field) == pytest.approx((1 / 1.3, 1.3))
    assert Setting(1.0, 0.0).range_of(field) == pytest.approx((1 / 1.03, 1.03))
    assert Setting(0.0, 0.01).range_of(FIELDS["defects.vacancy"]) == (0.0, 0.03)


def test_a_wrong_pixel_size_is_told_with_the_one_that_fits():
    from benchmarks.matched_images import known_image

    known = known_image("MoS2", 5, side=128)
    pixel = known.recipe.microscope.pixel_size_nm
    wrong = ad.make_image(known.image.to_numpy(), pixel_size=1.4 * pixel)
    with pytest.raises(ArgumentError, match=rf"1\.4. times as large .* fit with {pixel:.2g}"):
        ad.match(wrong, known.recipe)
