"""An ensemble as a user trains and uses it: interrupted, resumed member by member, and asked for atoms."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from adatom.data import make_image
from adatom.errors import ArgumentError
from adatom.files import write
from adatom.models import Ensemble, Recipe
from adatom.simulate import simulate_image


def start(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "adatom", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # a child of a background job would ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def run(*arguments: object) -> str:
    process = start(*arguments)
    told, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return told


@pytest.fixture(scope="module")
def recipe(brief_recipe: Recipe) -> Recipe:
    training = brief_recipe.training.model_copy(update={"steps": 40, "validate_every": 5, "patience": 100})
    return brief_recipe.model_copy(update={"estimator": "Localizer", "training": training})


def test_an_ensemble_is_interrupted_resumed_and_used(recipe, tmp_path):
    file, out = tmp_path / "recipe.yaml", tmp_path / "run"
    file.write_text(recipe.to_yaml(), encoding="utf-8")
    command = ("train", file, "--out", out, "--members", 2)
    process = start(*command)
    while not (out / "member1" / "checkpoint.safetensors").exists():  # the second is under way, the first is done
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "--resume" in errors
    first = out / "member0" / "model.safetensors"
    finished = first.stat().st_mtime_ns
    assert not (out / "model.safetensors").exists()

    told = run(*command, "--resume", "--jobs", 2)
    assert "model.safetensors: F1" in told and "member0:" not in told
    assert first.stat().st_mtime_ns == finished
    assert {"loss.png", "samples.png", "reliability.png", "run.json"} <= {each.name for each in out.iterdir()}

    drawn = simulate_image(recipe, seed=5, index=0)
    write(make_image(drawn.image.astype(float), pixel_size=0.1), tmp_path / "image.tif")
    found = tmp_path / "found"
    command = ("find", tmp_path / "image.tif", "--model", out / "model.safetensors", "--out", found, "--json")
    summary = json.loads(run(*command, "--min-probability", 0.1, "--coverage", 0.9))["results"][0]
    assert summary["model"] == str(out / "model.safetensors")
    table = pd.read_csv(found / "image" / "atoms.csv")
    assert {"n_members", "probability_std", "entropy_model", "x_std_model", "species_set"} <= set(table.columns)
    assert (found / "image" / "uncertainty.png").exists()
    assert "disagree" in (found / "image" / "report.html").read_text(encoding="utf-8")


def test_a_cluster_trains_the_same_members_though_a_worker_is_killed(recipe):
    distributed = pytest.importorskip("distributed")
    training = recipe.training.model_copy(update={"steps": 60, "validate_every": 20})
    recipe = recipe.model_copy(update={"training": training})
    killed = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="ERROR"
    ) as cluster:

        def kill_the_first(record: dict) -> None:
            if not killed:
                killed.append(next(iter(cluster.workers.values())).pid)
                os.kill(killed[0], signal.SIGKILL)

        trained = Ensemble(n_members=2).fit(recipe, cluster=cluster.scheduler_address, on_record=kill_the_first)
    assert killed
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = Ensemble(n_members=2).fit(recipe)
    torch.set_num_threads(threads)
    for one, other in zip(trained.members_, alone.members_, strict=True):
        weights = other.net_.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in one.net_.state_dict().items())


def test_a_cluster_that_is_not_there_is_told(recipe, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("adatom.cluster.opening._CONNECT_S", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://here"):
        with pytest.raises(ArgumentError, match=f"expected the address of a dask scheduler, got {address}"):
            Ensemble(n_members=2).fit(recipe, cluster=address)


def test_options_that_do_not_go_together_are_told(recipe, tmp_path):
    process = start("train", "si111_7x7", "--out", tmp_path, "--ensemble", "trunk")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and "--members" in errors
    process = start("train", "si111_7x7", "--out", tmp_path, "--members", 2, "--ensemble", "forest")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and "seeds, trunk, swag, symmetry" in errors
