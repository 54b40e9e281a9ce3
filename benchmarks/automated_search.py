"""Searching real hysteresis loops (BEPS on PbTiO3) by policies: measurements to a map, and to the best places.

The cheap image is the map of the loops' first point (0 V); what is measured is the area of the loop. A model sees of
each place a patch of 7 x 7 pixels, or its principal components, or two descriptors, the strength of the response there
and around it, or where it is. Loops that are broken by the cleaning rule of `check_spectra` are left out, and their
places. One process, over the descriptors, reconstructs the map for every policy; its accuracy on the full grid is that
of each place told by all the others, and a policy has the map when it tells 90 % of that at places that it did not
measure. It has found the best when it has measured one of the top 1 % of the places, and most of them when half. Models
learn anew after every fifth measurement.

``python -m benchmarks.automated_search --tiny`` tries the way with two seeds and keeps no figures.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import adatom as ad
from adatom.decide.replay import Policy, needed, replay
from adatom.prepare.spectrum_outliers import check_spectra
from adatom.prepare.spectrum_pairs import map_at
from benchmarks.record import FOLDER, Recorder

Array = NDArray[np.float64]

FILE = FOLDER.parent.parent / "shared" / "data" / "beps_pto" / "BEPS_PTO_50x50.h5"
PATCH, TOP, ENOUGH = 7, 0.01, 0.9
DESIGNS = ("random", "grid", "latin_hypercube", "coarse_to_fine")
FIGURE = FOLDER.parent / "docs" / "images" / "automated_search.png"


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    n_seeds: int = 20
    n_points: int = 200
    look_at: tuple[int, ...] = (25, 50, 75, 100, 150, 200)
    n_points_of_designs: int = 1000
    look_at_of_designs: tuple[int, ...] = (25, 50, 75, 100, 150, 200, 300, 400, 600, 800)


TINY = Size(2, 60, (30, 60), 120, (30, 60, 120))


@dataclass(frozen=True)
class Loops:
    """What is known of each place."""

    places: Array
    patches: Array
    components: Array
    descriptors: Array
    area: Array


def read_loops() -> Loops:
    """Places with a good loop."""
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
    return Loops(places[good], patches[good], components[good], descriptors[good], area[good])


def policies(loops: Loops) -> tuple[list[Policy], list[Policy]]:
    """Those with a model, and the designs."""

    def plain(seed: int) -> ad.GaussianProcessRegressor:
        return ad.GaussianProcessRegressor(isotropic=True)

    def deep(seed: int) -> ad.DeepKernelRegressor:
        return ad.DeepKernelRegressor(random_state=seed)

    expected, bound = "expected_improvement", "upper_confidence_bound"
    told = [
        Policy("process on places, expected improvement", expected, {}, plain, None, 5),
        Policy("process on patches, expected improvement", expected, {}, plain, loops.components, 5),
        Policy("process on descriptors, expected improvement", expected, {}, plain, loops.descriptors, 5),
        Policy("process on descriptors, upper bound", bound, {}, plain, loops.descriptors, 5),
        Policy("process on descriptors, uncertainty", "uncertainty", {}, plain, loops.descriptors, 5),
        Policy("deep kernel on patches, expected improvement", expected, {}, deep, loops.patches, 5),
    ]
    return told, [Policy(name, name) for name in DESIGNS]


def run(recorder: Recorder, size: Size = Size()) -> None:
    """All policies, over all seeds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    loops = read_loops()
    plain = ad.GaussianProcessRegressor(isotropic=True, most_exact=1000)

    def reconstruct(which: NDArray[np.int64], values: Array) -> Array:
        return plain.fit(loops.descriptors[which], values).posterior(loops.descriptors).mean[:, 0]

    whole, _ = plain.fit(loops.descriptors, loops.area)._left_out()
    full = float(1 - np.mean((whole[:, 0] - loops.area) ** 2) / loops.area.var())
    recorder.add("automated_search/beps/full_grid_r2", full)
    told, designs = policies(loops)
    runs = [
        replay(
            loops.places,
            loops.area,
            some,
            seeds=range(size.n_seeds),
            n_points=n_points,
            look_at=look_at,
            reconstruct=reconstruct,
            top_share=TOP,
            on_run=lambda name, seed: print(f"  {name}: seed {seed}", flush=True),
        )
        for some, n_points, look_at in (
            (told, size.n_points, size.look_at),
            (designs, size.n_points_of_designs, size.look_at_of_designs),
        )
    ]
    _record(recorder, runs[0], runs[1], full)
    _draw(runs[0], runs[1], full)
    torch.set_num_threads(threads)


def _record(recorder: Recorder, told: pd.DataFrame, designs: pd.DataFrame, full: float) -> None:
    runs = pd.concat([told, designs])
    tasks = {
        "first_of_top": ("top_found", 1e-9),
        "half_of_top": ("top_found", 0.5),
        "map": ("r2", ENOUGH * full),
    }
    for task, (column, level) in tasks.items():
        table = needed(runs, column, level)
        print(task, table.to_string(), sep="\n", flush=True)
        for policy, row in table.iterrows():
            figure = f"automated_search/beps/{task}/{str(policy).replace(', ', '/').replace(' ', '_')}"
            recorder.add(f"{figure}/share_of_seeds_that_got_there", row["n_reached"] / row["n_seeds"])
            for name in ("median", "low", "high"):
                if np.isfinite(row[name]):
                    recorder.add(f"{figure}/measurements_{name}", row[name])
        median = table["median"]
        ours = float(median[told["policy"].unique()].min())
        for other, goal in (("random", "<= 0.5"), ("latin_hypercube", "<= 0.7"), ("coarse_to_fine", "<= 0.7")):
            if np.isfinite(ours) and np.isfinite(median[other]):
                figure = f"automated_search/beps/{task}/best_policy_over_{other}"
                recorder.add(figure, ours / median[other], goal=goal if task == "first_of_top" else None)


def _draw(told: pd.DataFrame, designs: pd.DataFrame, full: float) -> None:
    """Learning curves: medians, and the middle half of the seeds."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    for name, runs in pd.concat([told, designs]).groupby("policy", sort=False):
        for ax, column in zip(axes, ("best", "top_found", "r2"), strict=True):
            seen = runs.dropna(subset=[column]).groupby("n")[column].quantile([0.25, 0.5, 0.75]).unstack()  # noqa: PD010
            (line,) = ax.plot(seen.index, seen[0.5], label=str(name), linestyle="--" if name in DESIGNS else "-")
            ax.fill_between(seen.index, seen[0.25], seen[0.75], color=line.get_color(), alpha=0.12, linewidth=0)
    for ax, title in zip(axes, ("quantile of the best", "share of the top 1 % found", "R2 of the map"), strict=True):
        ax.set(title=title, xlabel="measurements", xscale="log", xlim=(10, None))
    axes[0].set_ylim(0.9, 1.001)
    axes[2].axhline(ENOUGH * full, color="0.5", linewidth=0.8)
    axes[1].legend(fontsize=7)
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a look at some figures; nothing is kept")
    parser.add_argument("--tiny", action="store_true", help="two seeds")
    run(Recorder(command="a look"), TINY if parser.parse_args().tiny else Size())
