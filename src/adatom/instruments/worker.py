"""A thread that does one thing after another for somebody who does not wait for ever."""

import queue
import threading
from collections.abc import Callable
from typing import Any, Self


class TooLateError(Exception):
    """What was to be done is not done yet; it may still go on."""


class Worker:
    """Does what it is given, in one thread. The thread dies with the process, however long something takes."""

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._unfinished: _Task | None = None
        self._is_threaded = True
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError:  # while Python ends, there are no new threads; then nothing can be left behind
            self._is_threaded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def do(self, action: Callable[[], Any], timeout_s: float) -> Any:
        """What `action` returns, or what it raises.

        Raises
        ------
        TooLateError : if it is not done within `timeout_s`, or what was given before is not.
        """
        if not self._is_threaded:
            return action()
        if not self.is_free(timeout_s):
            raise TooLateError
        task = _Task(action)
        self._unfinished = task
        self._tasks.put(task)
        if not task.done.wait(timeout_s):
            raise TooLateError
        if task.error is not None:
            raise task.error
        return task.result

    def is_free(self, timeout_s: float = 0.0) -> bool:
        """Whether all is done that was given so far, after waiting for it."""
        return self._unfinished is None or self._unfinished.done.wait(timeout_s)

    def end(self) -> None:
        """Let the thread end after what it does now."""
        self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task.result = task.action()
            except BaseException as error:  # goes to whoever waits
                task.error = error
            task.done.set()


class _Task:
    def __init__(self, action: Callable[[], Any]) -> None:
        self.action = action
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
