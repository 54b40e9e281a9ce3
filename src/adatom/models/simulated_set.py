"""A recipe to a stored set of images with known atoms."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from adatom.data.training_set import write_training_set
from adatom.errors import ArgumentError
from adatom.models.recipe import Recipe
from adatom.simulate import simulate_images

# `adatom simulate` and training draw from the same generator; far apart in its numbering they never share an image.
STORED_START = 2**41


def write_simulated_set(
    recipe: Recipe,
    store: Path,
    *,
    n: int,
    seed: int = 0,
    jobs: int = 1,
    on_image: Callable[[int], None] | None = None,
) -> int:
    """Simulate `n` images of a recipe into a zarr store (`adatom.data.training_set`); returns the number of atoms.

    `jobs` processes draw them (`adatom.simulate.simulate_images`); their number changes nothing in the images.
    """
    if store.exists():
        raise ArgumentError(
            f"out: expected a store that is not there yet, got {store}. Remove it or choose another name."
        )
    n_atoms = 0

    def images() -> Iterator[tuple[Any, Any, Any, Any, Any, Any]]:
        nonlocal n_atoms
        drawings = simulate_images(recipe, seed=seed, first=STORED_START, n=n, jobs=jobs)
        for index, drawn in enumerate(drawings):
            n_atoms += len(drawn.x)
            yield drawn.image, drawn.label, drawn.x, drawn.y, drawn.species, drawn.flux
            if on_image is not None:
                on_image(index + 1)

    microscope = recipe.microscope
    attrs = {
        "classes": list(recipe.material.classes),
        "pixel_size_nm": microscope.pixel_size_nm,
        "label_radius_px": recipe.labels.radius_nm / microscope.pixel_size_nm,
        "recipe": recipe.to_yaml(),
        "seed": seed,
    }
    write_training_set(store, images(), n=n, size=microscope.image_size, attrs=attrs)
    return n_atoms
