"""Images without noise beside the noisy ones: the noisy ones are the same, and their noise is without bias."""

import numpy as np
import pytest

from adatom.models import load_recipe
from adatom.models.catalogue import WEIGHTS
from adatom.simulate import simulate_image


@pytest.mark.parametrize("name", sorted(file.stem for file in WEIGHTS.glob("*.yaml")))
def test_asking_for_the_clean_image_changes_nothing_in_the_noisy_one(name):
    recipe = load_recipe(name)
    for index in range(3):
        plain = simulate_image(recipe, seed=2, index=index)
        pair = simulate_image(recipe, seed=2, index=index, with_clean=True)
        assert plain.clean is None
        np.testing.assert_array_equal(plain.image, pair.image)
        assert pair.clean.shape == pair.image.shape and pair.clean.dtype == np.float32


@pytest.mark.parametrize("kind", ["plain", "haadf", "abf"])
def test_counts_scatter_around_the_clean_image(kind):
    recipe = load_recipe("MoS2")
    changes = {"image_size": 96, "noise": (0.0, 0.0), "row_offset_probability": 0.0, "counts_probability": 1.0}
    if kind == "plain":
        changes["counts_per_peak"] = (50.0, 50.0)
    else:
        optics = {"voltage_kv": [200, 200], "semi_angle_mrad": [25, 25], "source_nm": [0.04, 0.04]}
        probe = {"kind": "stem", "detector": kind, "dose_e_per_a2": [3e5, 3e5], **optics}
        changes |= {"counts_per_peak": None, "probe": probe}
    content = recipe.model_dump(mode="json")
    content["microscope"] |= changes
    drawn = simulate_image(type(recipe).model_validate(content), seed=1, index=0, with_clean=True)
    noise = (drawn.image - drawn.clean).astype(float)
    assert abs(noise.mean()) < 4 * noise.std() / 96
    assert abs(np.corrcoef(noise.ravel(), drawn.clean.ravel())[0, 1]) < 0.05
