"""`adatom find --cluster` as a user runs it: the same results, also where workers are killed in the middle."""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

from adatom.cli import app
from adatom.cluster import open_cluster
from adatom.distribute import tiled_finder
from adatom.distribute.file_search import FileSearch
from adatom.distribute.many import search_files
from adatom.distribute.tiled_finder import TiledSearch, find_by_tiles
from adatom.errors import ClusterError
from adatom.files import open_lazily
from adatom.models.catalogue import model_path
from adatom.models.choice import _loaded

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL"
    ) as started:
        yield started


@pytest.fixture
def like_a_worker():
    """This process as a worker is: with one thread, and with a model that has seen nothing yet."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    _loaded.cache_clear()
    with threadpool_limits(1, user_api="blas"):  # sums by several threads round otherwise, to 1e-7 px
        yield
    torch.set_num_threads(threads)


def crystal(side: int, seed: int, apart_px: float = 7.0) -> np.ndarray:
    """A square lattice, a little turned."""
    y, x = np.mgrid[:side, :side]
    waves = np.cos(2 * np.pi * (x * 0.99 + y * 0.14) / apart_px) + np.cos(2 * np.pi * (y * 0.99 - x * 0.14) / apart_px)
    return (np.exp(waves) + 0.2 * np.random.default_rng(seed).normal(size=x.shape)).astype(np.float32)


def kill_a_busy_one(cluster) -> None:
    """End the process of a worker that has a task."""
    busy = max(cluster.scheduler.workers.values(), key=lambda worker: len(worker.processing))
    assert busy.processing
    (process,) = (each for each in cluster.workers.values() if each.worker_address == busy.address)
    os.kill(process.pid, signal.SIGKILL)


def times_done(cluster, name: str) -> Counter:
    """How often each task of a name was done."""
    return Counter(
        entry[0]
        for entry in cluster.scheduler.transition_log
        if entry[1:3] == ("processing", "memory") and entry[0].startswith(f"adatom.{name}-")
    )


def test_a_worker_is_killed_amid_tiles(cluster, like_a_worker, tmp_path, monkeypatch):
    monkeypatch.setattr(tiled_finder, "tile_side", lambda _, needs: needs.block_side)
    np.save(tmp_path / "large.npy", crystal(1040, 0, apart_px=16.0))
    asked = TiledSearch(model="any_atoms")
    alone = find_by_tiles(open_lazily(tmp_path / "large.npy"), tmp_path / "alone", asked)
    before = times_done(cluster, "search_tile")

    def kill_once(done: int, total: int) -> None:
        if done == 2:
            kill_a_busy_one(cluster)

    with open_cluster(cluster.scheduler_address) as workers:
        together = find_by_tiles(
            open_lazily(tmp_path / "large.npy"), tmp_path / "there", asked, cluster=workers, advance=kill_once
        )
    assert together["n_atoms"] == alone["n_atoms"] > 4000
    for name in ("atoms.csv", "overview.png"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    done = times_done(cluster, "search_tile") - before
    assert len(done) == together["tiles"] and done.total() <= together["tiles"] + 1


def test_a_worker_is_killed_amid_files(cluster, like_a_worker, tmp_path):
    model = tmp_path / "mine.safetensors"
    model.write_bytes(model_path("any_atoms").read_bytes())
    asked = FileSearch(model=str(model), refine=False)
    files = [tmp_path / f"scan{n}.npy" for n in range(6)]
    for n, file in enumerate(files):
        np.save(file, crystal(160, n))
    alone = list(search_files(files, tmp_path / "alone", asked))
    together = []
    with open_cluster(cluster.scheduler_address) as workers:
        for outcome in search_files(files, tmp_path / "there", asked, cluster=workers):
            together.append(outcome)
            if len(together) == 1:
                kill_a_busy_one(cluster)
    assert [each.error for each in together] == [None] * 6
    for one, other in zip(alone, together, strict=True):
        assert one.file == other.file and other.summary["model"] == str(model)
        for name in ("atoms.csv", "overlay.png"):
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
        assert {each.name for each in one.folder.iterdir()} == {each.name for each in other.folder.iterdir()}
    lines = (tmp_path / "there" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["file"] for line in lines] == [str(file) for file in files]
    done = times_done(cluster, "search_file")
    assert len(done) == 6 and done.total() <= 7


def test_frames_of_a_movie(cluster, like_a_worker, tmp_path):
    file = tmp_path / "movie.npy"
    np.save(file, np.stack([crystal(96, seed) for seed in range(5)]))
    asked = FileSearch(refine=False, memory_gb=1.5)
    (alone,) = search_files([file], tmp_path / "alone", asked)
    with open_cluster(cluster.scheduler_address) as workers:
        (together,) = search_files([file], tmp_path / "there", asked, cluster=workers)
    assert together.summary["n_frames"] == 5 and times_done(cluster, "look_at_frames")
    assert (alone.folder / "atoms.csv").read_bytes() == (together.folder / "atoms.csv").read_bytes()


def end_the_worker(n: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_task_that_kills_its_workers_is_told(cluster, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    with (
        open_cluster(cluster.scheduler_address) as workers,
        pytest.raises(ClusterError, match="perhaps for their memory"),
    ):
        workers.submit(end_the_worker, 0).result()


def test_the_command_line(cluster, tmp_path):
    for n in range(2):
        np.save(tmp_path / f"scan{n}.npy", crystal(128, n))
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY nothing")

    command = ["find", str(tmp_path), "--out", str(tmp_path / "out"), "--cluster", cluster.scheduler_address]
    told = CliRunner().invoke(app, [*command, "--no-refine", "--json"])
    results = json.loads(told.stdout)
    assert told.exit_code == 1 and [Path(each["file"]).name for each in results["failed"]] == ["bad.npy"]
    assert [len(pd.read_csv(Path(each["out"]) / "atoms.csv")) for each in results["results"]] == [
        each["n_atoms"] for each in results["results"]
    ]
    assert CliRunner().invoke(app, [*command, "--jobs", "2"]).exit_code == 2
