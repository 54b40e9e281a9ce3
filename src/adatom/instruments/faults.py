"""An instrument that fails as asked: what stands behind the limits when they are tested."""

import threading
from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import Field

from adatom.data.ranges import StrictModel
from adatom.errors import InstrumentError
from adatom.instruments.instrument import Instrument, ScanFrame, SpectrumSettings

Probability = Annotated[float, Field(ge=0, le=1)]


class Faults(StrictModel):
    """How an instrument fails. The same seed fails at the same calls."""

    seed: int = 0
    fails_every: Annotated[int, Field(ge=1)] | None = Field(default=None, description="each so-manieth action fails")
    disconnects: Probability = Field(
        default=0.0, description="of a call: the connection is gone until it is made ready"
    )
    garbage: Probability = Field(default=0.0, description="of a call: the answer makes no sense, a move ends elsewhere")
    hangs: Probability = Field(default=0.0, description="of an action: it does not end until it is made safe")
    foreign: Probability = Field(default=0.0, description="of a call: it raises what no driver should")


class FaultyInstrument:
    """Hands calls on to another instrument, when it does not fail them."""

    def __init__(self, driver: Instrument, faults: Faults) -> None:
        self._driver = driver
        self._faults = faults
        self._calls = 0
        self._actions = 0
        self._is_connected = True
        self._freed = threading.Event()

    def describe(self) -> dict[str, Any]:
        return self._driver.describe()

    def position(self) -> tuple[float, float]:
        if self._fails() == "garbage":
            return float("nan"), 1e300
        return self._driver.position()

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float) -> None:
        if self._action_fails() != "garbage":
            self._driver.move(x_nm, y_nm, speed_nm_per_s=speed_nm_per_s)

    def scan(self, frame: ScanFrame) -> xr.Dataset:
        if self._action_fails() == "garbage":
            return self._driver.scan(frame) * np.nan
        return self._driver.scan(frame)

    def spectrum(self, settings: SpectrumSettings) -> xr.DataArray:
        if self._action_fails() == "garbage":
            return self._driver.spectrum(settings)[:-1]
        return self._driver.spectrum(settings)

    def read(self) -> dict[str, float]:
        if self._fails() == "garbage":
            return {"current_A": float("inf")}
        return self._driver.read()

    def clock(self) -> float:
        return self._driver.clock()

    def state(self) -> dict[str, Any]:
        return self._driver.state()

    def make_safe(self) -> None:
        self._freed.set()
        self._is_connected = True  # as drivers do that go about it over a fresh connection
        self._driver.make_safe()

    def make_ready(self) -> None:
        self._freed.clear()
        self._driver.make_ready()

    def close(self) -> None:
        self._driver.close()

    def _action_fails(self) -> str | None:
        self._actions += 1
        kind = self._fails()
        if self._faults.fails_every is not None and self._actions % self._faults.fails_every == 0:
            raise InstrumentError(f"faults: action {self._actions} fails, as asked.")
        if kind == "hang":
            self._freed.wait()
            raise InstrumentError("faults: stopped while it hung.")
        return kind

    def _fails(self) -> str | None:
        """Which fault this call has; raises those that raise."""
        self._calls += 1
        chance = np.random.default_rng([self._faults.seed, self._calls]).random(4)
        if chance[0] < self._faults.disconnects:
            self._is_connected = False
        if not self._is_connected:
            raise ConnectionResetError("faults: the connection is gone, as asked.")
        if chance[1] < self._faults.foreign:
            raise RuntimeError("faults: an error that no driver should raise, as asked.")
        if chance[2] < self._faults.garbage:
            return "garbage"
        return "hang" if chance[3] < self._faults.hangs else None
