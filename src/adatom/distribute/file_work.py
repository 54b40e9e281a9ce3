"""Files on a cluster: each a task, whose results come back; what is large is parted among all workers."""

import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from adatom.cluster import Cluster
from adatom.data.atomic_file import write_atomically
from adatom.distribute.file_search import Advance, FileSearch
from adatom.distribute.manifest import identity
from adatom.distribute.same_file import check_same_file
from adatom.models.catalogue import model_path, receive_model

Result = tuple[str, dict[str, Any]]  # identity of the file, summary of what was found


class FilesOnCluster:
    """Hands files out to the workers of a cluster, and writes what comes back.

    Workers read the files by their names, so these are on a file system that all machines share; results and model
    travel.

    Parameters
    ----------
    alone : there is one file, in which the workers share if it is searched by tiles or frames. Of many files they share
        only in those that are large.
    """

    def __init__(self, asked: FileSearch, cluster: Cluster, advance: Advance | None, *, alone: bool) -> None:
        self._asked, self._cluster, self._advance, self._alone = asked, cluster, advance, alone
        self._handed_out: set[Future[Any]] = set()
        self._block = ExitStack()  # within which workers have what they need
        self._writing, self._by_parts = ThreadPoolExecutor(1), ThreadPoolExecutor(1)

    @property
    def depth(self) -> int:
        """Files that are under way at a time."""
        return self._cluster.depth

    def submit(self, file: Path, folder: Path) -> "Future[Result]":
        """Search a file; its results are in the folder when the future is done."""
        try:
            told = identity(file)
            if self._asked.is_by_parts(file, large_only=not self._alone):
                return self._by_parts.submit(self._search_by_parts, file, folder, told)
        except Exception as error:
            failed: Future[Result] = Future()
            failed.set_exception(error)
            return failed
        found = self._cluster.submit(search_file, file.resolve(), told, shared=self._work)
        self._handed_out.add(found)
        return self._writing.submit(self._write, found, folder, told)

    def __enter__(self) -> "FilesOnCluster":
        work = FileWork(self._asked, _model_to_send(self._asked.model))
        self._work = self._block.enter_context(self._cluster.sharing(work))
        return self

    def __exit__(self, *error: object) -> None:
        for pool in (self._by_parts, self._writing):
            pool.shutdown(wait=error[0] is None, cancel_futures=True)
        self._cluster.give_up(list(self._handed_out))
        self._block.close()

    def _write(self, found: "Future[Any]", folder: Path, told: str) -> Result:
        """What came back, the summary last: where it is, all is."""
        try:
            summary, made = found.result()
        finally:
            self._handed_out.discard(found)
        for name in sorted(made, key=lambda name: name == "summary.json"):
            write_atomically(folder / name, made[name])
        return told, summary

    def _search_by_parts(self, file: Path, folder: Path, told: str) -> Result:
        return told, self._asked.look(file, self._asked.open(file), self._advance, self._cluster)(folder)


@dataclass(frozen=True)
class FileWork:
    """What a worker has to know to search any file.

    Attributes
    ----------
    asked : of each file.
    model : content of the model's file, unless it ships.
    """

    asked: FileSearch
    model: bytes | None

    @cached_property
    def here(self) -> FileSearch:
        """The search, on a machine that has the model."""
        if self.model is not None:
            receive_model(str(self.asked.model), self.model, Path(_models().name))
        return self.asked


@cache
def _models() -> "tempfile.TemporaryDirectory[str]":
    """Where this process keeps models that were sent to it, until it ends."""
    return tempfile.TemporaryDirectory(prefix="adatom-models-")


def search_file(work: FileWork, file: Path, told: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Search a file on a worker: its summary, and the files of its results by name."""
    check_same_file(file, told)
    with tempfile.TemporaryDirectory(prefix="adatom-results-") as name:
        folder = Path(name)
        summary = work.here.run(file, folder)
        made = [each for each in sorted(folder.rglob("*")) if each.is_file()]
        return summary, {str(each.relative_to(folder)): each.read_bytes() for each in made}


def _model_to_send(model: str | None) -> bytes | None:
    """The content of a model's file, unless every Adatom has it."""
    if model is None or not Path(model).is_file():
        return None
    return model_path(model).read_bytes()
