"""Nanonis, by its TCP programming interface (SPECS). Its y axis points up, the scanner's frame here points down.

Reads are tried again after a lost connection; whatever moves something never is: nobody knows how far it came.
"""

import socket
import time
from contextlib import suppress
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adatom.data import make_image
from adatom.errors import ArgumentError, InstrumentError
from adatom.instruments.instrument import ScanFrame, SpectrumSettings
from adatom.instruments.nanonis_wire import Body, message, packed, received

_NM = 1e-9
_SCAN_START, _SCAN_STOP, _DOWN, _FORWARD = 0, 1, 0, 1
_TRIES_TO_BE_SAFE = 3
_EVEN = 1e-4  # of the range: steps of a sweep are as even as that


class NanonisSettings(BaseModel):
    """How to reach a Nanonis. Unknown keys are errors.

    Parameters
    ----------
    host, port : of the interface; it has ports 6501 to 6504.
    emergency_port : a second one, by which it is made safe while the first one waits; by default the same.
    channels : names of signals to scan, without unit; those that are recorded are found by name.
    spectrum_channel : of a bias spectrum.
    timeout_s : for an answer, beside the time that an action takes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    host: str = "127.0.0.1"
    port: int = Field(default=6501, ge=1, le=65535)
    emergency_port: int | None = Field(default=None, ge=1, le=65535)
    channels: tuple[str, ...] = ("Z",)
    spectrum_channel: str = "Current"
    timeout_s: float = Field(default=10.0, gt=0)


def open_nanonis(**settings: Any) -> "Nanonis":
    """Connect to a Nanonis.

    Raises
    ------
    ArgumentError : if a setting is unknown or out of range.
    InstrumentError : if it cannot be reached.
    """
    try:
        return Nanonis(NanonisSettings.model_validate(settings))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "nanonis"
        raise ArgumentError(f"nanonis: {where}: {problem['msg']}.") from error


class Nanonis:
    """An `Instrument`."""

    def __init__(self, settings: NanonisSettings) -> None:
        self.settings = settings
        self._connection: socket.socket | None = None
        self._names = self._ask("Signals.NamesGet", gives="S", again=True)[0]

    # ---------------------------------------------------------------- the instrument

    def position(self) -> tuple[float, float]:
        """Where the probe is, as read back."""
        x, y = self._ask("FolMe.XYPosGet", "I", [1], gives="dd", again=True)
        return x / _NM, -y / _NM

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float) -> None:
        """Follow me: there at this speed, and wait until it has arrived."""
        start = self.position()
        seconds = float(np.hypot(x_nm - start[0], y_nm - start[1])) / speed_nm_per_s
        self._ask("FolMe.SpeedSet", "fI", [speed_nm_per_s * _NM, 1])
        self._ask("FolMe.XYPosSet", "ddI", [x_nm * _NM, -y_nm * _NM, 1], seconds=seconds)

    def scan(self, frame: ScanFrame) -> xr.Dataset:
        """A scan from top to bottom; forward lines are kept."""
        wanted = frame.channels or self.settings.channels
        index = {name: self._index(name) for name in wanted}
        box = [frame.x_nm * _NM, -frame.y_nm * _NM, frame.width_nm * _NM, frame.height_nm * _NM, 0.0]
        self._ask("Scan.FrameSet", "fffff", box)
        self._ask("Scan.BufferSet", "aii", [list(index.values()), frame.columns, frame.rows])
        line_s = frame.columns * frame.dwell_time_s
        speed = frame.width_nm * _NM / line_s
        self._ask("Scan.SpeedSet", "ffffHf", [speed, speed, line_s, line_s, 2, 1.0])
        seconds = 2 * frame.rows * line_s
        self._ask("Scan.Action", "HI", [_SCAN_START, _DOWN])
        wait_ms = int(1000 * (1.5 * seconds + self.settings.timeout_s))
        timed_out, _ = self._ask("Scan.WaitEndOfScan", "i", [wait_ms], gives="Is", seconds=1.5 * seconds)
        if timed_out:
            raise InstrumentError(f"nanonis: the scan was not done after {wait_ms / 1000:g} s.")
        return xr.Dataset({name: self._grabbed(name, number, frame) for name, number in index.items()})

    def spectrum(self, settings: SpectrumSettings) -> xr.DataArray:
        """A bias sweep, there or there and back, where the probe is."""
        if settings.axis != "bias":
            raise InstrumentError(f"nanonis: expected a spectrum along bias, got {settings.axis}.")
        low, high, n, and_back = _sweep(np.asarray(settings.values, dtype=float))
        seconds = len(settings.values) * settings.dwell_time_s
        channel = settings.channel or self.settings.spectrum_channel
        self._ask("BiasSpectr.Open")
        self._ask("BiasSpectr.PropsSet", "HiHifHH", [2, 1, 1 if and_back else 2, n, 0.0, 2, 2])
        self._ask("BiasSpectr.LimitsSet", "ff", [low, high])
        timing = [0.0, 0.0, 0.0, 1e3, 0.0, settings.dwell_time_s, 0.0, 0.0]
        self._ask("BiasSpectr.TimingSet", "ffffffff", timing)
        names, table, _ = self._ask("BiasSpectr.Start", "Is", [1, ""], gives="SFA", seconds=seconds)
        rows = table if len(names) == len(table) else table.T
        if len(rows) != len(names):
            raise InstrumentError(f"nanonis: expected a row for each of {len(names)} channels, got {table.shape}.")
        by_name = {_bare(name): row for name, row in zip(names, rows, strict=True)}
        try:
            values = by_name[channel]
            if and_back:
                values = np.concatenate([values, by_name[f"{channel} [bwd]"][::-1]])
        except KeyError as error:
            raise InstrumentError(f"nanonis: expected the channel {error}, got {', '.join(by_name)}.") from error
        if len(values) != len(settings.values):
            raise InstrumentError(f"nanonis: expected {len(settings.values)} points, got {len(values)}.")
        coords = {"bias": ("bias", np.asarray(settings.values, dtype=float), {"units": "V"})}
        units = next((_unit(name) for name in names if _bare(name) == channel), "")
        return xr.DataArray(values, dims=("bias",), coords=coords, attrs={"units": units})

    def read(self) -> dict[str, float]:
        """Bias, current and height now."""
        return {
            "bias_V": self._ask("Bias.Get", gives="f", again=True)[0],
            "current_A": self._ask("Current.Get", gives="f", again=True)[0],
            "z_nm": self._ask("ZCtrl.ZPosGet", gives="f", again=True)[0] / _NM,
        }

    def make_safe(self) -> None:
        """Stop scan, spectrum and movement, and withdraw, through a connection of its own."""
        commands: tuple[tuple[str, str, list[Any]], ...] = (
            ("ZCtrl.Withdraw", "Ii", [0, 0]),  # first of all
            ("Scan.Action", "HI", [_SCAN_STOP, _DOWN]),
            ("BiasSpectr.Stop", "", []),
            ("FolMe.Stop", "", []),
            ("Motor.StopMove", "", []),
            ("ZCtrl.Withdraw", "Ii", [0, 0]),  # and again, now that nothing else goes on
        )
        port = self.settings.emergency_port or self.settings.port
        for command, types, values in commands:
            for _ in range(_TRIES_TO_BE_SAFE):
                with suppress(OSError, InstrumentError), self._connected(port, 2.0) as connection:
                    if not self._exchange(connection, command, packed(types, values)).error():
                        break
        self._let_go()  # whatever was under way is over: its answer must not be taken for another's

    def close(self) -> None:
        """Let go of the connection."""
        self._let_go()

    # ---------------------------------------------------------------- talking

    def _index(self, name: str) -> int:
        found = [number for number, each in enumerate(self._names) if _bare(each) == name]
        if not found:
            raise InstrumentError(
                f"nanonis: expected a signal out of {', '.join(map(_bare, self._names))}, got {name}."
            )
        return found[0]

    def _grabbed(self, name: str, number: int, frame: ScanFrame) -> xr.DataArray:
        _, table, direction = self._ask("Scan.FrameDataGrab", "II", [number, _FORWARD], gives="sFI", again=True)
        if table.shape != (frame.rows, frame.columns):
            raise InstrumentError(f"nanonis: expected {frame.rows} x {frame.columns} pixels, got {table.shape}.")
        values = table if direction == _DOWN else table[::-1]
        made = make_image(values, pixel_size=(frame.height_nm / frame.rows, frame.width_nm / frame.columns))
        x = frame.x_nm + ((np.arange(frame.columns) + 0.5) / frame.columns - 0.5) * frame.width_nm
        y = frame.y_nm + ((np.arange(frame.rows) + 0.5) / frame.rows - 0.5) * frame.height_nm
        made = made.assign_coords(x=("x", x, made["x"].attrs), y=("y", y, made["y"].attrs))
        made.attrs |= {"signal": name, "units": _unit(self._names[number])}
        return made

    def _ask(
        self,
        command: str,
        types: str = "",
        values: list[Any] | None = None,
        *,
        gives: str = "",
        seconds: float = 0.0,
        again: bool = False,
    ) -> list[Any]:
        """What the instrument answers; `again`, whether the question may be put twice."""
        body = packed(types, values or [])
        for attempt in range(2 if again else 1):
            try:
                if self._connection is None:
                    self._connection = self._connected(self.settings.port, self.settings.timeout_s)
                self._connection.settimeout(seconds + self.settings.timeout_s)
                answer = self._exchange(self._connection, command, body)
                problem = answer.error_alone() if gives else ""
                if not problem:
                    told = answer.take(gives)
                    problem = answer.error()
            except (OSError, InstrumentError) as error:
                self._let_go()  # what is still to come would be taken for the next answer
                if isinstance(error, OSError) and again and attempt == 0:
                    time.sleep(0.05)
                    continue
                if isinstance(error, InstrumentError):
                    raise
                raise InstrumentError(f"nanonis: no answer to {command} ({error or type(error).__name__}).") from error
            if problem:
                raise InstrumentError(f"nanonis: {command}: {problem}.")
            return told
        raise InstrumentError(f"nanonis: no answer to {command}.")

    @staticmethod
    def _exchange(connection: socket.socket, command: str, body: bytes) -> Body:
        connection.sendall(message(command, body, is_request=True))
        name, content = received(connection)
        if name != command:
            raise InstrumentError(f"nanonis: expected an answer to {command}, got one to {name}.")
        return Body(content, f"the answer to {command}")

    def _connected(self, port: int, timeout_s: float) -> socket.socket:
        try:
            return socket.create_connection((self.settings.host, port), timeout=timeout_s)
        except OSError as error:
            where = f"{self.settings.host}:{port}"
            raise InstrumentError(f"nanonis: expected one at {where}, which cannot be reached ({error}).") from error

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()


def _sweep(values: NDArray[np.float64]) -> tuple[float, float, int, bool]:
    """Start, end and points of a linear sweep, and whether it goes back the same way."""
    for n, and_back in ((len(values), False), (len(values) // 2, True)):
        if n < 2 or (and_back and len(values) % 2):
            continue
        there = np.linspace(values[0], values[n - 1], n)
        whole = np.concatenate([there, there[::-1]]) if and_back else there
        if np.abs(whole - values).max() <= _EVEN * (np.ptp(values) + 1e-12):
            return float(values[0]), float(values[n - 1]), n, and_back
    raise InstrumentError("nanonis: expected an even sweep of the bias, there, or there and back, got something else.")


def _bare(name: str) -> str:
    return name.rsplit("(", 1)[0].strip()


def _unit(name: str) -> str:
    return name.rsplit("(", 1)[1].rstrip(") ") if "(" in name else ""
