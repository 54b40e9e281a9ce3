"""At the instrument: files are noticed and read while others are searched, and each is told as soon as it is done."""

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adatom.cluster import Cluster
from adatom.distribute.file_search import FileSearch
from adatom.distribute.many import Outcome, search_files
from adatom.distribute.sources import Arrivals

_POLL_S = 0.1
_TELL_S = 0.02


@dataclass(frozen=True)
class Arrived:
    """What became of a file that came.

    Attributes
    ----------
    outcome : of its search.
    latency_s : from when the file was last seen to change until its results were written.
    """

    outcome: Outcome
    latency_s: float


def search_arrivals(
    folder: Path,
    out: Path,
    asked: FileSearch,
    *,
    jobs: int = 1,
    cluster: Cluster | None = None,
    again: bool = False,
    settled_s: float = 0.5,
    stop: threading.Event | None = None,
) -> Iterator[Arrived]:
    """Search the files in a folder, and those that come into it, until `stop` is set or the caller goes away.

    Parameters: see `adatom.distribute.many.search_files` and `adatom.distribute.sources.Arrivals`. What an earlier run
    has done is not told. Files that vanish, that never become whole or that may not be read are outcomes with an error,
    and stop nothing.
    """
    stop = stop or threading.Event()
    coming: queue.Queue[tuple[Path, float] | Exception] = queue.Queue()
    complete: deque[float] = deque()  # of the files that are under way, in order

    def notice() -> None:
        arrivals = Arrivals(folder, settled_s=settled_s)
        try:
            while not stop.is_set():
                for each in arrivals.look():
                    coming.put(each)
                stop.wait(_POLL_S)
        except Exception as error:  # a thread that dies in silence would look like a folder where nothing comes
            coming.put(error)

    def files() -> Iterator[Path | None]:
        while not stop.is_set():
            try:
                came = coming.get(timeout=_TELL_S)
            except queue.Empty:
                yield None
                continue
            if isinstance(came, Exception):
                raise came
            complete.append(came[1])
            yield came[0]

    noticing = threading.Thread(target=notice, daemon=True)
    noticing.start()
    try:
        for outcome in search_files(files(), out, asked, jobs=jobs, cluster=cluster, again=again):
            came_at = complete.popleft()
            if not outcome.was_done:
                yield Arrived(outcome, time.monotonic() - came_at)
    finally:
        stop.set()
        noticing.join()
