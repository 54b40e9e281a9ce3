"""Members of an ensemble trained on a dask cluster: tasks travel to its workers, and what these made comes back.

Workers need adatom, and no file system in common with whoever asks, unless they are to learn from a stored set. A
member whose worker dies starts anew on another one.
"""

import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from adatom.data.atomic_file import write_atomically
from adatom.errors import ArgumentError, TrainingError
from adatom.models.ensemble_training import OnRecord, Task, train_task
from adatom.train import Record

_CONNECT_S = 10.0
_LISTEN_S = 0.2
_MADE = ("history.json", "model.safetensors")  # the model last: one that is there is whole
# Seeds reach what a process has one of: in a worker with several threads, one training at a time.
_turn = Lock()


def train_on_cluster(tasks: list[Task], *, cluster: str, on_record: OnRecord | None) -> None:
    """Train all into their folders, each on a worker of the cluster at an address.

    Parameters
    ----------
    cluster : of its scheduler, such as ``tcp://10.0.0.5:8786``.

    Raises
    ------
    ArgumentError : if nothing answers at the address, or dask.distributed is not installed.
    TrainingError : if workers died of a member again and again.
    """
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise ArgumentError(
            "cluster: expected dask.distributed, which speaks to clusters, got none installed. "
            "Install it: pip install 'adatom[cluster]'"
        ) from error
    left = [task for task in tasks if not task.is_done]
    for task in left:
        task.begin()
    topic, records = f"adatom-{uuid.uuid4().hex}", SimpleQueue[Record]()
    try:
        client = Client(cluster, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ArgumentError(f"cluster: expected the address of a dask scheduler, got {cluster} ({error}).") from error
    with client:
        client.subscribe_topic(topic, lambda event: records.put(event[1]))
        futures = [
            client.submit(
                _work,
                replace(task, folder=Path(task.name), trunk=None, resume=False),
                None if task.trunk is None else task.trunk.read_bytes(),
                topic,
                pure=False,
            )
            for task in left
        ]
        waiting = dict(zip(futures, left, strict=True))
        try:
            while waiting:
                time.sleep(_LISTEN_S)
                for future in [each for each in waiting if each.done()]:
                    task = waiting.pop(future)
                    for name, content in future.result().items():
                        write_atomically(task.folder / name, content)
                _listen(records, on_record)
        except KilledWorker as error:
            raise TrainingError(
                "members: workers that trained one were killed, perhaps for their memory. Go on with resume."
            ) from error
        finally:
            client.cancel(list(waiting))
            client.unsubscribe_topic(topic)


def _listen(records: "SimpleQueue[Record]", on_record: OnRecord | None) -> None:
    while True:
        try:
            record = records.get_nowait()
        except Empty:
            return
        if on_record is not None:
            on_record(record)


def _work(task: Task, trunk: bytes | None, topic: str) -> dict[str, bytes]:
    """Train a model on a worker; the files that it made."""
    import torch
    from distributed import get_worker

    worker: Any = get_worker()
    with _turn, tempfile.TemporaryDirectory() as folder:
        torch.set_num_threads(max(1, worker.state.nthreads))
        given = None
        if trunk is not None:
            given = Path(folder) / "trunk.safetensors"
            given.write_bytes(trunk)
        here = replace(task, folder=Path(folder) / task.name, trunk=given)
        train_task(here, lambda record: worker.log_event(topic, record))
        return {name: (here.folder / name).read_bytes() for name in _MADE}
