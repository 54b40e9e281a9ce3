import pytest
import yaml

from adatom.errors import MissingFileError, RecipeError
from adatom.models import load_recipe
from adatom.models.recipe import parse_recipe


@pytest.mark.parametrize("name", ["si111_7x7", "hexagonal_two_atoms"])
def test_a_recipe_that_ships_is_there_by_its_name(name):
    assert load_recipe(name).name == name


def test_a_recipe_survives_being_written(tiny_recipe, tmp_path):
    (tmp_path / "r.yaml").write_text(tiny_recipe.to_yaml(), encoding="utf-8")
    assert load_recipe(tmp_path / "r.yaml") == load_recipe(str(tmp_path / "r.yaml")) == tiny_recipe


def test_a_recipe_that_is_not_there_says_which_are(tmp_path):
    for source in ("si111", tmp_path / "r.yaml", "../weights/si111_7x7", ""):
        with pytest.raises(MissingFileError, match=r"recipe: expected a YAML file or one of .*si111_7x7.*MoS2.*; got"):
            load_recipe(source)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("colour",), "red", "colour: Extra inputs are not permitted"),
        (("training", "lr"), 0.1, "training.lr: Extra inputs are not permitted"),
        (("microscope", "tip"), 1, "microscope.tip: Extra inputs are not permitted"),
        (("network", "depth"), 9, "network.depth: Input should be less than or equal to 6"),
        (("training", "steps"), 0, "training.steps: Input should be greater than or equal to 1"),
        (("defects", "vacancy"), [0.5, 0.1], r"a range is \[low, high\]"),
        (("defects", "vacancy"), [0.0, 1.5], "expected shares between 0 and 1"),
        (("microscope", "pixel_size_nm"), float("nan"), "microscope.pixel_size_nm: .*finite number"),
        (("material", "kind"), "wood", "material: .*'hexagonal_two_atoms', 'si111_7x7'"),
        (("name",), "a/b", "name: String should match pattern"),
    ],
)
def test_a_wrong_key_or_value_is_named(tiny_recipe, path, value, message):
    content = yaml.safe_load(tiny_recipe.to_yaml())
    part = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(RecipeError, match=message) as error:
        parse_recipe(yaml.safe_dump(content), name="mine.yaml")
    assert str(error.value).startswith("mine.yaml: ") and "\n" not in str(error.value)


def test_a_missing_part_is_named(tiny_recipe):
    content = yaml.safe_load(tiny_recipe.to_yaml())
    del content["microscope"], content["labels"]
    with pytest.raises(RecipeError, match=r"microscope: Field required \(1 more\)"):
        parse_recipe(yaml.safe_dump(content))


@pytest.mark.parametrize(
    "text", ["", "just words", "- a\n- b\n", "a: [1,", "a: b: c", "!!python/object:os.system {}", "[" * 10_000, "\0"]
)
def test_text_that_is_no_recipe_is_refused(text):
    with pytest.raises(RecipeError, match="expected") as error:
        parse_recipe(text, name="mine.yaml")
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(RecipeError, match=r"r\.yaml cannot be read as text"):
        load_recipe(tmp_path / "r.yaml")
