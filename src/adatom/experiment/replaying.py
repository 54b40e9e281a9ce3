"""What a policy is worth: an experiment on a twin, played again by it and by plain designs, over many seeds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from adatom.data.atomic_file import write_atomically
from adatom.decide import Surrogate
from adatom.decide.replay import Policy, needed, replay
from adatom.errors import ExperimentError
from adatom.experiment.loop import Experiment
from adatom.experiment.targets import targets_of
from adatom.instruments.twin import open_twin
from adatom.report.canvas import figure_png, make_figure, style_chart

DESIGNS = ("random", "grid", "latin_hypercube", "coarse_to_fine")


def replay_experiment(folder: str | Path, n_seeds: int, on_run: Callable[[int], None]) -> pd.DataFrame:
    """Replay an experiment on a twin; writes ``replay.csv`` and ``replay.png`` into its folder.

    Returns
    -------
    Measurements until one of the best 1 % was found, by policy, see `adatom.decide.replay.needed`.

    Raises
    ------
    ExperimentError : if it was no twin, or has no overview yet.
    """
    experiment = Experiment.resume(folder)
    try:
        plan = experiment.plan
        if plan.instrument.name != "twin":
            raise ExperimentError("replay: expected an experiment on a twin, of which all values are known.")
        if not any(True for _ in experiment.record.of("overview")):
            raise ExperimentError("replay: expected an experiment with an overview, got none yet.")
        targets = targets_of(plan, experiment.overview)
        settings = {
            **plan.instrument.settings,
            "noise": 0.0,
            "drift_nm_per_s": (0.0, 0.0),
            "creep": 0.0,
            "waits": False,
        }
        faults = ("crash", "fail_every", "garbage_every", "disconnect_after")
        twin = open_twin(**{name: value for name, value in settings.items() if name not in faults})
        spectrum, values = plan.spectrum.settings(), np.empty(len(targets.places))
        for number, (x, y) in enumerate(targets.places):
            twin.move(x, y, speed_nm_per_s=1e12)
            seen = twin.spectrum(spectrum)
            at = seen[seen.dims[0]].to_numpy().astype(float)
            values[number] = plan.quantity.of(at, seen.to_numpy().astype(float), plan.spectrum.axis)
    finally:
        experiment.close()
    good = np.isfinite(values)
    values = -values[good] if plan.policy.minimise else values[good]

    def surrogate(seed: int) -> Surrogate:
        from adatom.models import DeepKernelRegressor, GaussianProcessRegressor

        if plan.policy.model == "deep_kernel":
            return DeepKernelRegressor(random_state=seed)
        return GaussianProcessRegressor(isotropic=True)

    policy = plan.policy
    own = Policy(
        policy.acquisition, policy.acquisition, policy.settings, surrogate, targets.inputs[good], max(policy.batch, 3)
    )
    policies = [own, *(Policy(name, name) for name in DESIGNS if name != policy.acquisition)]
    done = [0]

    def count(_: str, __: int) -> None:
        done[0] += 1
        on_run(done[0])

    n_points = min(max(3 * plan.stop.points, 100), len(values))
    runs = pd.concat(
        replay(
            targets.places[good],
            values,
            [each],
            seeds=range(n_seeds),
            n_points=min(plan.stop.points, len(values)) if each is own else n_points,
            n_first=policy.n_first,
            on_run=count,
        )
        for each in policies
    )
    write_atomically(Path(folder) / "replay.csv", runs.drop(columns="r2").to_csv(index=False))
    write_atomically(Path(folder) / "replay.png", figure_png(_draw(runs), 130))
    return needed(runs, "top_found", 1e-9)


def _draw(runs: pd.DataFrame) -> Figure:
    """Learning curves: medians, and the middle half of the seeds."""
    figure = make_figure(4.2, 2.9)
    ax = figure.subplots()
    for name, of in runs.groupby("policy", sort=False):
        seen = of.groupby("n")["best"].quantile(np.array([0.25, 0.5, 0.75])).unstack()  # noqa: PD010
        (line,) = ax.plot(
            seen.index, seen[0.5], label=str(name), linestyle="--" if name in DESIGNS else "-", linewidth=1
        )
        ax.fill_between(seen.index, seen[0.25], seen[0.75], color=line.get_color(), alpha=0.12, linewidth=0)
    ax.set(xlabel="measurements", ylabel="quantile of the best so far", ylim=(0.9, 1.002))
    ax.legend(fontsize=6, frameon=False)
    style_chart(ax)
    figure.tight_layout(pad=0.5)
    return figure
