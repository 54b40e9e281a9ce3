"""Members of an ensemble trained on a dask cluster: tasks travel to its workers, and what these made comes back.

Workers need adatom, and no file system in common with whoever asks, unless they are to learn from a stored set. A
member whose worker dies starts anew on another one.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from adatom.cluster import Cluster, open_cluster, tell
from adatom.data.atomic_file import write_atomically
from adatom.errors import ClusterError, TrainingError
from adatom.models.ensemble_training import OnRecord, Task, train_task

_LISTEN_S = 0.2
_MADE = ("history.json", "model.safetensors")  # the model last: one that is there is whole


def train_on_cluster(tasks: list[Task], *, cluster: str, on_record: OnRecord | None) -> None:
    """Train all into their folders, each on a worker of the cluster at an address.

    Parameters
    ----------
    cluster : as of `adatom.cluster.open_cluster`, such as ``tcp://10.0.0.5:8786``.

    Raises
    ------
    ArgumentError : if nothing answers at the address, or dask.distributed is not installed.
    TrainingError : if workers died of a member again and again.
    """
    left = [task for task in tasks if not task.is_done]
    for task in left:
        task.begin()
    with open_cluster(cluster) as workers:
        waiting = {
            workers.submit(
                _work,
                replace(task, folder=Path(task.name), trunk=None, resume=False),
                None if task.trunk is None else task.trunk.read_bytes(),
            ): task
            for task in left
        }
        try:
            while waiting:
                time.sleep(_LISTEN_S)
                for future in [each for each in waiting if each.done()]:
                    task = waiting.pop(future)
                    for name, content in future.result().items():
                        write_atomically(task.folder / name, content)
                _listen(workers, on_record)
        except ClusterError as error:
            raise TrainingError(f"members: {error} Go on with resume.") from error


def _listen(workers: Cluster, on_record: OnRecord | None) -> None:
    for record in workers.heard():
        if on_record is not None:
            on_record(record)


def _work(task: Task, trunk: bytes | None) -> dict[str, bytes]:
    """Train a model on a worker; the files that it made."""
    with tempfile.TemporaryDirectory() as folder:
        given = None
        if trunk is not None:
            given = Path(folder) / "trunk.safetensors"
            given.write_bytes(trunk)
        here = replace(task, folder=Path(folder) / task.name, trunk=given)
        train_task(here, tell)
        return {name: (here.folder / name).read_bytes() for name in _MADE}
