"""Crystals with defects, grains, a second layer, particles: what is drawn, and what is known of it."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial import cKDTree

from adatom.models.recipe import Recipe
from adatom.models.starting_recipe import recipe_of
from adatom.simulate import simulate_image
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.probe_recipe import StemProbe
from adatom.simulate.specimen import draw_specimen
from adatom.simulate.structure_recipe import Structure

SULPHUR_VACANCY = {"name": "V_S", "site": "S2", "becomes": {"S": 1}, "share": [0.1, 0.1]}
FIXED: dict[str, Any] = {
    "contrast_exponent": [2.0, 2.0],
    "height_spread": [0.0, 0.0],
    "displacement_nm": [0.0, 0.0],
}


def recipe_for(**material: Any) -> Recipe:
    """Without anything that hides atoms or blurs what is known of them."""
    recipe = recipe_of(Structure(kind="structure", **{"structure": "WS2", **FIXED, **material}), "test")
    plain = {"scale": (1.0, 1.0), "strain": (0.0, 0.0), "shear": (0.0, 0.0), "rotation_deg": (0.0, 0.0)}
    return recipe.model_copy(
        update={
            "defects": type(recipe.defects)(),
            "microscope": recipe.microscope.model_copy(update={**plain, "image_size": 256}),
        }
    )


def drawn(recipe: Recipe, seed: int = 0) -> Specimen:
    return draw_specimen(recipe, np.random.default_rng(seed))


def test_columns_are_as_bright_as_the_squares_of_their_atomic_numbers() -> None:
    specimen = drawn(recipe_for())
    assert set(np.round(specimen.height[specimen.species == 0], 6)) == {1.0}
    sulphur = specimen.height[specimen.species == 1]
    np.testing.assert_allclose(sulphur, 2 * 16**2 / 74**2)
    assert len(sulphur) == pytest.approx((specimen.species == 0).sum(), rel=0.05)


def test_point_defects_are_as_many_as_the_recipe_says_and_known_as_a_class_and_a_number() -> None:
    recipe = recipe_for(
        point_defects=[
            SULPHUR_VACANCY,
            {"name": "V_S2", "site": "S2", "becomes": {}, "share": [0.05, 0.05]},
            {"name": "Mo_W", "site": "W", "becomes": {"Mo": 1}, "share": [0.2, 0.2]},
        ]
    )
    assert recipe.material.classes == ("W", "S2", "V_S", "V_S2", "Mo_W")
    many = [drawn(recipe, seed) for seed in range(6)]
    species = np.concatenate([one.species for one in many])
    height = np.concatenate([one.height for one in many])
    defect = np.concatenate([one.defect for one in many if one.defect is not None])
    n = np.bincount(species, minlength=5)
    sites = n[1] + n[2] + n[3]
    assert n[2] / sites == pytest.approx(0.1, abs=0.015)
    assert n[3] / (0.9 * sites) == pytest.approx(0.05, abs=0.012)  # of those that are left
    assert n[4] / (n[0] + n[4]) == pytest.approx(0.2, abs=0.02)
    np.testing.assert_array_equal(defect, np.array([0, 0, 1, 2, 3])[species])
    np.testing.assert_allclose(height[species == 2], 16**2 / 74**2)
    np.testing.assert_allclose(height[species == 3], 0.0)
    np.testing.assert_allclose(height[species == 4], 42**2 / 74**2)


def test_an_empty_site_that_is_no_class_is_nothing() -> None:
    missing = {"name": "V_W", "site": "W", "becomes": {}, "share": [0.3, 0.3], "is_class": False}
    recipe = recipe_for(point_defects=[missing])
    specimen = drawn(recipe)
    assert recipe.material.classes == ("W", "S2")
    assert specimen.height.min() > 0
    assert (specimen.species == 0).sum() / (specimen.species == 1).sum() == pytest.approx(0.7, abs=0.06)


def test_clustered_defects_are_next_to_each_other() -> None:
    def with_a_neighbour(clustered: float) -> float:
        specimen = drawn(
            recipe_for(point_defects=[{**SULPHUR_VACANCY, "share": [0.05, 0.05], "clustered": [clustered] * 2}])
        )
        mine = np.column_stack([specimen.x, specimen.y])[specimen.species == 2] / specimen.px_per_nm
        return float((cKDTree(mine).query(mine, k=2)[0][:, 1] < 0.35).mean())

    assert with_a_neighbour(0.9) > 0.8
    assert with_a_neighbour(0.0) < 0.5


def test_line_defects_are_rows_of_sites() -> None:
    vacancy = {**SULPHUR_VACANCY, "share": [0.0, 0.0]}
    recipe = recipe_for(
        point_defects=[vacancy], line_defects=[{"defect": "V_S", "number": [12, 12], "length_nm": [3, 3]}]
    )
    specimen = drawn(recipe, 4)
    mine = np.column_stack([specimen.x, specimen.y])[specimen.species == 2] / specimen.px_per_nm
    assert len(mine) > 8
    distance = cKDTree(mine).query(mine, k=2)[0][:, 1]
    assert np.median(distance) == pytest.approx(0.3153, abs=0.002)


def test_atoms_between_the_columns_are_a_class_where_the_recipe_puts_them() -> None:
    adatom = {"name": "Fe_ad", "at": [1 / 3, 1 / 3], "becomes": {"Fe": 1}, "share": [0.1, 0.1]}
    specimen = drawn(recipe_for(point_defects=[adatom]))
    mine = np.column_stack([specimen.x, specimen.y]) / specimen.px_per_nm
    is_iron = specimen.species == 2
    assert 0.05 < is_iron.sum() / (specimen.species == 0).sum() < 0.2
    inside = is_iron & (np.abs(mine - 3.3).max(axis=1) < 2.5)
    to_tungsten = cKDTree(mine[specimen.species == 0]).query(mine[inside])[0]
    np.testing.assert_allclose(to_tungsten, 0.3153 / np.sqrt(3), atol=1e-3)  # the middle of a hexagon


def test_grains_leave_no_two_columns_too_close_and_have_other_orientations() -> None:
    recipe = recipe_for(grains={"probability": 1.0, "number": [3, 3], "turn_deg": [15, 25]})
    specimen = drawn(recipe, 1)
    positions = np.column_stack([specimen.x, specimen.y]) / specimen.px_per_nm
    assert cKDTree(positions).query(positions, k=2)[0][:, 1].min() > 0.6 * 0.3153 / np.sqrt(3)
    metal = positions[specimen.species == 0]
    distance, nearest = cKDTree(metal).query(metal, k=2)
    bond = (metal[nearest[:, 1]] - metal)[distance[:, 1] < 0.33]
    angles = np.degrees(np.arctan2(bond[:, 1], bond[:, 0])) % 60
    assert np.histogram(angles, bins=12, range=(0, 60))[0].astype(bool).sum() >= 2


def test_a_second_layer_makes_a_moire_of_the_expected_period() -> None:
    """Two lattices of edge a, turned by t, repeat after a / (2 sin(t / 2)): 1.81 nm for 10 degrees."""
    recipe = recipe_for(second_layer={"twist_deg": [10, 10], "merge_nm": 0.06})
    specimen = drawn(recipe)
    merged = np.column_stack([specimen.x, specimen.y])[specimen.height > 1.9] / specimen.px_per_nm
    angle, q = np.meshgrid(np.linspace(0, np.pi, 90), np.linspace(0.35, 1.0, 131))
    waves = np.stack([q * np.cos(angle), q * np.sin(angle)], axis=-1) @ merged.T
    power = np.abs(np.exp(2j * np.pi * waves).sum(axis=-1))
    period = 2 / (np.sqrt(3) * q.flat[power.argmax()])
    assert period == pytest.approx(0.3153 / (2 * np.sin(np.radians(5))), rel=0.05)


def test_particles_hold_the_crystal_and_each_has_a_number() -> None:
    recipe = recipe_for(
        structure="Au", particles={"number": [8, 8], "radius_nm": [0.8, 1.2], "overlap": False, "domed": [0.5, 0.5]}
    )
    image = simulate_image(recipe, seed=0, index=3)
    assert image.instances is not None
    mask = image.instances
    assert mask.shape == image.image.shape and len(np.unique(mask)) > 3
    row, column = np.round(image.y).astype(int), np.round(image.x).astype(int)
    assert (mask[row, column] > 0).mean() > 0.9
    covered = (mask > 0).mean()
    assert 0.1 < covered < 0.8


def test_a_tilted_layer_shows_its_two_sulphur_atoms_beside_each_other() -> None:
    specimen = drawn(recipe_for(tilt_deg=[10, 10]))
    assert specimen.parts is not None
    seen = specimen.scattering()
    assert len(seen.x) == (specimen.species == 0).sum() + 2 * (specimen.species == 1).sum()
    assert seen.height.sum() == pytest.approx(specimen.height.sum())
    sulphur = np.column_stack([specimen.parts.dx, specimen.parts.dy])[specimen.species[specimen.parts.owner] == 1]
    apart_nm = 2 * np.hypot(*sulphur.T) / specimen.px_per_nm
    np.testing.assert_allclose(apart_nm, 0.314 * np.tan(np.radians(10)), rtol=1e-6)


def test_a_wedge_is_thicker_on_one_side() -> None:
    specimen = drawn(recipe_for(thickness_change=[0.5, 0.5]))
    metal = specimen.species == 0
    fit = np.linalg.lstsq(
        np.column_stack([specimen.x, specimen.y, np.ones_like(specimen.x)])[metal], specimen.height[metal], rcond=None
    )[0]
    assert np.hypot(*fit[:2]) * 256 == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("material", "said"),
    [
        ({"structure": "unobtainium"}, "structure: expected a file or one of"),
        ({"point_defects": [{**SULPHUR_VACANCY, "site": "Se2"}]}, "V_S is on one of W, S2, got 'Se2'"),
        ({"point_defects": [{**SULPHUR_VACANCY, "becomes": {"Xx": 1}}]}, "expected the symbol of one, got 'Xx'"),
        ({"point_defects": [{**SULPHUR_VACANCY, "at": [0, 0]}]}, "either `site` or `at`"),
        ({"point_defects": [SULPHUR_VACANCY, SULPHUR_VACANCY]}, "names that differ"),
        ({"line_defects": [{"defect": "V_S", "number": [1, 1], "length_nm": [1, 1]}]}, "line_defects: expected one of"),
        ({"zone_axis": [1, 0, 0]}, r"zone_axis: expected \[0, 0, 1\] for a layer"),
        ({"contrast": {"Q": [1, 1]}}, "expected the symbol of one, got 'Q'"),
    ],
)
def test_what_cannot_be_is_told(material: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Structure(kind="structure", **{"structure": "WS2", **material})


def test_dopants_without_a_name_are_refused() -> None:
    content = recipe_for().model_dump()
    content["defects"]["substitution"] = [0.0, 0.1]
    with pytest.raises(ValidationError, match="whose dopants stand in its point_defects"):
        Recipe.model_validate(content)


def test_image_and_truth_are_a_function_of_the_seed() -> None:
    recipe = recipe_for(point_defects=[SULPHUR_VACANCY])
    first, again, other = (simulate_image(recipe, seed=seed, index=1) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.defect, again.defect)
    assert not np.array_equal(first.image, other.image)


def test_for_multislice_all_atoms_are_there_in_three_dimensions_as_defects_have_left_them() -> None:
    recipe = recipe_for(point_defects=[SULPHUR_VACANCY])
    probe = StemProbe(
        kind="stem", engine="multislice", voltage_kv=(80, 80), semi_angle_mrad=(30, 30), source_nm=(0.03, 0.03)
    )
    microscope = recipe.microscope.model_copy(update={"probe": probe, "counts_per_peak": None})
    specimen = drawn(recipe.model_copy(update={"microscope": microscope}))
    atoms = specimen.structure
    n = np.bincount(specimen.species, minlength=3)
    assert atoms.get_chemical_formula() == f"S{2 * n[1] + n[2]}W{n[0]}"
    metal = atoms[atoms.numbers == 74]
    of_image = np.column_stack([specimen.x, specimen.y])[specimen.species == 0] / specimen.px_per_nm
    np.testing.assert_allclose(np.sort(metal.positions[:, 0]) / 10, np.sort(of_image[:, 0]), atol=1e-6)
    sulphur = atoms[atoms.numbers == 16].positions[:, 2]
    assert np.ptp(sulphur) == pytest.approx(3.14, abs=0.01)
