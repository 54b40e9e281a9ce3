"""Replays: policies on candidates whose values are all known, over many seeds. Only so it shows what they are worth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from adatom.decide.acquisition import Acquisition
from adatom.decide.posterior import Array, Indices, Surrogate
from adatom.decide.search import Search
from adatom.errors import ArgumentError, ShapeError

Reconstruct = Callable[[Indices, Array], Array]


@dataclass(frozen=True)
class Policy:
    """A way to choose.

    Parameters
    ----------
    name : in the table.
    acquisition, settings : of the `Search`.
    surrogate : makes its model from a seed; None where it needs none.
    inputs : (n, ...) what its model sees of the candidates; by default their places.
    batch : places that are chosen at a time.
    """

    name: str
    acquisition: str | Acquisition
    settings: Mapping[str, Any] = field(default_factory=dict)
    surrogate: Callable[[int], Surrogate] | None = None
    inputs: NDArray[Any] | None = None
    batch: int = 1


def replay(
    places: ArrayLike,
    values: ArrayLike,
    policies: Sequence[Policy],
    *,
    seeds: Sequence[int],
    n_points: int,
    n_first: int = 10,
    look_at: Sequence[int] = (),
    reconstruct: Reconstruct | None = None,
    top_share: float = 0.01,
    on_run: Callable[[str, int], None] | None = None,
) -> pd.DataFrame:
    """Let policies search among known values.

    Parameters
    ----------
    places, values : (n, 2) in nm, and (n,), the more the better.
    seeds : of the runs; all policies begin with the same ones.
    n_points : measured in each run.
    n_first : of them before a model is asked.
    look_at : numbers of measurements at which the map is reconstructed.
    reconstruct : from candidates (m,) and their values (m,) to a map (n,); the same for all policies.
    top_share : of the candidates, the best ones that are looked for.
    on_run : called after each run with the policy and the seed.

    Returns
    -------
    One row a policy, seed and number of measurements ``n``: ``best``, the best value so far, as a quantile of all;
    ``top_found``, the share of the best candidates that was measured; and where the map was reconstructed ``r2``, the
    share of the variance at places that were not measured which it tells.
    """
    at, known = np.asarray(places, dtype=float), np.asarray(values, dtype=float)
    if known.shape != (len(at),):
        raise ShapeError(f"values: expected ({len(at)},), one for each place, got {known.shape}.")
    if not np.isfinite(known).all():
        raise ArgumentError("values: expected finite numbers, got others. Leave those places out.")
    if not 1 <= n_points <= len(at):
        raise ArgumentError(f"n_points: expected 1 to {len(at)}, got {n_points}.")
    rank = np.empty(len(at))
    rank[np.argsort(known, kind="stable")] = np.arange(len(at)) / max(1, len(at) - 1)
    top = rank >= 1 - top_share
    rows = []
    for policy in policies:
        for seed in seeds:
            order = _run(policy, at, known, seed, n_points, n_first)
            best, found = np.maximum.accumulate(rank[order]), np.cumsum(top[order]) / top.sum()
            table = pd.DataFrame({"n": np.arange(1, len(order) + 1), "best": best, "top_found": found, "r2": np.nan})
            if reconstruct is not None:
                table["r2"] = [_told(reconstruct, order[:n], known) if n in look_at else np.nan for n in table["n"]]
            rows.append(table.assign(policy=policy.name, seed=seed))
            if on_run is not None:
                on_run(policy.name, seed)
    return pd.concat(rows, ignore_index=True)[["policy", "seed", "n", "best", "top_found", "r2"]]


def needed(runs: pd.DataFrame, column: str, level: float) -> pd.DataFrame:
    """Measurements that each policy needed until a column reached a level: median and the middle half of the seeds, and
    how many of them got there. A run that did not counts as endless.
    """
    rows = []
    for name, runs_of in runs.groupby("policy", sort=False):
        counts = []
        for _, run in runs_of.groupby("seed"):
            there = run[run[column] >= level]
            counts.append(float(there["n"].iloc[0]) if len(there) else np.inf)
        low, middle, high = np.quantile(counts, [0.25, 0.5, 0.75], method="inverted_cdf")
        rows.append((name, middle, low, high, int(np.isfinite(counts).sum()), len(counts)))
    return pd.DataFrame(rows, columns=["policy", "median", "low", "high", "n_reached", "n_seeds"]).set_index("policy")


def _run(policy: Policy, places: Array, values: Array, seed: int, n_points: int, n_first: int) -> Indices:
    settings = dict(policy.settings)
    if policy.acquisition in ("latin_hypercube", "coarse_to_fine"):
        settings.setdefault("seed", seed)
    search = Search(
        places,
        surrogate=None if policy.surrogate is None else policy.surrogate(seed),
        inputs=policy.inputs,
        acquisition=policy.acquisition,
        settings=settings,
        n_first=n_first,
        random_state=seed,
    )
    while len(search.measured) < n_points:
        which = search.ask(min(policy.batch, n_points - len(search.measured)))
        if not len(which):
            break
        search.tell(which, values[which])
    return np.array(search.measured, dtype=np.int64)


def _told(reconstruct: Reconstruct, measured: Indices, values: Array) -> float:
    """Share of the variance of all places not measured that a reconstruction tells."""
    others = np.setdiff1d(np.arange(len(values)), measured)
    if len(others) < 2:
        return 1.0
    said = reconstruct(measured, values[measured])[others]
    return float(1 - np.mean((said - values[others]) ** 2) / values[others].var())
