"""The generator: a recipe and a seed in, images with known atoms out.

Image number i of a seed is always the same image, whatever was drawn before it: a training that resumes at step 1000
sees what it would have seen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.simulate.microscope import expose
from adatom.simulate.recipe import ImageRecipe
from adatom.simulate.render import render_labels
from adatom.simulate.specimen import draw_specimen


@dataclass(frozen=True)
class SimulatedImage:
    """An image and its truth.

    Attributes
    ----------
    image : (y, x) in units of an atom's height, NaN where not measured.
    label : (y, x) class map: 0 background, 1 + species on an atom, or 1 + class in a domain or particle.
    x, y : (n,) positions of the atoms inside the image [px].
    species : (n,) numbers from 0.
    flux : (n,) volume of each atom's peak [image unit x px^2].
    scale : factor on all lengths that this image got.
    defect : (n,) number of the point defect that each atom is, from 1 in the recipe's order; 0 for none.
    instances : (y, x) number of the particle that a pixel shows, from 1; None where the material has no particles.
    clean : (y, x) the image without noise, flicker of the beam and errors of lines; None unless it was asked for.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    species: NDArray[np.int64]
    flux: NDArray[np.float64]
    scale: float
    defect: NDArray[np.int64]
    instances: NDArray[np.uint16] | None = None
    clean: NDArray[np.float32] | None = None


def simulate_image(recipe: ImageRecipe, *, seed: int, index: int, with_clean: bool = False) -> SimulatedImage:
    """Image number `index` of the stream that `recipe` and `seed` define; `with_clean` adds what a denoiser is to give.

    The clean image keeps what belongs to specimen and optics, and every fault of the grey scale; shifts of lines, which
    move atoms, stay as well.
    """
    rng = np.random.default_rng([seed, index])
    size = recipe.microscope.image_size
    specimen = draw_specimen(recipe, rng)
    exposure = expose(specimen, recipe, rng, with_clean=with_clean)
    measured = exposure.measured
    bottom, right = int(measured[:, 0].sum()), int(measured[0, :].sum())
    # An atom belongs to an image if its centre lies on a measured pixel.
    specimen.keep(
        (specimen.x >= -0.5) & (specimen.x < right - 0.5) & (specimen.y >= -0.5) & (specimen.y < bottom - 0.5)
    )
    radius = recipe.labels.radius_nm * specimen.px_per_nm
    regions = specimen.polarisation or specimen.particles
    if regions is None:
        label = render_labels(specimen.x, specimen.y, specimen.species, radius, size)
    else:
        label = regions.label(radius)
    return SimulatedImage(
        image=np.where(measured, exposure.image, np.nan).astype(np.float32),
        label=np.where(measured, label, 0).astype(np.uint8),
        x=specimen.x,
        y=specimen.y,
        species=specimen.species,
        flux=specimen.height * exposure.flux_per_height,
        scale=specimen.px_per_nm * recipe.microscope.pixel_size_nm,
        defect=np.zeros(len(specimen.x), dtype=np.int64) if specimen.defect is None else specimen.defect,
        instances=specimen.instances,
        clean=None if exposure.clean is None else np.where(measured, exposure.clean, np.nan).astype(np.float32),
    )
