from functools import partial

import numpy as np
import pytest
from plain_gp import PlainGP

from adatom.decide import Search
from adatom.decide.replay import KnownSample, curves, measurements_to_reach, replay
from adatom.errors import ArgumentError, ShapeError

Y, X = np.mgrid[:12, :12]
PLACES = np.column_stack([X.ravel(), Y.ravel()]) / 11
VALUES = np.exp(-((PLACES - 0.7) ** 2).sum(axis=1) / 0.05)


def policy(seed, acquisition, places=PLACES):
    return Search(places, surrogate=PlainGP(), acquisition=acquisition, n_initial=5, random_state=seed)


def runs_of(*names, **settings):
    policies = {name: partial(policy, acquisition=name) for name in names}
    return replay(KnownSample(PLACES, VALUES), policies, seeds=range(3), n_points=30, **settings)


def test_curves_say_who_finds_the_top_sooner():
    runs = runs_of("upper_confidence_bound", "random", batch=2)
    assert runs.groupby(["policy", "seed"])["n_measured"].max().eq(30).all()
    needed = measurements_to_reach(runs, "top_share", 1.0).set_index("policy")
    assert needed["reached"]["upper_confidence_bound"] == 1
    assert needed["high"]["upper_confidence_bound"] < needed["median"]["random"]
    table = curves(runs, "best")
    assert (table["low"] <= table["median"]).all() and (table["median"] <= table["high"]).all()


def test_a_whole_map_is_perfect_and_one_that_was_not_measured_is_not():
    runs = replay(
        KnownSample(PLACES, VALUES),
        {"grid": partial(policy, acquisition="grid")},
        seeds=[0],
        n_points=len(PLACES),
        batch=len(PLACES) // 4,
    )
    assert runs["map_r2"].iloc[-1] == pytest.approx(1)
    assert runs["map_r2"].iloc[0] < 0.95


def test_processes_change_nothing():
    alone, together = runs_of("random"), runs_of("random", n_processes=2)
    assert alone.equals(together)


def test_a_cluster_changes_nothing():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs="ERROR"
    ) as cluster:
        there = runs_of("random", "upper_confidence_bound", cluster=cluster.scheduler_address)
    assert runs_of("random", "upper_confidence_bound").equals(there)


def test_what_is_reached_and_lost_again_is_not_reached():
    runs = runs_of("random")[:4].assign(policy="one", seed=0, n_measured=[1, 2, 3, 4], best=[0.0, 5, 0, 5])
    assert measurements_to_reach(runs, "best", 5)["median"].tolist() == [4]
    assert measurements_to_reach(runs, "best", 6)["median"].tolist() == [np.inf]


def test_measurements_that_fail_are_paid_for():
    values = np.where(PLACES[:, 0] < 0.5, np.nan, VALUES)
    runs = replay(
        KnownSample(PLACES, values), {"random": partial(policy, acquisition="random")}, seeds=[0], n_points=20, batch=5
    )
    assert runs["n_measured"].tolist() == [5, 10, 15, 20]
    with pytest.raises(ArgumentError, match="finite values to judge"):
        replay(KnownSample(PLACES, np.full(144, np.nan)), {"random": policy}, seeds=[0], n_points=5)
    with pytest.raises(ShapeError, match="sample: expected a row"):
        replay(KnownSample(PLACES, VALUES[1:]), {"random": policy}, seeds=[0], n_points=5)
