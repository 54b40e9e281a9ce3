"""The instrument as bluesky sees it: a probe that can be set, and detectors that can be triggered and read.

Each action runs in a thread, so that the engine can pause or abort meanwhile; one at a time.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from adatom.instruments import Guarded

Read = dict[str, dict[str, Any]]


class Done:
    """A `bluesky` status: an action that is under way, or over."""

    def __init__(self, future: "Future[Any]") -> None:
        self._future = future

    def add_callback(self, callback: Callable[["Done"], None]) -> None:
        """Call when it is over."""
        self._future.add_done_callback(lambda _: callback(self))

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """What went wrong, if it is over."""
        return self._future.exception(timeout)

    @property
    def done(self) -> bool:
        """Whether it is over."""
        return self._future.done()

    @property
    def success(self) -> bool:
        """Whether it is over and went well."""
        return self._future.done() and self._future.exception() is None


class Device:
    """What all devices share: a name, no parent, and the thread.

    Parameters
    ----------
    name : in documents.
    worker : the one thread that speaks to the instrument.
    """

    parent = None

    def __init__(self, name: str, worker: ThreadPoolExecutor) -> None:
        self.name = name
        self._worker = worker
        self._values: dict[str, Any] = {}

    def read(self) -> Read:
        """What was last measured, for the event."""
        now = time.time()
        return {f"{self.name}_{key}": {"value": value, "timestamp": now} for key, value in self._values.items()}

    def describe(self) -> Read:
        """Types of what `read` gives."""
        kinds = {str: "string", float: "number", int: "integer", bool: "boolean"}
        return {
            f"{self.name}_{key}": {"source": self.name, "dtype": kinds[type(value)], "shape": []}
            for key, value in self._values.items()
        }

    def read_configuration(self) -> Read:
        """Nothing."""
        return {}

    def describe_configuration(self) -> Read:
        """Nothing."""
        return {}


class Probe(Device):
    """The probe: set it to (x, y) in nm."""

    def __init__(self, instrument: Guarded, worker: ThreadPoolExecutor) -> None:
        super().__init__("probe", worker)
        self._instrument = instrument

    def set(self, place: tuple[float, float]) -> Done:
        """Go there."""

        def go() -> None:
            self._instrument.move(*place)
            self._values = {"x_nm": float(place[0]), "y_nm": float(place[1])}

        return Done(self._worker.submit(go))


class Detector(Device):
    """What measures something by a function that returns plain values."""

    def __init__(self, name: str, measure: Callable[[], dict[str, Any]], worker: ThreadPoolExecutor) -> None:
        super().__init__(name, worker)
        self._measure = measure

    def trigger(self) -> Done:
        """Measure."""

        def measure() -> None:
            self._values = self._measure()

        return Done(self._worker.submit(measure))
