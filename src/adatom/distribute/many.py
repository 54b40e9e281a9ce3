"""Many files: the next is read while one is searched and the results of the last are written; or several at once."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from adatom.cluster import Cluster
from adatom.distribute.file_search import Advance, FileSearch
from adatom.distribute.file_work import FilesOnCluster
from adatom.distribute.manifest import Manifest, identity
from adatom.errors import ArgumentError


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes
    ----------
    file, folder : the file, and where its results are.
    summary : of what was found, or None.
    error : why there is none.
    was_done : whether an earlier run did it.
    """

    file: Path
    folder: Path
    summary: dict[str, Any] | None
    error: Exception | None = None
    was_done: bool = False


def search_files(
    files: Iterable[Path | None],
    out: Path,
    asked: FileSearch,
    *,
    jobs: int = 1,
    cluster: Cluster | None = None,
    again: bool = False,
    advance: Advance | None = None,
) -> Iterator[Outcome]:
    """Search files in turn, and tell of each as soon as its results are written, in order.

    Parameters
    ----------
    files : may come one by one, as from a folder that is watched; None says that none has come since the last.
    out : folder for results and ``manifest.jsonl``, by which what is done already is left out.
    jobs : processes that search files at the same time; 1: this one.
    cluster : whose workers search files at the same time, instead of processes of this machine.
    again : do also what is done already.
    advance : is told of the parts of a large image or a long movie, by one job or a cluster.

    A file that fails stops no other.
    """
    if jobs < 1:
        raise ArgumentError(f"jobs: expected at least 1, got {jobs}.")
    manifest, settings = Manifest.opened(out), asked.settings()
    folders = _Folders(out, manifest)
    under_way: deque[tuple[Path, Path, Future[tuple[str, dict[str, Any]]], bool]] = deque()
    searching: FilesOnCluster | _Pipeline | _Processes
    if cluster is not None:
        alone = isinstance(files, Sequence) and len(files) == 1
        searching = FilesOnCluster(asked, cluster, advance, alone=alone)
    else:
        searching = _Pipeline(asked, advance) if jobs == 1 else _Processes(asked, jobs)

    def begin(file: Path) -> None:
        folder = folders.of(file)
        summary = None if again else manifest.summary_if_done(file, settings)
        if summary is None:
            under_way.append((file, folder, searching.submit(file, folder), False))
            return
        done: Future[tuple[str, dict[str, Any]]] = Future()
        done.set_result(("", summary))
        under_way.append((file, folder, done, True))

    def outcome() -> Outcome:
        file, folder, result, was_done = under_way.popleft()
        try:
            told, summary = result.result()
        except Exception as error:
            return Outcome(file, folder, None, error)
        if not was_done:
            facts = {"model_sha256": summary.get("model_sha256"), "seconds": summary.get("seconds")}
            manifest.add(file, told, settings, folder, facts)
        return Outcome(file, folder, summary, was_done=was_done)

    with searching:
        for file in files:
            if file is not None:
                begin(file)
            while under_way and (len(under_way) > searching.depth or under_way[0][2].done()):
                yield outcome()
        while under_way:
            yield outcome()


class _Folders:
    """A folder of its own for each file, the same one in each run."""

    def __init__(self, out: Path, manifest: Manifest) -> None:
        self._out, self._manifest = out, manifest
        self._owner = {folder: file for file, folder in manifest.folders().items()}

    def of(self, file: Path) -> Path:
        known = self._manifest.folder_of(file)
        if known is not None:
            return known
        name, number = file.stem, 2
        owner = str(file.resolve())
        for candidate in (file.stem, file.name.replace(".", "_")):
            name = candidate
            if self._owner.get(self._out / name, owner) == owner:
                break
        while self._owner.get(self._out / name, owner) != owner:
            name, number = f"{file.stem}_{number}", number + 1
        self._owner[self._out / name] = owner
        return self._out / name


class _Pipeline:
    """Reading, searching and writing, each in a thread of its own, so that they overlap."""

    depth = 2

    def __init__(self, asked: FileSearch, advance: Advance | None) -> None:
        self._asked, self._advance = asked, advance
        self._pools = [ThreadPoolExecutor(1) for _ in range(3)]

    def submit(self, file: Path, folder: Path) -> Future[tuple[str, dict[str, Any]]]:
        reading, searching, writing = self._pools
        opened = reading.submit(lambda: (identity(file), self._asked.open(file)))
        found = searching.submit(lambda: self._asked.look(file, opened.result()[1], self._advance))
        return writing.submit(lambda: (opened.result()[0], found.result()(folder)))

    def __enter__(self) -> "_Pipeline":
        return self

    def __exit__(self, *error: object) -> None:
        for pool in self._pools:
            pool.shutdown(wait=error[0] is None, cancel_futures=True)


class _Processes:
    """Several processes, each of which does whole files."""

    def __init__(self, asked: FileSearch, jobs: int) -> None:
        self._asked, self.depth = asked, 2 * jobs
        self._pool = ProcessPoolExecutor(
            jobs, mp_context=get_context("spawn"), initializer=_share_processors, initargs=(jobs,)
        )

    def submit(self, file: Path, folder: Path) -> Future[tuple[str, dict[str, Any]]]:
        return self._pool.submit(_search_one, self._asked, file, folder)

    def __enter__(self) -> "_Processes":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=error[0] is None, cancel_futures=True)


def _share_processors(jobs: int) -> None:
    """As many threads as are this process's share of the machine; Ctrl-C is for the one that handed out the work."""
    import os
    import signal

    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def _search_one(asked: FileSearch, file: Path, folder: Path) -> tuple[str, dict[str, Any]]:
    return identity(file), asked.run(file, folder)
