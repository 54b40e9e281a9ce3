"""Real hysteresis loops (BEPS on PbTiO3) played back: what each policy would have found after how many of them.

A fifth of the good loops, drawn once, judges the maps and is never measured; the other places are candidates. A broken
loop (`prepare/spectrum_outliers.py`, by the spectra alone) is a measurement that failed and is paid for all the same.

Two questions, for two properties of a loop, over seeds:

- map: how many measurements until the map made of them (the mean of the six nearest, weighted by inverse distance, for
  every policy) reaches 90 % of the R2 that the map of all candidates has on the held-out places;
- search: how many until one, and until half, of the highest 1 % of all candidates were measured.

``python -m benchmarks.automated_search --seeds 20 --points 400 --out FOLDER`` also draws the curves.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

import adatom as ad
from adatom.analyse.spectrum_descriptors import loop_descriptors
from adatom.decide import Posterior, Search
from adatom.decide.replay import KnownSample, curves, map_r2, measurements_to_reach, nearby_mean, replay
from adatom.prepare.spectrum_outliers import check_spectra
from benchmarks.record import FOLDER, Recorder

FILE = FOLDER.parent.parent / "shared" / "data" / "beps_pto" / "BEPS_PTO_50x50.h5"
PROPERTIES = ("work", "height")
DESIGNS = ("random", "grid", "latin_hypercube", "coarse_to_fine", "maximin")
BY_MODEL = (
    "expected_improvement",
    "upper_confidence_bound",
    "probability_of_improvement",
    "thompson",
    "knowledge_gradient",
    "maximum_uncertainty",
)
SIZED = ("grid", "latin_hypercube")  # designs that have to be told how many points there will be
HELD_OUT = 0.2


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    seeds: int = 20
    points: int = 400
    batch: int = 20
    processes: int = 2
    policies: tuple[str, ...] = field(default=DESIGNS + BY_MODEL)


class PlainGP:
    """Gaussian process of scikit-learn over places, Matern 5/2 and noise, their numbers the likeliest for up to
    200 of the measurements."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, inputs: Any, targets: Any) -> Self:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        self._middle, self._scale = float(targets.mean()), max(float(targets.std()), 1e-12)
        values = (targets[:, 0] - self._middle) / self._scale
        kernel = ConstantKernel(0.5, (0.05, 5)) * Matern(200.0, (60.0, 2000.0), nu=2.5) + WhiteKernel(0.5, (0.01, 2))
        some = np.random.default_rng(self._seed).permutation(len(values))[:200]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a number at its bound is what few measurements say
            kernel = GaussianProcessRegressor(kernel).fit(inputs[some], values[some]).kernel_
        self._noise = float(np.sqrt(kernel.k2.noise_level))
        self._model = GaussianProcessRegressor(kernel.k1, alpha=self._noise**2, optimizer=None).fit(inputs, values)
        return self

    def posterior(self, inputs: Any) -> Posterior:
        mean, std = self._model.predict(inputs, return_std=True)

        def joint(which: Any) -> Any:
            return self._model.predict(inputs[which], return_cov=True)[1][None] * self._scale**2

        noise = np.full((len(inputs), 1), self._noise * self._scale)
        return Posterior(mean[:, None] * self._scale + self._middle, std[:, None] * self._scale, noise, joint)


def search_of(acquisition: str, places: Any, settings: dict[str, Any], seed: int) -> Search:
    """A policy of the replay."""
    if acquisition in DESIGNS:
        from adatom.decide import acquisition_of

        chosen = acquisition_of(acquisition, settings)
        return Search(places, surrogate=None, acquisition=chosen, random_state=seed)
    return Search(places, surrogate=PlainGP(seed), acquisition=acquisition, n_initial=20, random_state=seed)


def sample_of(name: str) -> KnownSample:
    """Candidates and held-out places of one property: the area of a loop, or its highest minus its lowest point, in
    1/1000 of their units."""
    image = ad.read(FILE)
    checked = check_spectra(image)
    bias = checked.spectra["bias"].to_numpy()
    loops = checked.spectra.to_numpy().reshape(-1, len(bias))
    values = loop_descriptors(bias, loops)["work"] if name == "work" else np.ptp(loops, axis=1)
    values = 1e3 * np.where(checked.good.ravel(), values, np.nan)
    y, x = np.meshgrid(image["y"].to_numpy(), image["x"].to_numpy(), indexing="ij")
    places = np.column_stack([x.ravel(), y.ravel()])
    good = np.flatnonzero(np.isfinite(values))
    judges = np.random.default_rng(0).permutation(good)[: round(HELD_OUT * len(good))]
    rest = np.setdiff1d(np.arange(len(values)), judges)
    return KnownSample(places[rest], values[rest], places[judges], values[judges])


