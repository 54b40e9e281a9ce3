"""Finding on a dask cluster of this machine: two workers against one, and what it costs when one is killed.

Workers are processes with one thread. An image of 2048 x 2048 px is searched by tiles, and twelve of 512 x 512 px as
files, all with refinement. Times are those of the tasks: models and scales of the large image are decided before, by
one process, and workers are warm, that is, have loaded what they need.

Of two workers one is killed in the middle of a task, and not replaced. Nothing lost, the run would take twice the time
of two workers less the time until the kill; what it takes more is given in tasks, the half task that died with its
worker included. On a machine that others use too these figures mean nothing: more workers get more of it.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer

import numpy as np
import pandas as pd

from adatom.cluster import Cluster, open_cluster
from adatom.distribute.file_search import FileSearch
from adatom.distribute.many import search_files
from adatom.distribute.tiled_finder import TiledSearch, find_by_tiles
from adatom.files import open_lazily
from benchmarks.record import Recorder
from benchmarks.two_atom_images import draw_image

_SIDE, _FILE_SIDE, _FILES = 2048, 512, 12
_TILES = TiledSearch(model="any_atoms")
_BEFORE_THE_KILL = 5  # tiles


def run(recorder: Recorder) -> None:
    """Every number of workers in processes of their own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        large = folder / "large.npy"
        np.save(large, draw_image("clean", "test", 1003, size=_SIDE).image.to_numpy().astype(np.float32))
        files = [folder / f"image{k}.npy" for k in range(_FILES)]
        for k, file in enumerate(files):
            np.save(file, draw_image("clean", "test", 1100 + k, size=_FILE_SIDE).image.to_numpy().astype(np.float32))
        seconds = {}
        for n in (1, 2):
            with _workers(n) as (cluster, _):
                _warm(cluster, files[0], n, folder / f"warm{n}")
                seconds["files", n] = _search_files(files, folder / f"files{n}", cluster)
                seconds["tiles", n], n_tiles, _ = _search_tiles(large, folder / f"tiles{n}", cluster)
        for name in ("tiles", "files"):
            for n, word in ((1, "one_worker"), (2, "two_workers")):
                recorder.add(f"cluster/{name}/{word}_seconds", seconds[name, n])
            ratio = seconds[name, 1] / seconds[name, 2]
            recorder.add(f"cluster/{name}/two_workers_times_faster", ratio, goal=">= 1.7")
        task = 2 * seconds["tiles", 2] / n_tiles
        with _workers(2) as (cluster, processes):
            _warm(cluster, files[0], 2, folder / "warm")
            spent, _, killed_at = _search_tiles(large, folder / "killed", cluster, (processes[0], 0.5 * task))
        lost = spent - (2 * seconds["tiles", 2] - killed_at)
        recorder.add("cluster/killed_worker/tasks_lost", lost / task, goal="<= 1")
        whole, kept = (pd.read_csv(folder / name / "atoms.csv") for name in ("tiles1", "killed"))
        both = pd.concat([whole, kept]).value_counts(dropna=False)
        recorder.add("cluster/killed_worker/rows_lost_or_doubled", int((both != 2).sum()), goal="<= 0")


@contextmanager
def _workers(n: int) -> Iterator[tuple[Cluster, "list[subprocess.Popen[bytes]]"]]:
    """So many workers that nobody starts again, and their processes."""
    from distributed import LocalCluster

    with ExitStack() as stack:
        scheduler = stack.enter_context(LocalCluster(n_workers=0, dashboard_address=None, silence_logs="CRITICAL"))
        command = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler.scheduler_address]
        command += ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
        processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(n)]
        try:
            cluster = stack.enter_context(open_cluster(scheduler.scheduler_address))
            while len(scheduler.scheduler.workers) < n:
                time.sleep(0.1)
            yield cluster, processes
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _warm(cluster: Cluster, file: Path, n: int, out: Path) -> None:
    """Have every worker search a file."""
    copies = [file.with_name(f"warm{k}.npy") for k in range(4 * n)]
    for copy in copies:
        copy.write_bytes(file.read_bytes())
    _search_files(copies, out, cluster)


def _search_files(files: list[Path], out: Path, cluster: Cluster) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    for outcome in search_files(files, out, FileSearch(model="any_atoms"), cluster=cluster):
        if outcome.error is not None:
            raise outcome.error
    return time.perf_counter() - started


def _search_tiles(
    file: Path, out: Path, cluster: Cluster, kill: "tuple[subprocess.Popen[bytes], float] | None" = None
) -> tuple[float, int, float]:
    """Seconds of all tiles, how many these are, and when a worker was killed: so long after some were done."""
    times: dict[int, float] = {}
    killed: list[float] = []

    def advance(done: int, total: int) -> None:
        times[done] = time.perf_counter()
        if kill is not None and done == _BEFORE_THE_KILL:
            Timer(kill[1], end).start()

    def end() -> None:
        assert kill is not None
        kill[0].send_signal(signal.SIGKILL)
        killed.append(time.perf_counter())

    find_by_tiles(open_lazily(file), out, _TILES, cluster=cluster, advance=advance)
    last = max(times)
    return times[last] - times[0], last, killed[0] - times[0] if killed else 0.0
