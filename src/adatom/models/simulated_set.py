"""A recipe to a stored set of images with known atoms."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from adatom.data.training_set import write_training_set
from adatom.errors import ArgumentError
from adatom.models.recipe import Recipe
from adatom.simulate import simulate_image

# `adatom simulate` and training draw from the same generator; far apart in its numbering they never share an image.
STORED_START = 2**41


def check_store_is_new(store: Path) -> None:
    """Raise `ArgumentError` if there is something already."""
    if store.exists():
        raise ArgumentError(
            f"out: expected a store that is not there yet, got {store}. Remove it or choose another name."
        )


def write_simulated_set(
    recipe: Recipe, store: Path, *, n: int, seed: int = 0, on_image: Callable[[int], None] | None = None
) -> int:
    """Simulate `n` images of a recipe into a zarr store (`adatom.data.training_set`); returns the number of atoms."""
    check_store_is_new(store)
    n_atoms = 0

    def images() -> Iterator[tuple[Any, Any, Any, Any, Any, Any]]:
        nonlocal n_atoms
        for index in range(n):
            drawn = simulate_image(recipe, seed=seed, index=STORED_START + index)
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
