"""What does work elsewhere: the workers of a cluster, or processes of this machine."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shared:
    """What every worker has, as the first argument of tasks.

    Attributes
    ----------
    key : of the value.
    content : the value, pickled, where it travels with each task; else empty.
    """

    key: str
    content: bytes = b""


class Workers(ABC):
    """Tasks are handed out a few at a time; each is a function of a module, and arguments that can be pickled."""

    @property
    @abstractmethod
    def depth(self) -> int:
        """So many tasks are handed out at a time."""

    @abstractmethod
    def sharing(self, value: Any) -> AbstractContextManager[Shared]:
        """Have something on each worker for `submit` and `in_order` within the block."""

    @abstractmethod
    def submit(self, function: Callable[..., Any], *arguments: Any, shared: Shared | None = None) -> "Future[Any]":
        """Hand a task out.

        Parameters
        ----------
        function : gets what is shared, if anything, and the arguments.

        Returns
        -------
        A future that raises what the function raised, or `ClusterError` where no worker is left that could do it.
        """

    @abstractmethod
    def give_up(self, tasks: "Iterable[Future[Any]]") -> None:
        """Cancel those that wait; what a worker has begun it ends, for nobody."""

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
