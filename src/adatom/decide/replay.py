"""Policies compared on a sample that is wholly known: what each would have found after how many measurements."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from adatom.cluster import Cluster, open_cluster
from adatom.decide.posterior import Array
from adatom.decide.search import Search
from adatom.errors import ArgumentError, ShapeError

Policy = Callable[[int], Search]
Reconstruct = Callable[[Array, Array, Array], Array]  # measured places (m, 2), values (m, k), places (n, 2) to (n, k)

_BAND = (0.1, 0.9)


@dataclass(frozen=True)
class KnownSample:
    """All that a replay may look up.

    Parameters
    ----------
    places : (n, 2), candidates [nm].
    values : (n,) or (n, k); NaN where a measurement fails. High values of the first output are looked for.
    judge_places, judge_values : by which maps are judged; the candidates where left out. Where values are noisy, take
        places that are no candidates, or a policy is praised for repeating the noise that it measured.
    """

    places: ArrayLike
    values: ArrayLike
    judge_places: ArrayLike | None = None
    judge_values: ArrayLike | None = None


def replay(
    sample: KnownSample,
    policies: Mapping[str, Policy],
    *,
    seeds: Sequence[int],
    n_points: int,
    batch: int = 1,
    reconstruct: Reconstruct | None = None,
    maps_at: Sequence[int] | None = None,
    n_processes: int = 1,
    cluster: str | Cluster | None = None,
) -> pd.DataFrame:
    """Learning curves of policies.

    Parameters
    ----------
    policies : by name, a function that makes the search of a seed, over ``sample.places``.
    seeds : one run each.
    n_points : measurements of a run, failed ones too.
    batch : candidates asked for at a time.
    reconstruct : makes the map from what was measured, the same for every policy; `nearby_mean` by default.
    maps_at : the first ask from each of these numbers of measurements on makes a map; by default each ask does.
    n_processes : more than one needs policies that can be pickled.
    cluster : whose workers do the runs, as of `adatom.cluster.open_cluster`, such as ``tcp://10.0.0.5:8786``; needs
        policies that can be pickled.

    Returns
    -------
    A row for each ask: ``policy``, ``seed``, ``n_measured`` (failed ones too), ``best`` (highest first output found),
    ``top_share`` (of the highest 1 % of all candidates, how many were measured), ``map_r2`` (1 - squared error of the
    map over the variance of the judged values; the mean of the outputs; NaN where no map was made).

    Raises
    ------
    ShapeError, ArgumentError : if sample and policies do not belong together.
    ClusterError : if workers die of a run, or the scheduler is gone.
    """
    checked = _checked(sample)
    if n_points < 1 or batch < 1 or not policies or not len(seeds):
        raise ArgumentError("replay: expected policies, seeds, and n_points and batch of 1 or more.")
    one_run = partial(
        _run,
        sample=checked,
        n_points=n_points,
        batch=batch,
        reconstruct=reconstruct or nearby_mean,
        maps_at=None if maps_at is None else sorted(maps_at),
    )
    tasks = [(name, policy, seed) for name, policy in policies.items() for seed in seeds]
    if cluster is not None:
        with open_cluster(cluster) as workers, workers.sharing(one_run) as shared:
            runs = list(workers.in_order(_run_one, tasks, shared=shared))
    elif n_processes == 1:
        runs = [one_run(*task) for task in tasks]
    else:
        with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
            runs = list(pool.map(one_run, *zip(*tasks, strict=True)))
    return pd.concat(runs, ignore_index=True)


def curves(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Median over the seeds and the band that holds 80 % of them.

    Returns
    -------
    A row a policy and number of measurements: ``policy``, ``n_measured``, ``low``, ``median``, ``high``.
    """
    by_step = runs.dropna(subset=[column]).groupby(["policy", "n_measured"], sort=False)[column]
    table = by_step.quantile(np.array([_BAND[0], 0.5, _BAND[1]])).unstack()  # noqa: PD010
    table.columns = pd.Index(["low", "median", "high"])
    return table.reset_index()


