"""What every recipe that ships promises, and what is said of a recipe that is wrong."""

from typing import Any

import numpy as np
import pytest
import yaml

from adatom.errors import MissingFileError, RecipeError
from adatom.models.catalogue import WEIGHTS
from adatom.models.recipe import Recipe, load_recipe, parse_recipe
from adatom.simulate import simulate_image

SHIPPED = sorted(file.stem for file in WEIGHTS.glob("*.yaml"))
OF_ATOMS = [name for name in SHIPPED if load_recipe(name).material.kind != "nanoparticles"]
DELETED = object()


@pytest.fixture(params=SHIPPED)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return load_recipe(request.param)


def test_recipes_ship():
    assert SHIPPED


def test_name_is_that_of_the_file():
    assert [load_recipe(name).name for name in SHIPPED] == SHIPPED


def test_recipe_is_read_from_its_path_too(recipe):
    assert load_recipe(WEIGHTS / f"{recipe.name}.yaml") == recipe


def test_recipe_survives_the_way_to_yaml_and_back(recipe, tmp_path):
    copy = tmp_path / "copy.yaml"
    copy.write_text(recipe.to_yaml(), encoding="utf-8")
    assert load_recipe(copy) == recipe


@pytest.mark.parametrize("name", OF_ATOMS)
def test_label_discs_of_neighbours_do_not_touch(name):
    recipe = load_recipe(name)
    drawn = simulate_image(recipe, seed=0, index=0)
    size = recipe.labels.radius_nm / recipe.microscope.pixel_size_nm * drawn.scale
    positions = np.column_stack([drawn.x, drawn.y])
    distance = np.hypot(*(positions[:, None] - positions[None]).transpose(2, 0, 1))
    np.fill_diagonal(distance, np.inf)
    assert np.median(distance.min(axis=1)) > 2 * size


def test_images_are_simulated(recipe):
    size, classes = recipe.microscope.image_size, recipe.material.classes
    drawn = [simulate_image(recipe, seed=0, index=index) for index in range(8)]
    for one in drawn:
        assert one.image.shape == one.label.shape == (size, size)
        assert one.image.dtype == np.float32
        assert one.label.dtype == np.uint8
        assert one.label.max() <= len(classes)
        assert not np.isinf(one.image).any()
        measured = np.isfinite(one.image)
        assert measured.mean() > 0.8
        assert len(one.x) == len(one.y) == len(one.species)
        assert measured[np.round(one.y).astype(int), np.round(one.x).astype(int)].all()
    assert len({one.label.tobytes() for one in drawn}) == len(drawn)
    assert set(np.concatenate([np.unique(one.label) for one in drawn])) == set(range(len(classes) + 1))
    if recipe.name in OF_ATOMS:
        assert np.median([len(one.x) for one in drawn]) > 10
        assert set(np.concatenate([one.species for one in drawn])) == set(range(len(classes)))


# Number of atoms, sum of their coordinates, mean square of the image and sum of its labels, of images 0 to 2 of seed 7:
# a model that ships was trained on these images, and what is measured on its training must stay measurable.
KNOWN_IMAGES = {
    "any_atoms": [(94, 11881.3143, 1.84439, 1164), (505, 63530.5619, 6.30299, 6230), (11, 1380.8831, 0.375264, 135)],
    "hexagonal_two_atoms": [
        (115, 13994.0103, 1.87913, 3764),
        (210, 27865.725, 5.92266, 3833),
        (156, 21637.8304, 7.21025, 3797),
    ],
    "si111_7x7": [
        (155, 19217.5929, 41.4907, 2695),
        (337, 42557.4666, 30.7985, 3705),
        (104, 12509.8466, 8.90267, 2036),
    ],
    "ws2_defects": [
        (168, 21182.4948, 0.162902, 4823),
        (170, 21850.2907, 0.123891, 5496),
        (232, 29598.7544, 0.13325, 5166),
    ],
    "nanoparticles": [(0, 0.0, 0.323691, 6598), (0, 0.0, 0.117257, 3907), (0, 0.0, 0.17151, 3782)],
    "single_atoms": [(39, 4611.5125, 50.9217, 301), (6, 741.9548, 25.1744, 48), (17, 1650.3889, 17.5178, 116)],
}


