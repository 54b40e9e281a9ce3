"""A localizer of an easy honeycomb learns images of another look."""

import numpy as np
import pandas as pd
import pytest

from adatom.data import make_image
from adatom.errors import ArgumentError
from adatom.locate import match_positions
from adatom.models import Localizer
from adatom.models.adapting import adapt
from adatom.simulate import simulate_image


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    """Images larger than the tiny recipe's."""
    training = tiny_recipe.training.model_copy(update={"steps": 300, "validate_every": 100, "validation_images": 12})
    microscope = tiny_recipe.microscope.model_copy(update={"image_size": 64})
    return tiny_recipe.model_copy(update={"training": training, "microscope": microscope})


@pytest.fixture(scope="module")
def model(recipe) -> Localizer:
    """Nobody may change it."""
    return Localizer().fit(recipe)


def marked(recipe, index: int, share: float = 1.0):
    """An image, the table of those of its atoms that are marked, to within a pixel or so, and where all are."""
    drawn = simulate_image(recipe, seed=99, index=index)
    rng = np.random.default_rng(index)
    kept = rng.random(len(drawn.x)) < share
    names = np.array(recipe.material.classes)
    shift = rng.uniform(-1, 1, (2, kept.sum()))
    x, y = (np.clip(at[kept] + by, 0, 63) * 0.1 for at, by in zip((drawn.x, drawn.y), shift, strict=True))
    table = pd.DataFrame({"x": x, "y": y, "species": names[drawn.species[kept]]})
    return make_image(drawn.image, pixel_size=0.1), table, np.column_stack([drawn.x, drawn.y]) * 0.1


def f1(model: Localizer, recipe) -> float:
    hits = n_found = n_known = 0
    for index in range(200, 206):
        image, _, positions = marked(recipe, index)
        match = match_positions(model.predict(image)[["x", "y"]].to_numpy(), positions, tolerance=0.2)
        hits, n_found, n_known = hits + len(match.known), n_found + match.n_found, n_known + match.n_known
    return 2 * hits / (n_found + n_known)


def test_atoms_of_another_look_are_learned_and_the_model_before_stays_as_it_is(model, recipe):
    other = {"peak_width_nm": (0.26, 0.28), "noise": (0.1, 0.1)}
    other = recipe.model_copy(update={"microscope": recipe.microscope.model_copy(update=other)})
    images, tables = zip(*(marked(other, index)[:2] for index in range(4)), strict=True)
    state = {name: value.clone() for name, value in model.net_.state_dict().items()}
    adapted, learned = adapt(model, images, tables, steps=60)
    assert f1(adapted, other) > f1(model, other) + 0.05
    assert f1(adapted, recipe) > f1(model, recipe) - 0.1  # nothing was forgotten
    assert learned.n_marks == sum(map(len, tables)) and 0 < learned.n_found_before <= learned.n_marks
    assert all((value == state[name]).all() for name, value in model.net_.state_dict().items())


def test_atoms_without_a_mark_are_not_unlearned_where_few_are_marked(model, recipe):
    images, tables = zip(*(marked(recipe, index, share=0.15)[:2] for index in range(4)), strict=True)
    adapted, learned = adapt(model, images, tables, steps=60)
    assert max(learned.completeness) < 0.4
    assert f1(adapted, recipe) > f1(model, recipe) - 0.03


def test_an_adapted_model_is_a_function_of_its_seed_and_is_kept(model, recipe, tmp_path):
    import adatom as ad

    image, table, _ = marked(recipe, 3)
    first, second = (adapt(model, [image], [table], steps=3, seed=4)[0] for _ in range(2))
    pd.testing.assert_frame_equal(first.predict(image), second.predict(image))
    first.save(tmp_path / "mine.safetensors")
    again = ad.load(tmp_path / "mine.safetensors")
    pd.testing.assert_frame_equal(first.predict(image), again.predict(image))
    assert again.figures_["adapted_marks"] == len(table)


def test_marks_that_cannot_be_are_told(model, recipe):
    image, table, _ = marked(recipe, 3)
    with pytest.raises(ArgumentError, match=r"inside the image, in nm.*another unit"):
        adapt(model, [image], [table * {"x": 10, "y": 10, "species": 1}])
    with pytest.raises(ArgumentError, match="expected some of A, B"):
        adapt(model, [image], [table.assign(species="C")])
    with pytest.raises(ArgumentError, match="got none"):
        adapt(model, [image], [table.iloc[:0]])
