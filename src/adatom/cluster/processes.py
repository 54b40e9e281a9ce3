"""Processes of this machine that share in a command's work, without dask. One that dies ends the command."""

import os
import pickle
import signal
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from adatom.cluster.workers import Shared, Workers
from adatom.errors import ClusterError

_values: dict[str, Any] = {}  # in a worker: what is shared, the last one only


class Processes(Workers):
    """So many processes, from the beginning of a ``with`` block to its end, each with its share of the processors.

    Parameters
    ----------
    number : of processes.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._pool = ProcessPoolExecutor(
            number, mp_context=get_context("spawn"), initializer=_begin, initargs=(number,)
        )

    @property
    def depth(self) -> int:
        """One that is done and one that waits, for each process."""
        return 2 * self._number

    @contextmanager
    def sharing(self, value: Any) -> Iterator[Shared]:
        """See `Workers`; it travels with each task, and each process unpickles it once."""
        yield Shared(uuid.uuid4().hex, pickle.dumps(value))

    def submit(self, function: Callable[..., Any], *arguments: Any, shared: Shared | None = None) -> "Future[Any]":
        """See `Workers`."""
        done: Future[Any] = Future()

        def settle(task: "Future[Any]") -> None:
            if task.cancelled():
                done.cancel()
                return
            error = task.exception()
            if isinstance(error, BrokenProcessPool):
                error = ClusterError(
                    "jobs: expected processes that live to the end, got one that died, perhaps for its memory. Give "
                    "the command again, it goes on; with fewer --jobs, or less --memory for each."
                )
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(task.result())

        try:
            self._pool.submit(_work, function, arguments, shared).add_done_callback(settle)
        except BrokenProcessPool as error:
            broken: Future[Any] = Future()
            broken.set_exception(error)
            settle(broken)
        return done

    def give_up(self, tasks: "Iterable[Future[Any]]") -> None:
        """See `Workers`: what nobody waits for is not begun."""
        for task in tasks:
            task.cancel()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=error[0] is None, cancel_futures=True)


def _begin(number: int) -> None:
    """As many threads as are this process's share of the machine; Ctrl-C is for the one that handed out the work."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // number))


def _work(function: Callable[..., Any], arguments: tuple[Any, ...], shared: Shared | None) -> Any:
    if shared is None:
        return function(*arguments)
    if shared.key not in _values:
        _values.clear()
        _values[shared.key] = pickle.loads(shared.content)
    return function(_values[shared.key], *arguments)
