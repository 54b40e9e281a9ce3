"""A recipe to a stored set of images with known atoms."""

from collections.abc import Callable, Iterator
from pathlib import Path

from adatom import __version__
from adatom.data.training_set import open_training_set
from adatom.data.training_store import KnownImage, append_images, begin_training_set
from adatom.models.recipe import Recipe
from adatom.simulate import simulate_images
from adatom.simulate.particle_recipe import Nanoparticles

# `adatom simulate` and training draw from the same generator; far apart in its numbering they never share an image.
STORED_START = 2**41


def write_simulated_set(
    recipe: Recipe,
    store: Path,
    *,
    n: int,
    seed: int = 0,
    jobs: int = 1,
    resume: bool = False,
    command: str = "",
    on_image: Callable[[int], None] | None = None,
) -> int:
    """Simulate `n` images of a recipe into a zarr store (`adatom.data.training_set`); returns the number of atoms.

    Parameters
    ----------
    jobs : processes that draw them (`adatom.simulate.simulate_images`); their number changes nothing in the images.
    resume : go on with a store whose writing was interrupted, or that holds fewer images; it gets exactly those that it
        would have had.
    command : what the store says that it was made by.

    Raises
    ------
    ArgumentError : if `store` is there and `resume` is false, or it is there with another recipe, seed or version.
    """
    microscope, material = recipe.microscope, recipe.material
    attrs = {
        "classes": list(material.classes),
        "defects": [defect.name for defect in getattr(material, "point_defects", [])],
        "pixel_size_nm": microscope.pixel_size_nm,
        "label_radius_px": recipe.labels.radius_nm / microscope.pixel_size_nm,
        "recipe": recipe.to_yaml(),
        "seed": seed,
        "version": __version__,
        "command": command,
    }
    first = begin_training_set(
        store,
        n=n,
        size=microscope.image_size,
        attrs=attrs,
        has_instances=isinstance(material, Nanoparticles) or getattr(material, "particles", None) is not None,
        resume=resume,
    )

    def images() -> Iterator[KnownImage]:
        drawings = simulate_images(recipe, seed=seed, first=STORED_START + first, n=n - first, jobs=jobs)
        for index, drawn in enumerate(drawings, start=first):
            truth = (drawn.x, drawn.y, drawn.species, drawn.flux, drawn.defect, drawn.instances)
            yield KnownImage(drawn.image, drawn.label, *truth)
            if on_image is not None:
                on_image(index + 1)

    append_images(store, images())
    return int(open_training_set(store).sizes["atom"])
