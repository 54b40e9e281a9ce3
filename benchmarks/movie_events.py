"""Atoms that come and go in simulated movies, found by the model of their material, at several doses; a real movie.

Simulated: honeycombs of two kinds of atoms, 20 frames, 5 % of the atoms unstable (each goes or comes back with a
probability of 0.1 from frame to frame). Average precision is that of the probability that a site changes against
whether its atom does, border atoms left out; it asks for atoms, not for frames. The plain way beside it counts how
often the atom of a site is found and lost, by finds likelier than not.

Real: the FAST-STM movie of CO on graphene of ``../shared/data``, whose truth nobody knows: only counts are told.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

import adatom as ad
from adatom.analyse.movie import MovieEvents, analyse_movie
from adatom.analyser import image_box
from adatom.locate import match_positions
from adatom.models.recipe import Recipe, load_recipe
from adatom.simulate.movie import SimulatedMovie, simulate_movie
from benchmarks.record import FOLDER, Recorder

DOSES = (5.0, 10.0, 30.0, 100.0)
N_MOVIES, N_FRAMES = 6, 20
MOVIE = FOLDER.parent.parent / "shared" / "data" / "fast_stm_movie" / "20141003_24.h5"
MODEL = "hexagonal_two_atoms"
LEAST = 0.1  # finds less likely than this are not asked for


def movie_recipe(dose: float) -> Recipe:
    """One dose, and little else that is wrong."""
    content = load_recipe(MODEL).model_dump()
    content["defects"] = {"vacancy": (0.0, 0.0)}
    content["microscope"] |= {
        "image_size": 160,
        "counts_per_peak": (dose, dose),
        "counts_probability": 1.0,
        "noise": (0.0, 0.01),
        "dark_level": (0.2, 0.2),
        "row_offset_probability": 0.0,
        "row_shift_nm": (0.0, 0.0),
        "background": (0.0, 0.1),
        "tilt": (0.0, 0.1),
    }
    return Recipe.model_validate(content)


def run(recorder: Recorder) -> None:
    for dose in DOSES:
        recipe = movie_recipe(dose)
        pixel = recipe.microscope.pixel_size_nm
        ours, plain, true = [], [], []
        for index in range(N_MOVIES):
            shown = simulate_movie(recipe, n_frames=N_FRAMES, unstable=0.05, rate=0.1, seed=5, index=index)
            movie = ad.make_image(shown.frames.astype(float), pixel_size=pixel, dims=("frame", "y", "x"))
            atoms = ad.find(movie, model=MODEL, min_probability=LEAST, refine=False)
            found = analyse_movie(atoms, image_box(atoms))
            for scores, each in zip((ours, plain, true), _scores(found, shown, pixel), strict=True):
                scores.append(each)
        truth = np.concatenate(true)
        goal = ">= 0.9" if dose == 30 else None
        recorder.add(
            f"movie/dose{dose:g}/average_precision", average_precision_score(truth, np.concatenate(ours)), goal=goal
        )
        recorder.add(
            f"movie/dose{dose:g}/average_precision_of_plain_counts",
            average_precision_score(truth, np.concatenate(plain)),
        )
        recorder.add(f"movie/dose{dose:g}/unstable_atoms", float(truth.sum()))
        recorder.add(f"movie/dose{dose:g}/unstable_atoms_expected", float(np.concatenate(ours).sum()))
    atoms = ad.find(ad.read(MOVIE), min_probability=LEAST, refine=False)
    found = analyse_movie(atoms, image_box(atoms))
    for name in ("n_sites", "n_unstable", "n_unstable_expected", "rate_per_frame", "overlooked"):
        recorder.add(f"movie/fast_stm/{name}", float(found.summary[name]))


def _scores(
    found: MovieEvents, shown: SimulatedMovie, pixel: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Of every site, and of every unstable atom that is none: our score, the plain one, and whether it is unstable."""
    reach = 0.35 * found.spacing
    known = np.column_stack([shown.x, shown.y]) * pixel
    side = (shown.frames.shape[1] - 0.5) * pixel
    inner = ((known > reach) & (known < side - reach)).all(axis=1)
    match = match_positions(found.sites.positions, known, tolerance=reach)
    unstable = np.zeros(len(found.sites.positions), dtype=bool)
    unstable[match.found] = shown.unstable[match.known]
    n_missed = int((shown.unstable & inner).sum() - (shown.unstable & inner)[match.known].sum())
    flips = (np.diff((found.sites.probability >= 0.5).astype(int), axis=0) != 0).sum(axis=0) / (N_FRAMES - 1)
    nothing = np.zeros(n_missed)
    return (
        np.concatenate([found.held.unstable, nothing]),
        np.concatenate([flips, nothing]),
        np.concatenate([unstable, nothing == 0]),
    )
