"""What several rooms' tests share: a recipe that a tiny network learns in seconds, that network, and a stored set."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from adatom.models import Recipe, Segmenter

# As the command line does: threads that spin while they wait slow down whatever runs beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Beside one another (make test), processes that all take every core are slower than with one each.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

NOTHING = [0.0, 0.0]
TINY_RECIPE: dict[str, Any] = {
    "name": "tiny",
    "description": "An easy honeycomb for tests.",
    "material": {
        "kind": "hexagonal_two_atoms",
        "lattice_constant_nm": 1.2,
        "height_b": [0.5, 0.5],
        "height_spread": NOTHING,
        "displacement_nm": NOTHING,
    },
    "defects": {
        "vacancy": [0.0, 0.1],
        "vacancy_cluster": NOTHING,
        "vacancy_cluster_radius_nm": [0.1, 0.1],
        "substitution": [0.0, 0.1],
        "substitution_height": [1.0, 1.0],
        "island": NOTHING,
        "island_size_nm": [1.0, 1.0],
        "island_height": [1.0, 1.0],
        "island_roughness": NOTHING,
        "adsorbate": NOTHING,
        "adsorbate_height": [1.0, 1.0],
        "adsorbate_radius_nm": [0.1, 0.1],
        "step_probability": 0.0,
        "step_height": [1.0, 1.0],
    },
    "microscope": {
        "pixel_size_nm": 0.1,
        "image_size": 48,
        "scale": [0.95, 1.05],
        "rotation_deg": [0.0, 360.0],
        "strain": NOTHING,
        "shear": NOTHING,
        "peak_width_nm": [0.15, 0.18],
        "ellipticity": [1.0, 1.0],
        "noise": [0.02, 0.05],
        "noise_correlation_px": NOTHING,
        "counts_per_peak": None,
        "row_offset": NOTHING,
        "row_offset_probability": 0.0,
        "row_shift_nm": NOTHING,
        "streaks": NOTHING,
        "tilt": NOTHING,
        "background": NOTHING,
        "background_size_nm": [1.0, 1.0],
        "border_probability": 0.0,
        "border_px": NOTHING,
    },
    "labels": {"radius_nm": 0.2},
    "network": {"architecture": "unet", "width": 4, "depth": 2},
    "training": {
        "steps": 120,
        "batch_size": 4,
        "learning_rate": 0.02,
        "validate_every": 40,
        "validation_images": 4,
        "seed": 1,
    },
}


@pytest.fixture(scope="session")
def tiny_recipe() -> "Recipe":
    """Two kinds of atoms, 48 x 48 px of 0.1 nm, little noise, a network of width 4 and depth 2."""
    from adatom.models import Recipe

    return Recipe.model_validate(TINY_RECIPE)


@pytest.fixture(scope="session")
def brief_recipe(tiny_recipe: "Recipe") -> "Recipe":
    """The same on 32 x 32 px, trained for 6 steps only: for tests that need no good model."""
    training = {"steps": 6, "batch_size": 2, "validate_every": 2, "validation_images": 2}
    return tiny_recipe.model_copy(
        update={
            "microscope": tiny_recipe.microscope.model_copy(update={"image_size": 32}),
            "training": tiny_recipe.training.model_copy(update=training),
        }
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_recipe: "Recipe") -> "Segmenter":
    """A segmenter that has learned `tiny_recipe`; nobody may change it."""
    from adatom.models import Segmenter

    return Segmenter().fit(tiny_recipe)


@pytest.fixture(scope="session")
def tiny_store(tiny_recipe: "Recipe", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stored set of 8 images of `tiny_recipe`, which its training never sees."""
    from adatom.models.simulated_set import write_simulated_set

    store = tmp_path_factory.mktemp("stored") / "tiny.zarr"
    write_simulated_set(tiny_recipe, store, n=8, seed=5)
    return store
