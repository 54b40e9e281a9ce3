"""Where the time went, by the names of the stages; stages that overlap are each counted in full."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Stopwatch:
    """Sums of seconds by name; several threads may use one."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time of a block under a name."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._sums[name] = self._sums.get(name, 0.0) + time.perf_counter() - started

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count what another stopwatch has measured."""
        with self._lock:
            for name, value in seconds.items():
                self._sums[name] = self._sums.get(name, 0.0) + value

    @property
    def seconds(self) -> dict[str, float]:
        """By name, in the order of their first use."""
        with self._lock:
            return {name: round(value, 3) for name, value in self._sums.items()}
