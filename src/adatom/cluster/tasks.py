"""Tasks on a cluster: handed out a few at a time, and their results in order."""

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from adatom import __version__
from adatom.cluster.work import work
from adatom.errors import ClusterError

# Tasks a worker, the one that it does and those that wait for it: while the first in order is done again, after its
# worker died, the other workers need not wait.
_AHEAD = 4
_COUNT_EVERY_S = 2.0
# What dask raises where there is no scheduler any more.
_GONE = (OSError, RuntimeError, ValueError, CancelledError)


@dataclass(frozen=True)
class Shared:
    """What every worker has, as the first argument of tasks."""

    key: str


class Cluster:
    """The workers of a cluster that `adatom.cluster.open_cluster` opened.

    Each task is a function of a module that workers can import, and arguments that can be pickled. A worker does one
    task at a time, with all its threads. A task whose worker died is done again by another one, a few times; its result
    is fetched as soon as it is there, so that what is done is not lost with the worker that did it.

    Parameters
    ----------
    client : of dask.
    name : for people.
    """

    def __init__(self, client: Any, name: str) -> None:
        self.name = name
        self._client = client
        self._under_way: dict[Future[Any], Any] = {}  # what was promised, and dask's own future of it
        self._n_workers, self._counted = 0, 0.0
        self._topic = f"adatom-{uuid.uuid4().hex}"
        self._messages: SimpleQueue[Any] = SimpleQueue()
        client.subscribe_topic(self._topic, lambda event: self._messages.put(event[1]))

    @property
    def depth(self) -> int:
        """So many tasks are handed out at a time; workers may come and go."""
        if time.monotonic() - self._counted > _COUNT_EVERY_S:
            with suppress(*_GONE):  # of which the tasks tell
                self._n_workers = len(self._client.nthreads())
            self._counted = time.monotonic()
        return _AHEAD * max(1, self._n_workers)

    @contextmanager
    def sharing(self, value: Any) -> Iterator[Shared]:
        """Have something on each worker, sent once, for `submit` and `in_order` within the block."""
        from distributed.protocol.pickle import dumps

        from adatom.cluster.shared import SharedContent, name_of

        key = uuid.uuid4().hex
        content = SharedContent(key, dumps(value))
        try:
            self._client.register_plugin(content)
        except _GONE as error:
            raise self._gone() from error
        try:
            yield Shared(key)
        finally:
            with suppress(*_GONE):
                self._client.unregister_worker_plugin(name_of(key))

    def submit(self, function: Callable[..., Any], *arguments: Any, shared: Shared | None = None) -> "Future[Any]":
        """Hand a task out.

        Parameters
        ----------
        function : gets what is shared, if anything, and the arguments.

        Returns
        -------
        A future that raises what the function raised; `ClusterError` if workers died of it again and again, if they
        have another Adatom, or if the scheduler is gone.
        """
        from distributed.protocol.pickle import dumps

        key = f"adatom.{getattr(function, '__name__', 'task')}-{uuid.uuid4().hex}"
        content = dumps((function, arguments))
        result: Future[Any] = Future()
        kept = None if shared is None else shared.key
        try:
            asked = self._client.submit(work, content, kept, self._topic, __version__, key=key, pure=False)
        except _GONE as error:
            raise self._gone() from error
        self._under_way[result] = asked
        asked.add_done_callback(partial(self._settle, result))
        return result

    def in_order(
        self, function: Callable[..., Any], items: Iterable[Any], *, shared: Shared | None = None
    ) -> Iterator[Any]:
        """The result for each item, in order; at most `depth` are under way. What is left is given up where the caller
        stops. Errors as of `submit`, raised for the first in order.
        """
        pending: deque[Future[Any]] = deque()
        try:
            for item in items:
                pending.append(self.submit(function, item, shared=shared))
                while pending and (len(pending) >= self.depth or pending[0].done()):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            self.give_up(pending)

    def heard(self) -> Iterator[Any]:
        """What tasks have told since the last time, see `adatom.cluster.tell`."""
        while True:
            try:
                yield self._messages.get_nowait()
            except Empty:
                return

    def give_up(self, tasks: "Iterable[Future[Any]]") -> None:
        """Cancel those that wait; what a worker has begun it ends, for nobody."""
        known = [(task, self._under_way.pop(task, None)) for task in tasks]
        left = {task: asked for task, asked in known if asked is not None}
        for task in left:
            with suppress(InvalidStateError):  # it was done just now
                task.set_exception(ClusterError("cluster: the task was given up."))
        if left:
            with suppress(*_GONE):
                self._client.cancel(list(left.values()), force=True)

    def close(self) -> None:
        """Leave nothing on the workers."""
        self.give_up(list(self._under_way))
        with suppress(*_GONE):
            self._client.unsubscribe_topic(self._topic)

    def _settle(self, result: "Future[Any]", asked: Any) -> None:
        """Fetch what is done; the worker may forget it then."""
        try:
            value, error = asked.result(), None
        except BaseException as raised:
            value, error = None, self._told(raised)
        self._under_way.pop(result, None)
        with suppress(InvalidStateError):
            result.set_result(value) if error is None else result.set_exception(error)

    def _gone(self) -> ClusterError:
        return ClusterError(f"cluster: expected a scheduler that answers, got none at {self.name} any more.")

    def _told(self, error: BaseException) -> BaseException:
        """An error as a person can use it."""
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker

        if isinstance(error, KilledWorker):
            return ClusterError(
                "cluster: expected workers that live through a task, got one that died with several of them, perhaps "
                "for their memory. Give workers more memory, or tasks less (--memory)."
            )
        if isinstance(error, (CancelledError, CommClosedError)):
            return self._gone()
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ModuleNotFoundError) and (cause.name or "").partition(".")[0] == "adatom":
                return ClusterError(
                    f"cluster: expected Adatom {__version__} on its workers, got none. Install it there."
                )
            cause = cause.__cause__
        return error