@pytest.mark.parametrize("name", KNOWN_IMAGES)
def test_images_of_a_recipe_that_ships_stay_what_they_were(name):
    recipe = load_recipe(name)
    for index, (n_atoms, coordinates, mean_square, labels) in enumerate(KNOWN_IMAGES[name]):
        drawn = simulate_image(recipe, seed=7, index=index)
        assert len(drawn.x) == n_atoms and drawn.label.sum() == labels
        assert drawn.x.sum() + drawn.y.sum() == pytest.approx(coordinates, abs=1e-3)
        assert np.nanmean(drawn.image.astype(float) ** 2) == pytest.approx(mean_square, rel=1e-4)


def wrong(recipe: Recipe, path: str, value: Any) -> str:
    """YAML of `recipe` with another value at a dotted `path`."""
    content = yaml.safe_load(recipe.to_yaml())
    *parts, last = path.split(".")
    part = content
    for name in parts:
        part = part[name]
    if value is DELETED:
        del part[last]
    else:
        part[last] = value
    return yaml.safe_dump(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("defects.vacency", [0, 0.1]),
        ("microscope.pixel_size", 0.1),
        ("material.height", [0, 1]),
        ("labels.radius", 0.1),
        ("training.epochs", 3),
        ("network.kind", "unet"),
        ("speed", 3),
        ("defects.vacancy", [0.2, 0.1]),
        ("microscope.rotation_deg", [90, 0]),
        ("microscope.strain", [0.05, -0.05]),
        ("defects.vacancy", [-0.1, 0.1]),
        ("defects.substitution", [0.5, 1.5]),
        ("defects.island", [-0.2, 0.2]),
        ("defects.step_probability", 1.5),
        ("microscope.noise", [-0.1, 0.1]),
        ("microscope.noise", 0.1),
        ("microscope.noise", [0.1, 0.2, 0.3]),
        ("microscope.noise", ["little", "much"]),
        ("microscope.noise", [0.1, float("inf")]),
        ("microscope.noise", [float("nan"), 0.1]),
        ("microscope.pixel_size_nm", DELETED),
        ("microscope.peak_width_nm", [0.0, 0.1]),
        ("microscope.scale", [0.0, 1.0]),
        ("microscope.counts_per_peak", [0, 10]),
        ("microscope.image_size", 16),
        ("microscope.pixel_size_nm", -0.1),
        ("microscope.border_px", [0, 5000]),
        ("microscope.scale_from", "guess"),
        ("material.kind", "graphene"),
        ("material.lattice_constant_nm", 0),
        ("labels.radius_nm", 0),
        ("training.steps", 0),
        ("training.loss", {"hinge": 1.0}),
        ("network.width", 0),
        ("name", "../escape"),
        ("labels", DELETED),
    ],
)
def test_wrong_value_is_told_by_its_key(recipe, path, value):
    with pytest.raises(RecipeError) as told:
        parse_recipe(wrong(recipe, path, value), name="mine.yaml")
    message = str(told.value)
    assert message.startswith("mine.yaml: ")
    assert path.rsplit(".", maxsplit=1)[-1] in message


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list", "3"])
def test_text_that_is_no_recipe_is_told(text):
    with pytest.raises(RecipeError, match="expected keys such as material"):
        parse_recipe(text)


def test_line_of_broken_yaml_is_told():
    with pytest.raises(RecipeError, match=r"mine.yaml: expected YAML.*line 2"):
        parse_recipe("name: a\ndefects: ]\nspeed: 3", name="mine.yaml")


@pytest.mark.parametrize("name", ["no_such_recipe", "no/such/file.yaml", "../hexagonal_two_atoms"])
def test_unknown_name_lists_the_known_ones(name):
    with pytest.raises(MissingFileError, match=SHIPPED[0]):
        load_recipe(name)


def test_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(RecipeError, match=r"picture\.yaml"):
        load_recipe(path)