def measurements_to_reach(runs: pd.DataFrame, column: str, level: float) -> pd.DataFrame:
    """How many measurements a policy needs until `column` reaches a level and stays there.

    Returns
    -------
    A row a policy: ``policy``, ``low``, ``median``, ``high`` over the seeds, infinite where a run does not get there,
    and ``reached``, the share of runs that do.
    """
    rows = []
    for policy, of_policy in runs.dropna(subset=[column]).groupby("policy", sort=False):
        needed = []
        for _, run in of_policy.groupby("seed"):
            below = run.loc[~(run[column] >= level), "n_measured"]
            after = run.loc[run["n_measured"] > (below.max() if len(below) else 0), "n_measured"]
            needed.append(float(after.min()) if len(after) else np.inf)
        # of runs as they are, since nothing lies between a number and infinity
        low, median, high = np.quantile(needed, [_BAND[0], 0.5, _BAND[1]], method="inverted_cdf")
        reached = float(np.isfinite(needed).mean())
        rows.append({"policy": policy, "low": low, "median": median, "high": high, "reached": reached})
    return pd.DataFrame(rows)


def nearby_mean(places: Array, values: Array, wanted: Array, n_near: int = 6) -> Array:
    """The mean of the nearest measured values, each weighted by its inverse distance."""
    away, which = KDTree(places).query(wanted, k=min(n_near, len(places)))
    away, which = away.reshape(len(wanted), -1), which.reshape(len(wanted), -1)
    weight = 1 / np.maximum(away, 1e-9)
    return np.asarray((values[which] * weight[:, :, None]).sum(axis=1) / weight.sum(axis=1)[:, None])


def map_r2(true: Array, said: Array) -> float:
    """1 - squared error over variance, the mean of the outputs (n, k)."""
    return float(np.mean(1 - ((true - said) ** 2).mean(axis=0) / true.var(axis=0)))


def _run_one(one_run: Callable[..., pd.DataFrame], task: tuple[str, Policy, int]) -> pd.DataFrame:
    """One of the runs, on a worker that has what all of them need."""
    return one_run(*task)


def _run(
    name: str,
    policy: Policy,
    seed: int,
    sample: tuple[Array, Array, Array, Array],
    n_points: int,
    batch: int,
    reconstruct: Reconstruct,
    maps_at: Sequence[int] | None,
) -> pd.DataFrame:
    places, values, judge_places, judge_values = sample
    search = policy(seed)
    if not np.array_equal(search.places, places):
        raise ArgumentError(f"policies: expected searches over the places of the sample, got others of {name!r}.")
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    n_top = max(1, round(0.01 * len(known)))
    top = known[np.argsort(-values[known, 0], kind="stable")[:n_top]]
    rows = []
    n_measured = 0
    while n_measured < n_points:
        asked = search.ask(min(batch, n_points - n_measured))
        if not len(asked):
            break
        search.tell(asked, values[asked])
        n_measured += len(asked)
        row = {"policy": name, "seed": seed, "n_measured": n_measured, "best": np.nan, "top_share": 0.0, "map_r2": 0.0}
        makes_map = maps_at is None or any(n_measured - len(asked) < number <= n_measured for number in maps_at)
        if len(search.measured):
            row["best"] = search.values[:, 0].max()
            row["top_share"] = float(np.isin(top, search.measured).mean())
            if makes_map:
                row["map_r2"] = map_r2(judge_values, reconstruct(places[search.measured], search.values, judge_places))
        if not makes_map:
            row["map_r2"] = np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _checked(sample: KnownSample) -> tuple[Array, Array, Array, Array]:
    places, values = np.asarray(sample.places, dtype=float), np.asarray(sample.values, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(places) != len(values):
        raise ShapeError(f"sample: expected a row of values for each of {len(places)} places, got {values.shape}.")
    if sample.judge_places is None or sample.judge_values is None:
        known = np.isfinite(values).all(axis=1)
        judge_places, judge_values = places[known], values[known]
    else:
        judge_places = np.asarray(sample.judge_places, dtype=float)
        judge_values = np.asarray(sample.judge_values, dtype=float)
        judge_values = judge_values[:, None] if judge_values.ndim == 1 else judge_values
    if judge_values.shape != (len(judge_places), values.shape[1]):
        raise ShapeError(
            f"sample: expected {(len(judge_places), values.shape[1])} values to judge by, got {judge_values.shape}."
        )
    if not len(judge_values) or not np.isfinite(judge_values).all():
        raise ArgumentError("sample: expected finite values to judge maps by, got others.")
    return places, values, judge_places, judge_values
