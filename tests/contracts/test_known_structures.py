"""Every structure that is known by name makes a recipe, and that makes images."""

import numpy as np
import pytest

from adatom.models.recipe import load_recipe, parse_recipe
from adatom.simulate import simulate_image
from adatom.simulate.structures import CATALOGUE


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_name_is_a_recipe_that_simulates_images_of_all_its_columns(name: str) -> None:
    recipe = load_recipe(name)
    assert parse_recipe(recipe.to_yaml()) == recipe
    drawn = [simulate_image(recipe, seed=2, index=index) for index in range(3)]
    assert set(np.concatenate([one.species for one in drawn])) == set(range(len(recipe.material.classes)))
    assert all(np.isfinite(one.image).all() and one.image.std() > 0 for one in drawn)
    assert 4.5 < recipe.material.shortest_distance_nm / recipe.microscope.pixel_size_nm < 13


def test_a_recipe_takes_the_structure_of_a_file_beside_it_into_itself(tmp_path) -> None:
    from ase.io import write

    write(tmp_path / "mine.cif", CATALOGUE["SrTiO3"].build())
    text = load_recipe("SrTiO3").to_yaml().replace("structure: SrTiO3", "structure: mine.cif")
    (tmp_path / "mine.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "mine.yaml")
    assert sorted(recipe.material.classes) == ["O", "Sr", "TiO"]
    (tmp_path / "mine.cif").unlink()
    assert parse_recipe(recipe.to_yaml()) == recipe  # nothing else is needed any more
    image = simulate_image(recipe, seed=1, index=1)
    assert set(image.species) == {0, 1, 2}
