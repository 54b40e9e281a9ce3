"""Movies of one specimen, some of whose atoms come and go: the truth by which events are judged."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError
from adatom.simulate.microscope import expose
from adatom.simulate.recipe import ImageRecipe
from adatom.simulate.specimen import draw_specimen

Array = NDArray[np.float64]

_OF_MOVIES = 11  # of the random numbers that movies are drawn with


@dataclass(frozen=True)
class SimulatedMovie:
    """Frames with their truth.

    Attributes
    ----------
    frames : (frame, y, x) float32, NaN where not measured.
    x, y : (n,) places of the atoms [px], the same in all frames.
    species : (n,) numbers from 0.
    present : (frame, n) whether an atom is there.
    unstable : (n,) whether it comes and goes; each of those does so at least once.
    """

    frames: NDArray[np.float32]
    x: Array
    y: Array
    species: NDArray[np.int64]
    present: NDArray[np.bool_]
    unstable: NDArray[np.bool_]


def simulate_movie(
    recipe: ImageRecipe, *, n_frames: int, unstable: float, rate: float, seed: int = 0, index: int = 0
) -> SimulatedMovie:
    """A movie of the specimen of image number `index`.

    Parameters
    ----------
    recipe : of the images, which get no unmeasured border; errors of the scan that move atoms are to be absent, or
        each frame has others.
    n_frames : at least two.
    unstable : share of the atoms that come and go.
    rate : probability that such an atom goes, or comes back, from one frame to the next.

    Raises
    ------
    ArgumentError : if a number is out of range.
    """
    if n_frames < 2 or not 0 <= unstable <= 1 or not 0 < rate < 1:
        raise ArgumentError(
            "n_frames, unstable, rate: expected at least 2, a share, and a probability between 0 and 1, got "
            f"{n_frames}, {unstable} and {rate}."
        )
    # a border that is not measured would be another one in each frame
    recipe = recipe.model_copy(update={"microscope": recipe.microscope.model_copy(update={"border_probability": 0.0})})
    specimen = draw_specimen(recipe, np.random.default_rng([seed, index]))
    rng = np.random.default_rng([seed, index, _OF_MOVIES])
    n, size = len(specimen.x), recipe.microscope.image_size
    comes_and_goes = rng.random(n) < unstable
    present = np.ones((n_frames, n), dtype=bool)
    for frame in range(1, n_frames):
        present[frame] = present[frame - 1] ^ (comes_and_goes & (rng.random(n) < rate))
    still = np.flatnonzero(comes_and_goes & (present == present[0]).all(axis=0))
    for atom in still:  # one that never went is not unstable to anybody
        present[int(rng.integers(1, n_frames)) :, atom] = False
    frames = []
    for frame in range(n_frames):
        shown = deepcopy(specimen)
        shown.keep(present[frame])
        exposure = expose(shown, recipe, np.random.default_rng([seed, index, _OF_MOVIES, frame]))
        frames.append(np.where(exposure.measured, exposure.image, np.nan).astype(np.float32))
    inside = (specimen.x > 0) & (specimen.x < size - 1) & (specimen.y > 0) & (specimen.y < size - 1)
    return SimulatedMovie(
        np.stack(frames),
        specimen.x[inside],
        specimen.y[inside],
        specimen.species[inside],
        present[:, inside],
        comes_and_goes[inside],
    )