def run(recorder: Recorder, size: Size = Size(), out: Path | None = None) -> None:
    """Both properties."""
    for name in PROPERTIES:
        sample = sample_of(name)
        known = np.isfinite(sample.values)
        said = nearby_mean(sample.places[known], sample.values[known][:, None], sample.judge_places)
        full = map_r2(sample.judge_values[:, None], said)
        print(f"  {name}: {known.sum()} of {len(known)} candidates good; R2 of the map of all of them {full:.3f}")
        started = time.monotonic()
        policies: dict[str, Callable[[int], Search]] = {
            each: partial(search_of, each, sample.places, {"n": size.points} if each in SIZED else {})
            for each in size.policies
        }
        runs = replay(
            sample,
            policies,
            seeds=range(size.seeds),
            n_points=size.points,
            batch=size.batch,
            n_processes=size.processes,
        )
        print(f"  {len(policies) * size.seeds} runs in {time.monotonic() - started:.0f} s", flush=True)
        if out is not None:
            runs.to_csv(out / f"{name}.csv", index=False)
            draw(runs, full, out / f"{name}.png", name)
        record(recorder, name, runs, full)


def record(recorder: Recorder, name: str, runs: pd.DataFrame, full: float) -> None:
    """Medians and bands of all policies; how the best one by a model compares with the designs."""
    recorder.add(f"search/{name}/r2_of_full_map", full)
    recorder.add(f"search/{name}/seeds", runs["seed"].nunique())
    tasks = {"map": ("map_r2", 0.9 * full), "first_of_top": ("top_share", 1e-9), "half_of_top": ("top_share", 0.5)}
    for task, (column, level) in tasks.items():
        table = measurements_to_reach(runs, column, level).set_index("policy")
        print(table.to_string(), flush=True)
        for policy, row in table.iterrows():
            for part in ("low", "median", "high"):
                if np.isfinite(row[part]):
                    recorder.add(f"search/{name}/{task}/{policy}/{part}", row[part])
            recorder.add(f"search/{name}/{task}/{policy}/share_of_runs_that_get_there", row["reached"])
        by_model = table.loc[[each for each in BY_MODEL if each in table.index], "median"]
        for design, goal in (("random", 0.5), ("latin_hypercube", 0.7), ("coarse_to_fine", 0.7)):
            if design in table.index and np.isfinite(by_model.min()) and np.isfinite(table["median"][design]):
                recorder.add(
                    f"search/{name}/{task}/best_by_model_over_{design}",
                    by_model.min() / table["median"][design],
                    goal=f"<= {goal}" if task != "map" else None,
                )


def draw(runs: pd.DataFrame, full: float, file: Path, name: str) -> None:
    """Learning curves with bands that hold 80 % of the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(18, 5.5), constrained_layout=True)
    columns = {"map_r2": "R2 of the map", "top_share": "share of the top 1 % found", "best": f"best {name}"}
    colours = plt.get_cmap("tab20").colors
    for panel, (column, title) in zip(panels, columns.items(), strict=True):
        for number, (policy, rows) in enumerate(curves(runs, column).groupby("policy", sort=False)):
            style = "--" if policy in DESIGNS else "-"
            panel.plot(rows["n_measured"], rows["median"], style, color=colours[number], label=policy)
            panel.fill_between(rows["n_measured"], rows["low"], rows["high"], color=colours[number], alpha=0.12, lw=0)
        panel.set_xlabel("measurements")
        panel.set_title(title)
    panels[0].axhline(0.9 * full, color="0.3", lw=0.8)
    panels[0].set_ylim(0, max(full * 1.1, 0.1))
    panels[0].legend(fontsize=8)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--policies", nargs="+", default=DESIGNS + BY_MODEL)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", action="store_true", help="add the figures to results.jsonl")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(command="make bench NAME=automated_search")
    run(recorder, Size(arguments.seeds, arguments.points, policies=tuple(arguments.policies)), arguments.out)
    if arguments.keep:
        recorder.save()
