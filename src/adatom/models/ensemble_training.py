"""Members of an ensemble, each trained into a folder of its own, one after the other or in several processes.

What is finished is not trained again when a stopped training is resumed; what was under way goes on from its
checkpoint.
"""

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from queue import Empty
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr

from adatom.data.atomic_file import write_atomically
from adatom.errors import TrainingError
from adatom.models.catalogue import ESTIMATORS, load
from adatom.models.image_model import ImageModel
from adatom.models.recipe import Recipe
from adatom.train import Record, TrainingSettings

Kind = Literal["seeds", "trunk", "swag", "symmetry"]
KINDS: tuple[Kind, ...] = ("seeds", "trunk", "swag", "symmetry")
Data = Recipe | xr.Dataset | Path
OnRecord = Callable[[Record], None]

# Of the steps of a training, those that a member of a trunk gets for its last part, and a walk of the weights.
_TUNING_SHARE, _WALK_SHARE = 0.2, 0.25
_LISTEN_S = 0.2


@dataclass(frozen=True)
class Task:
    """The training of one model.

    Attributes
    ----------
    name : of its folder, and what its records say as ``member``.
    estimator : kind of the model.
    arguments : of its constructor.
    folder : gets ``checkpoint.safetensors``, ``history.json``, ``model.safetensors``, and the task itself as
        ``task.json``.
    trunk : model file whose crown is trained anew; None for a training from scratch.
    resume : go on with what is there.
    """

    name: str
    estimator: str
    arguments: dict[str, Any]
    data: Data
    folder: Path
    trunk: Path | None = None
    resume: bool = False

    @property
    def model(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def is_done(self) -> bool:
        """Whether its model is there, and belongs to it."""
        return self.resume and self.model.exists() and self._is_kept()

    def facts(self) -> str:
        """What another training would have otherwise, as text."""
        trunk = None if self.trunk is None else hashlib.sha256(self.trunk.read_bytes()).hexdigest()
        data = {"recipe": self.data.to_yaml()} if isinstance(self.data, Recipe) else {"data": _name_of(self.data)}
        told = {"estimator": self.estimator, "arguments": self.arguments, "trunk": trunk, **data}
        return json.dumps(told, indent=1, sort_keys=True)

    def _is_kept(self) -> bool:
        kept = self.folder / "task.json"
        return kept.exists() and kept.read_text(encoding="utf-8") == self.facts()

    def begin(self) -> ImageModel:
        """An estimator that is not fitted, and the folder ready for it.

        Raises
        ------
        TrainingError : if it is to be resumed, and the folder holds another training.
        """
        kept = self.folder / "task.json"
        if self.resume and kept.exists() and not self._is_kept():
            raise TrainingError(
                f"resume: expected the training of {self.folder}, got another one. Start in a new folder."
            )
        if not self.resume:
            for name in ("checkpoint.safetensors", "model.safetensors"):
                (self.folder / name).unlink(missing_ok=True)
        write_atomically(kept, self.facts())
        model: ImageModel = getattr(import_module(ESTIMATORS[self.estimator]), self.estimator)(**self.arguments)
        return model


def _name_of(data: xr.Dataset | Path) -> str:
    """What tells one training set from another: where it is, or what it measures."""
    return str(data) if isinstance(data, Path) else f"{dict(data.sizes)} {data.attrs.get('classes')}"


def train_task(task: Task, on_record: OnRecord | None) -> None:
    """Train a model into its folder, unless it is there."""
    if task.is_done:
        return
    model = task.begin()

    def told(record: Record) -> None:
        if on_record is not None:
            on_record({**record, "member": task.name})

    options: dict[str, Any] = {
        "checkpoint": task.folder / "checkpoint.safetensors",
        "resume": task.resume,
        "on_record": told,
    }
    if task.trunk is None:
        model.fit(task.data, **options)
    else:
        model.fit_crown(task.data, _load_member(task.trunk), **options)
    write_atomically(task.folder / "history.json", json.dumps(model.history_))
    model.save(task.model)  # last: a model that is there is whole


def train_tasks(tasks: list[Task], *, jobs: int, on_record: OnRecord | None) -> None:
    """Train all, `jobs` of them at a time, each in a process of its own where that is more than one."""
    left = [task for task in tasks if not task.is_done]
    if min(jobs, len(left)) <= 1:
        for task in left:
            train_task(task, on_record)
        return
    context = multiprocessing.get_context("spawn")
    records, stop = context.Queue(), context.Event()
    threads = max(1, torch.get_num_threads() // min(jobs, len(left)))
    pool = ProcessPoolExecutor(
        min(jobs, len(left)), mp_context=context, initializer=_start, initargs=(records, stop, threads)
    )
    try:
        waiting = {pool.submit(_work, task) for task in left}
        while waiting:
            done, waiting = wait(waiting, timeout=_LISTEN_S, return_when=FIRST_COMPLETED)
            _listen(records, on_record)
            for future in done:
                future.result()
        _listen(records, on_record)
    except BrokenProcessPool as error:
        raise TrainingError(
            "members: a process that trained one was killed, perhaps for its memory. Ask for fewer at a time (jobs), "
            "and go on with resume."
        ) from error
    finally:
        stop.set()  # those under way end at their next step
        pool.shutdown(wait=True, cancel_futures=True)


def _listen(records: Any, on_record: OnRecord | None) -> None:
    while True:
        try:
            record = records.get_nowait()
        except Empty:
            return
        if on_record is not None:
            on_record(record)


_told: tuple[Any, Any]  # of a process: where its records go, and whether it is to stop


def _start(records: Any, stop: Any, threads: int) -> None:
    global _told
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked stops them
    torch.set_num_threads(threads)
    _told = (records, stop)


class _Stopped(Exception):
    """The process that asked for the training wants no more of it."""


def _work(task: Task) -> None:
    records, stop = _told
    parent = os.getppid()

    def tell(record: Record) -> None:
        if stop.is_set() or os.getppid() != parent:
            raise _Stopped
        records.put(record)

    train_task(task, tell)


def member_seed(seed: int, number: int) -> int:
    """Seed of a member: the first one has the ensemble's own, and is the model that would be trained alone."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)


def tuning_steps(settings: TrainingSettings) -> int:
    """Steps that a member of a trunk gets for its crown."""
    return max(1, round(_TUNING_SHARE * settings.steps))


def walk_steps(settings: TrainingSettings) -> int:
    """Steps of the walk of the weights, after the training."""
    return max(1, round(_WALK_SHARE * settings.steps))


def tasks_of(
    kind: Kind, estimator: str, arguments: dict[str, Any], settings: TrainingSettings, data: Data, folder: Path, n: int
) -> tuple[Task | None, list[Task]]:
    """The model that has to be there first, if any, and those that are trained after it."""

    def with_settings(**changes: Any) -> dict[str, Any]:
        return {**arguments, "training": settings.model_copy(update=changes).model_dump()}

    whole = with_settings()
    if kind == "seeds":
        return None, [
            Task(
                f"member{k}", estimator, with_settings(seed=member_seed(settings.seed, k)), data, folder / f"member{k}"
            )
            for k in range(n)
        ]
    if kind == "symmetry":
        return None, [Task("member0", estimator, whole, data, folder / "member0")]
    trunk = Task("trunk", estimator, whole, data, folder / "trunk")
    if kind == "swag":
        return trunk, []
    steps = tuning_steps(settings)
    every = min(settings.validate_every, max(1, steps // 4))
    tuned = [
        Task(
            f"member{k}",
            estimator,
            with_settings(seed=member_seed(settings.seed, k + 1), steps=steps, validate_every=every),
            data,
            folder / f"member{k}",
            trunk=trunk.model,
        )
        for k in range(n)
    ]
    return trunk, tuned


def train_members(
    kind: Kind,
    estimator: str,
    arguments: dict[str, Any],
    settings: TrainingSettings,
    data: Data,
    folder: Path,
    *,
    n_members: int,
    resume: bool,
    jobs: int,
    cluster: str | None,
    on_record: OnRecord | None,
) -> tuple[list[ImageModel], list[list[Record]]]:
    """Train all models of an ensemble into folders in `folder`; the models and the records of their trainings."""
    first, after = tasks_of(kind, estimator, arguments, settings, data, folder, n_members)
    if first is not None:
        first = replace(first, resume=resume)
        train_task(first, on_record)
    if kind == "swag":
        assert first is not None
        after = _draw_members(first, settings, n_members, on_record)
    else:
        after = [replace(task, resume=resume) for task in after]
        if cluster is None:
            train_tasks(after, jobs=jobs, on_record=on_record)
        else:
            from adatom.models.cluster_training import train_on_cluster

            train_on_cluster(after, cluster=cluster, on_record=on_record)
    every = [task for task in (first, *after) if task is not None]
    histories = [json.loads((task.folder / "history.json").read_text(encoding="utf-8")) for task in every]
    return [_load_member(task.model) for task in after], histories


def _draw_members(trunk: Task, settings: TrainingSettings, n: int, on_record: OnRecord | None) -> list[Task]:
    """Members out of the cloud of a training's weights, each in its folder; all again where one is missing."""
    tasks = [
        Task(
            f"member{k}", trunk.estimator, trunk.arguments, trunk.data, trunk.folder.parent / f"member{k}", trunk.model
        )
        for k in range(n)
    ]
    tasks = [replace(task, resume=trunk.resume) for task in tasks]
    if all(task.is_done for task in tasks):
        return tasks
    fitted = _load_member(trunk.model)
    walker = type(fitted)(**trunk.arguments)

    def told(record: Record) -> None:
        if on_record is not None:
            on_record({**record, "member": "walk"})

    seeds = [member_seed(settings.seed, k + 1) for k in range(n)]
    drawn = walker.fit_cloud(trunk.data, fitted, seeds, steps=walk_steps(settings), on_record=told)
    for task, model in zip(tasks, drawn, strict=True):
        task.begin()
        write_atomically(task.folder / "history.json", json.dumps(model.history_))
        model.save(task.model)
    return tasks


def _load_member(path: Path) -> ImageModel:
    model = load(path)
    assert isinstance(model, ImageModel)  # what a task trains
    return model
