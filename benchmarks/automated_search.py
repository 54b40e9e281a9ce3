"""Real hysteresis loops (BEPS on PbTiO3) played back: measurements that each policy needs, for a map and for the best.

The cheap image is the map of the loops' first point (0 V); what is measured is the area of the loop. A model sees of
each place a patch of 7 x 7 pixels, or its principal components, or two descriptors, the strength of the response there
and around it, or where it is. Loops that are broken by the cleaning rule of `check_spectra` are left out, and their
places. One process, over the descriptors, reconstructs the map for every policy; its accuracy on the full grid is that
of each place told by all the others, and a policy has the map when it tells 90 % of that. It has found the best when it
has measured one of the top 1 % of the places, and most of them when half. All policies ask for five places at a time,
so a model learns anew after every fifth measurement; bands hold 80 % of the seeds.

``python -m benchmarks.automated_search --seeds 2 --points 60`` tries the way and keeps no figures.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

import adatom as ad
from adatom.decide import Search, acquisition_of
from adatom.decide.replay import KnownSample, curves, measurements_to_reach, replay
from adatom.prepare.spectrum_outliers import check_spectra
from adatom.prepare.spectrum_pairs import map_at
from benchmarks.record import FOLDER, Recorder

Array = NDArray[np.float64]

FILE = FOLDER.parent.parent / "shared" / "data" / "beps_pto" / "BEPS_PTO_50x50.h5"
FIGURE = FOLDER.parent / "docs" / "images" / "automated_search.png"
PATCH, BATCH, ENOUGH, N_FIRST = 7, 5, 0.9, 10
MAPS_AT = (25, 50, 75, 100, 120, 150, 200, 300, 400, 600, 800, 1000)
DESIGNS = ("random", "grid", "latin_hypercube", "coarse_to_fine", "maximin")
SIZED = ("grid", "latin_hypercube")  # designs that have to be told how many points there will be
# name -> what the model sees, and how it is asked
BY_MODEL = {
    "gp_places_expected_improvement": ("places", "expected_improvement"),
    "gp_patches_expected_improvement": ("components", "expected_improvement"),
    "gp_descriptors_expected_improvement": ("descriptors", "expected_improvement"),
    "gp_descriptors_upper_confidence_bound": ("descriptors", "upper_confidence_bound"),
    "gp_descriptors_maximum_uncertainty": ("descriptors", "maximum_uncertainty"),
    "dkl_patches_expected_improvement": ("patches", "expected_improvement"),
}


@dataclass(frozen=True)
class Loops:
    """What is known of each place with a good loop."""

    places: Array
    patches: Array
    components: Array
    descriptors: Array
    area: Array


@cache
def read_loops() -> Loops:
    """From the file."""
    checked = check_spectra(ad.read(FILE))
    good = checked.good.ravel()
    bias = checked.spectra["bias"].to_numpy()
    loops = checked.spectra.to_numpy().reshape(-1, len(bias))
    image = map_at(checked.spectra, 0.0)[0].to_numpy()
    image = np.clip(image, *np.quantile(image[checked.good], [0.005, 0.995]))
    half = PATCH // 2
    patches = sliding_window_view(np.pad(image, half, mode="reflect"), (PATCH, PATCH)).reshape(-1, PATCH, PATCH)
    area = np.abs(np.sum(0.5 * (loops + np.roll(loops, -1, axis=1)) * (np.roll(bias, -1) - bias), axis=1))
    x, y = (checked.spectra[name].to_numpy() for name in "xy")
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    flat = patches.reshape(len(patches), -1)
    flat = flat - flat.mean(axis=0)
    _, size, rows = np.linalg.svd(flat, full_matrices=False)
    components = flat @ rows[:5].T / (size[:5] / np.sqrt(len(flat)))
    response = np.abs(image - np.median(image))
    around = np.sqrt(gaussian_filter(response**2, 1.0))
    least = 0.3 * np.median(response)
    descriptors = np.log(np.stack([response + least, around + least], axis=-1)).reshape(-1, 2)
    # in 1/1000 of its unit: near 1, as people would plot it
    return Loops(places[good], patches[good], components[good], descriptors[good], 1e3 * area[good])


def search_by_model(name: str, seed: int) -> Search:
    """A policy with a model."""
    torch.set_num_threads(1)
    sees, acquisition = BY_MODEL[name]
    loops = read_loops()
    deep = name.startswith("dkl")
    surrogate = ad.DeepKernelRegressor(random_state=seed) if deep else ad.GaussianProcessRegressor(isotropic=True)
    return Search(
        loops.places,
        surrogate=surrogate,
        inputs=getattr(loops, sees),
        acquisition=acquisition,
        n_initial=N_FIRST,
        random_state=seed,
    )


def search_by_design(name: str, n_points: int, seed: int) -> Search:
    """A policy without one."""
    torch.set_num_threads(1)
    chosen = acquisition_of(name, {"n": n_points} if name in SIZED else {})
    return Search(read_loops().places, surrogate=None, acquisition=chosen, random_state=seed)


def reconstruct(places: Array, values: Array, wanted: Array) -> Array:
    """The map at some places, the same for all policies."""
    loops = read_loops()
    of = cKDTree(loops.places)
    known, asked = (loops.descriptors[of.query(each)[1]] for each in (places, wanted))
    return ad.GaussianProcessRegressor(isotropic=True, most_exact=1000).fit(known, values).posterior(asked).mean


def run(recorder: Recorder, *, n_seeds: int = 20, n_points: int = 120, n_points_of_designs: int = 1000) -> None:
    """All policies, over all seeds."""
    loops = read_loops()
    whole = ad.GaussianProcessRegressor(isotropic=True, most_exact=1000).fit(loops.descriptors, loops.area)
    said, _ = whole._left_out()
    full = float(1 - np.mean((said[:, 0] - loops.area) ** 2) / loops.area.var())
    recorder.add("automated_search/beps/full_grid_r2", full)
    recorder.add("automated_search/beps/seeds", n_seeds)
    sample = KnownSample(loops.places, loops.area)
    parts = []
    groups: list[tuple[dict[str, Callable[[int], Search]], int]] = [
        ({name: partial(search_by_design, name, n_points_of_designs) for name in DESIGNS}, n_points_of_designs),
        ({name: partial(search_by_model, name) for name in BY_MODEL}, n_points),
    ]
    for policies, most in groups:
        parts.append(
            replay(
                sample,
                policies,
                seeds=range(n_seeds),
                n_points=most,
                batch=BATCH,
                reconstruct=reconstruct,
                maps_at=[number for number in MAPS_AT if number <= most],
                n_processes=2,
            )
        )
        print(f"  {len(policies)} policies, {n_seeds} seeds each: done", flush=True)
    runs = pd.concat(parts, ignore_index=True)
    _record(recorder, runs, full)
    _draw(runs, full)


def _record(recorder: Recorder, runs: pd.DataFrame, full: float) -> None:
    """Medians and bands of all policies; how the best one by a model compares with the designs."""
    tasks = {
        "map": ("map_r2", ENOUGH * full),
        "first_of_top": ("top_share", 1e-9),
        "half_of_top": ("top_share", 0.5),
    }
    for task, (column, level) in tasks.items():
        table = measurements_to_reach(runs, column, level).set_index("policy")
        print(task, table.to_string(), sep="\n", flush=True)
        for policy, row in table.iterrows():
            figure = f"automated_search/beps/{task}/{policy}"
            recorder.add(f"{figure}/share_of_seeds_that_got_there", row["reached"])
            for name in ("low", "median", "high"):
                if np.isfinite(row[name]):
                    recorder.add(f"{figure}/measurements_{name}", row[name])
        ours = table.loc[list(BY_MODEL), "median"].min()
        for design, goal in (("random", "<= 0.5"), ("latin_hypercube", "<= 0.7"), ("coarse_to_fine", "<= 0.7")):
            other = table["median"][design]
            if np.isfinite(ours) and np.isfinite(other):
                figure = f"automated_search/beps/{task}/best_by_model_over_{design}"
                recorder.add(figure, ours / other, goal=None if task == "map" else goal)


def _draw(runs: pd.DataFrame, full: float) -> None:
    """Learning curves: medians, and bands that hold 80 % of the seeds."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    titles = {"best": "largest loop area found", "top_share": "share of the top 1 % found", "map_r2": "R2 of the map"}
    for ax, (column, title) in zip(axes, titles.items(), strict=True):
        for policy, rows in curves(runs, column).groupby("policy", sort=False):
            style = "--" if policy in DESIGNS else "-"
            (line,) = ax.plot(rows["n_measured"], rows["median"], style, label=str(policy).replace("_", " "))
            ax.fill_between(rows["n_measured"], rows["low"], rows["high"], color=line.get_color(), alpha=0.1, lw=0)
        ax.set(title=title, xlabel="measurements", xscale="log")
    axes[1].legend(fontsize=6)
    axes[2].axhline(ENOUGH * full, color="0.5", linewidth=0.8)
    axes[2].set_ylim(0, None)
    figure.savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a look at some figures; nothing is kept")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--points", type=int, default=60)
    arguments = parser.parse_args()
    from benchmarks.automated_search import run  # by its own name, by which other processes find it

    run(Recorder(command="a look"), n_seeds=arguments.seeds, n_points=arguments.points, n_points_of_designs=200)
