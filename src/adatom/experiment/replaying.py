"""What a policy is worth: an experiment on a twin, played again by it and by plain designs, over many seeds."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from adatom.cluster import Cluster, open_cluster
from adatom.data.atomic_file import write_atomically
from adatom.decide import Search, acquisition_of
from adatom.decide.replay import KnownSample, curves, measurements_to_reach, replay
from adatom.errors import ExperimentError
from adatom.experiment.devices import spectrum_settings
from adatom.experiment.history import History, history_of
from adatom.experiment.plan import ExperimentPlan
from adatom.experiment.quantities import value_of
from adatom.experiment.record import kept_arrays, read_record
from adatom.experiment.searching import search_of, surrogate_of
from adatom.experiment.targets import Array, TargetSet
from adatom.instruments.twin import World, open_twin
from adatom.report.canvas import figure_png, make_figure, style_chart

DESIGNS = ("random", "grid", "latin_hypercube", "coarse_to_fine")
_SIZED = ("grid", "latin_hypercube")  # these have to be told how many points there will be
_DESIGN_POINTS = 3  # times the points of the plan, that designs may take
_BATCH = 5


def replay_experiment(
    folder: Path,
    n_seeds: int,
    *,
    cluster: str | Cluster | None = None,
    on_policy: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Replay an experiment on a twin, whose values are all known; writes ``replay.csv`` and ``replay.png``.

    Parameters
    ----------
    folder : of the experiment, which has to have its targets.
    n_seeds : runs of each policy.
    cluster : whose workers do the runs, as of `adatom.cluster.open_cluster`.
    on_policy : called when another policy is through, with how many are.

    Returns
    -------
    Measurements until one of the best 1 % of the targets was found, by policy: ``low``, ``median``, ``high`` over the
    seeds, and ``reached``, the share of runs that got there.

    Raises
    ------
    ExperimentError : if the experiment was on no twin, or has no targets yet.
    """
    history = history_of(read_record(folder))
    if history.plan is None or history.targets is None:
        raise ExperimentError(f"folder: expected an experiment that has targets, got {folder}, which has none yet.")
    plan = history.plan
    if plan.instrument.name != "twin":
        raise ExperimentError("replay: expected an experiment on a twin, of which all values are known.")
    targets = TargetSet(**kept_arrays(folder, history.targets))
    values = _values(plan, targets)
    good = np.isfinite(values)
    if plan.quantity.goal == "lowest":
        values = -values
    kept = TargetSet(targets.places[good], targets.inputs[good], targets.names[good])
    sample, most = KnownSample(kept.places, values[good]), min(_DESIGN_POINTS * plan.stop.points, int(good.sum()))
    policies: dict[str, tuple[Callable[[int], Search], int]] = {
        f"{plan.policy.acquisition} ({plan.policy.model})": (partial(_own, plan, kept), min(plan.stop.points, most))
    }
    policies |= {
        name: (partial(_design, name, kept, most), most) for name in DESIGNS if name != plan.policy.acquisition
    }
    parts = []
    with nullcontext() if cluster is None else open_cluster(cluster) as workers:
        for count, (name, (policy, n_points)) in enumerate(policies.items(), start=1):
            parts.append(
                replay(
                    sample,
                    {name: policy},
                    seeds=range(n_seeds),
                    n_points=n_points,
                    batch=max(_BATCH, plan.policy.batch),
                    maps_at=(),
                    cluster=workers,
                )
            )
            if on_policy is not None:
                on_policy(count)
    runs = pd.concat(parts, ignore_index=True)
    write_atomically(folder / "replay.csv", runs.drop(columns="map_r2").to_csv(index=False))
    write_atomically(folder / "replay.png", figure_png(_draw(runs), dpi=130))
    return measurements_to_reach(runs, "top_share", 1e-9).set_index("policy")


def _values(plan: ExperimentPlan, targets: TargetSet) -> Array:
    """The quantity (n,) at all targets, without noise, drift or accidents."""
    of_world = World.model_fields.keys() - {"seed"} | {"faults"}
    settings = {name: value for name, value in plan.instrument.settings.items() if name not in of_world}
    twin = open_twin(**settings)
    asked = spectrum_settings(twin.describe(), plan)
    values = np.empty(len(targets.places))
    twin.make_ready()
    for number, (x, y) in enumerate(targets.places):
        twin.move(float(x), float(y), speed_nm_per_s=1e12)
        seen = twin.spectrum(asked).to_numpy().astype(float)
        values[number] = value_of(plan.quantity, asked.axis, np.asarray(asked.values, dtype=float), seen)
    return values


def _own(plan: ExperimentPlan, targets: TargetSet, seed: int) -> Search:
    """The policy of the plan; its best is the highest here."""
    highest: dict[str, Any] = {"goal": "highest"}
    changed = plan.model_copy(update={"seed": seed, "quantity": plan.quantity.model_copy(update=highest)})
    return search_of(changed, targets, History(), surrogate_of(plan.policy, seed))


def _design(name: str, targets: TargetSet, n_points: int, seed: int) -> Search:
    chosen = acquisition_of(name, {"n": n_points} if name in _SIZED else {})
    return Search(targets.places, surrogate=None, acquisition=chosen, random_state=seed)


def _draw(runs: pd.DataFrame) -> Figure:
    """Share of the best found, medians and the bands that hold 80 % of the seeds."""
    figure = make_figure(4.2, 2.9)
    ax = figure.subplots()
    for policy, rows in curves(runs, "top_share").groupby("policy", sort=False):
        style = "--" if policy in DESIGNS else "-"
        (line,) = ax.plot(rows["n_measured"], rows["median"], style, label=str(policy).replace("_", " "), linewidth=1)
        ax.fill_between(rows["n_measured"], rows["low"], rows["high"], color=line.get_color(), alpha=0.12, lw=0)
    ax.set(xlabel="measurements", ylabel="share of the best 1 % found")
    ax.legend(fontsize=6, frameon=False)
    style_chart(ax)
    figure.tight_layout(pad=0.5)
    return figure
