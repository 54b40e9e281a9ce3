"""Simulated particles, many of them touching: found by a threshold and watershed, and by the network that ships.

Average precision is that of instance segmentation: hits / (hits + false finds + missed), a hit being an overlap of at
least half of the union.
"""

import numpy as np
from numpy.typing import NDArray

import adatom as ad
from adatom.models.recipe import load_recipe
from adatom.simulate import simulate_image
from benchmarks.record import Recorder

MODEL = "nanoparticles"
N_IMAGES, SEED = 60, 77
SMALLEST_PX = 4.0  # diameter of what counts, as in find
SETS = {
    "all": {},
    "little_noise": {"noise": (0.01, 0.08), "counts_probability": 0.0},
}


def run(recorder: Recorder) -> None:
    """Average precision at IoU 0.5 and the mean diameter of whole particles."""
    recipe, model = load_recipe(MODEL), ad.load(MODEL)
    for name, microscope in SETS.items():
        changed = recipe.model_copy(update={"microscope": recipe.microscope.model_copy(update=microscope)})
        images = [simulate_image(changed, seed=SEED, index=k) for k in range(N_IMAGES)]
        for way, seer in (("threshold", None), ("network", model)):
            scores = np.zeros(3)
            sizes: list[list[float]] = [[], []]
            for drawn in images:
                assert drawn.instances is not None
                true = _numbered(drawn.instances)
                found = ad.find_particles(
                    ad.make_image(drawn.image), model=seer, contrast="bright"
                ).instances.to_numpy()
                scores += _hits_false_missed(true, found)
                for kept, instances in zip(sizes, (true, found), strict=True):
                    kept.extend(_whole_diameters(instances))
            hits, false, missed = scores
            figure = f"particles/simulated/{name}/{way}"
            error = abs(np.mean(sizes[1]) / np.mean(sizes[0]) - 1)
            goals = (">= 0.9", "<= 0.02") if way == "network" else (None, None)
            recorder.add(f"{figure}/average_precision", float(hits / (hits + false + missed)), goal=goals[0])
            recorder.add(f"{figure}/mean_diameter_error", float(error), goal=goals[1])


def _numbered(instances: NDArray[np.integer]) -> NDArray[np.int64]:
    """The particles that are large enough, numbered from 1."""
    large = np.bincount(instances.ravel()) >= 0.25 * np.pi * SMALLEST_PX**2 - 0.5
    large[0] = False
    number = np.zeros(len(large), np.int64)
    number[large] = np.arange(1, int(large.sum()) + 1)
    return number[instances]


def _hits_false_missed(true: NDArray[np.int64], found: NDArray[np.integer]) -> tuple[int, int, int]:
    n_true, n_found = int(true.max()), int(found.max())
    shared = np.zeros((n_true + 1, n_found + 1))
    np.add.at(shared, (true.ravel(), found.ravel()), 1)
    union = shared.sum(axis=1)[:, None] + shared.sum(axis=0)[None, :] - shared
    # above one half no two can overlap with the same particle
    hits = int((shared[1:, 1:] >= 0.5 * union[1:, 1:]).sum())
    return hits, n_found - hits, n_true - hits


def _whole_diameters(instances: NDArray[np.integer]) -> list[float]:
    area = np.bincount(instances.ravel())
    border = np.concatenate([instances[0], instances[-1], instances[:, 0], instances[:, -1]])
    whole = [k for k in range(1, len(area)) if area[k] and k not in set(border.tolist())]
    return [float(2 * np.sqrt(area[k] / np.pi)) for k in whole]
