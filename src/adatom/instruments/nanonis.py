"""Nanonis controllers, by their TCP programming interface.

The controller counts y upwards and lengths in m; here y runs downwards, in nm. Before anything starts, what was set is
read back, as a controller silently takes another value where it cannot take the one it was given. Continuous scanning
has to be switched off by hand. The simulator of `adatom.instruments.nanonis_simulator` speaks the same protocol; no one
has tried this driver on a real controller yet: begin with the tip withdrawn.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from adatom.errors import ArgumentError, InstrumentError
from adatom.instruments.instrument import ScanFrame, SpectrumSettings
from adatom.instruments.nanonis_connection import NanonisConnection
from adatom.instruments.nanonis_segments import Segment, segments_of
from adatom.instruments.replies import checked_reading

_M_PER_NM = 1e-9
_PIXELS_COME_IN = 16  # packages in which the controller sends them
_WITHDRAW_S = 10.0
_ASK_EVERY_S = 0.5
# Answers of settings that have three states.
_ON, _OFF, _AS_IT_IS = 1, 2, 0
_SCAN_START, _SCAN_STOP, _DOWNWARDS, _FORWARD = 0, 1, 0, 1
_KEEP_TIME_PER_LINE = 2


class Nanonis:
    """An `Instrument` that is a Nanonis controller.

    Parameters
    ----------
    host, port : of its programming interface, usually one of the ports 6501 to 6504, each of which serves one client.
    safe_port : a second one, over which it is made safe while the first waits for an answer or is broken.
    channels : signals that a scan records if it names none.
    spectrum_channel : the signal that a spectrum records if it names none.
    slew_V_per_s : fastest change of the bias inside a sweep.
    is_safe_tip_wanted : whether the controller's Safe Tip is switched on.
    timeout_s : for answers that take no time.
    state : {}, as a real world cannot be set back.

    Raises
    ------
    InstrumentError : if the controller cannot be reached, or has no signals of these names.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 6501,
        safe_port: int = 6502,
        channels: Sequence[str] = ("Z (m)", "Current (A)"),
        spectrum_channel: str = "Current (A)",
        slew_V_per_s: float = 50.0,
        is_safe_tip_wanted: bool = True,
        timeout_s: float = 5.0,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value in (("slew_V_per_s", slew_V_per_s), ("timeout_s", timeout_s)):
            if not (math.isfinite(value) and value > 0):
                raise ArgumentError(f"{name}: expected a number above 0, got {value!r}.")
        if state:
            raise ArgumentError("state: expected {} for a real instrument, got another. Its world cannot be set back.")
        self._host, self._safe_port, self._timeout_s = host, safe_port, timeout_s
        self._channels, self._spectrum_channel = tuple(channels), spectrum_channel
        self._slew_V_per_s = slew_V_per_s
        self._is_safe_tip_wanted = is_safe_tip_wanted
        self._connection = NanonisConnection(host, port, timeout_s)
        self._ask = self._connection.call
        other = NanonisConnection(host, safe_port, timeout_s)
        other.call("ZCtrl.OnOffGet")  # now, and not first when it matters
        other.close()
        self._signals: list[str] = self._ask("Signals.NamesGet")[0]
        for channel in (*self._channels, spectrum_channel):
            self._number(channel)
        self._rest_bias_V = checked_reading({"bias_V": self._ask("Bias.Get")[0]})["bias_V"]
        self._range_nm = [float(edge) / _M_PER_NM for edge in self._ask("Piezo.RangeGet")[:2]]

    def describe(self) -> dict[str, Any]:
        return {
            "name": "nanonis",
            "channels": {name: _units(name) for name in self._channels},
            "spectrum": None,
            "x_nm": [-self._range_nm[0] / 2, self._range_nm[0] / 2],
            "y_nm": [-self._range_nm[1] / 2, self._range_nm[1] / 2],
        }

    def position(self) -> tuple[float, float]:
        x, y = self._ask("FolMe.XYPosGet", 1)
        return x / _M_PER_NM, -y / _M_PER_NM

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float) -> None:
        x, y = self.position()
        self._ask("FolMe.SpeedSet", speed_nm_per_s * _M_PER_NM, 1)
        self._took("FolMe.SpeedGet", speed_nm_per_s * _M_PER_NM, 1)
        takes_s = float(np.hypot(x_nm - x, y_nm - y)) / speed_nm_per_s
        self._ask("FolMe.XYPosSet", x_nm * _M_PER_NM, -y_nm * _M_PER_NM, 1, takes_s=2 * takes_s)

    def scan(self, frame: ScanFrame) -> xr.Dataset:
        if frame.columns % _PIXELS_COME_IN:
            raise InstrumentError(f"columns: expected a multiple of {_PIXELS_COME_IN}, got {frame.columns}.")
        names = frame.channels or self._channels
        numbers = [self._number(name) for name in names]
        place = frame.x_nm * _M_PER_NM, -frame.y_nm * _M_PER_NM
        rectangle = *place, frame.width_nm * _M_PER_NM, frame.height_nm * _M_PER_NM, 0.0
        self._ask("Scan.FrameSet", *rectangle)
        self._took("Scan.FrameGet", *rectangle)
        self._ask("Scan.BufferSet", numbers, frame.columns, frame.rows)
        self._took("Scan.BufferGet", np.array(numbers), frame.columns, frame.rows)
        line_s = frame.columns * frame.dwell_time_s
        speed = frame.width_nm * _M_PER_NM / line_s
        timing = speed, speed, line_s, line_s, _KEEP_TIME_PER_LINE, 1.0
        self._ask("Scan.SpeedSet", *timing)
        self._took("Scan.SpeedGet", *timing[:4])
        self._ask("Scan.Action", _SCAN_START, _DOWNWARDS)
        self._wait_for_scan(2 * frame.takes_s + self._timeout_s)
        x, y = frame.places()
        coords = {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})}
        grabbed = {name: self._grab(name, number) for name, number in zip(names, numbers, strict=True)}
        return xr.Dataset(
            {
                name: xr.DataArray(values, dims=("y", "x"), attrs={"units": _units(name), "signal": name})
                for name, values in grabbed.items()
            },
            coords=coords,
        )

    def spectrum(self, settings: SpectrumSettings) -> xr.DataArray:
        if settings.axis != "bias":
            raise InstrumentError(f"axis: expected bias, got {settings.axis}.")
        channel = settings.channel or self._spectrum_channel
        values = np.asarray(settings.values, dtype=float)
        segments = segments_of(values)
        self._ask("BiasSpectr.Open")
        self._ask("BiasSpectr.ChsSet", [self._number(channel)])
        # one sweep forward, nothing saved, no dialogue; the bias goes back afterwards, and the height is held
        self._ask("BiasSpectr.PropsSet", _OFF, 1, _OFF, len(values), 0.0, _OFF, _OFF)
        self._ask("BiasSpectr.AdvPropsSet", _ON, _ON, _AS_IT_IS, _AS_IT_IS)
        settle_s, measure_s = 0.1 * settings.dwell_time_s, 0.9 * settings.dwell_time_s
        timing = 0.0, 0.0, 0.0, self._slew_V_per_s, settle_s, measure_s, 0.0, 0.0
        self._ask("BiasSpectr.TimingSet", *timing)
        self._took("BiasSpectr.TimingGet", *timing)
        self._set_sweep(segments, settle_s, measure_s)
        way_V = float(np.abs(np.diff(values)).sum()) + 2 * float(np.abs(values).max())
        takes_s = 2 * (settings.takes_s + way_V / self._slew_V_per_s)
        names, rows, _ = self._ask("BiasSpectr.Start", 1, "", takes_s=takes_s)
        measured = self._recorded(names, rows, channel, values)
        coords = {"bias": ("bias", values, {"units": "V"})}
        attrs = {"units": _units(channel), "signal": channel}
        return xr.DataArray(measured, dims=("bias",), coords=coords, attrs=attrs)

    def read(self) -> dict[str, float]:
        return {
            "bias_V": self._ask("Bias.Get")[0],
            "current_A": self._ask("Current.Get")[0],
            "z_nm": self._ask("ZCtrl.ZPosGet")[0] / _M_PER_NM,
        }

    def clock(self) -> float:
        return time.monotonic()

    def state(self) -> dict[str, Any]:
        return {}

    def make_safe(self) -> None:
        """Over a fresh connection, as the other one may wait or be broken; each step is tried, whatever the others say.

        Raises
        ------
        InstrumentError : if the tip could not be withdrawn.
        """
        hand = NanonisConnection(self._host, self._safe_port, self._timeout_s)
        problems = {}
        steps: dict[str, Callable[[], Any]] = {
            "FolMe.Stop": lambda: hand.call("FolMe.Stop"),
            "Scan.Action": lambda: hand.call("Scan.Action", _SCAN_STOP, _DOWNWARDS),
            "BiasSpectr.Stop": lambda: hand.call("BiasSpectr.Stop"),
            "Motor.StopMove": lambda: hand.call("Motor.StopMove"),
            "ZCtrl.Withdraw": lambda: self._withdraw(hand),
            "Bias.Set": lambda: hand.call("Bias.Set", self._rest_bias_V),
        }
        for name, step in steps.items():
            try:
                step()
            except InstrumentError as error:
                problems[name] = error
        hand.close()
        if "ZCtrl.Withdraw" in problems:
            raise problems["ZCtrl.Withdraw"]

    def make_ready(self) -> None:
        if self._is_safe_tip_wanted and not self._ask("SafeTip.OnOffGet")[0]:
            self._ask("SafeTip.OnOffSet", _ON)
        self._ask("ZCtrl.OnOffSet", 1)
        deadline = time.monotonic() + self._timeout_s
        while not self._ask("ZCtrl.OnOffGet")[0]:
            if time.monotonic() > deadline:
                raise InstrumentError("ZCtrl.OnOffSet: expected the controller of the height on, got it off.")
            time.sleep(0.05)

    def close(self) -> None:
        self._connection.close()

    # --- parts of the verbs

    def _withdraw(self, hand: NanonisConnection) -> None:
        """More than once: a connection that broke just now is no reason to leave the tip where it is."""
        for tries_left in (2, 1, 0):
            try:
                hand.call("ZCtrl.Withdraw", 1, int(_WITHDRAW_S * 1000), takes_s=_WITHDRAW_S)
                return
            except InstrumentError:
                if not tries_left:
                    raise

    def _wait_for_scan(self, longest_s: float) -> None:
        deadline = time.monotonic() + longest_s
        while self._ask("Scan.WaitEndOfScan", int(_ASK_EVERY_S * 1000), takes_s=_ASK_EVERY_S)[0]:
            if not self._ask("Scan.StatusGet")[0]:
                return  # it ended between two questions
            if time.monotonic() > deadline:
                raise InstrumentError(f"Scan.Action: expected the scan to end within {longest_s:.3g} s, got no end.")
        if self._ask("Scan.StatusGet")[0]:
            raise InstrumentError(
                "Scan.Action: expected the scan to end, got the next one. Switch continuous scan off."
            )

    def _grab(self, name: str, number: int) -> np.ndarray:
        answered, values, is_upwards = self._ask("Scan.FrameDataGrab", number, _FORWARD)
        if answered != name:
            raise InstrumentError(f"Scan.FrameDataGrab: expected {name!r}, got {answered[:60]!r}.")
        return np.asarray(values[::-1] if is_upwards else values, dtype=float)

    def _set_sweep(self, segments: list[Segment], settle_s: float, measure_s: float) -> None:
        if len(segments) == 1:
            self._ask("BiasSpectr.MLSModeSet", "Linear")
            self._took("BiasSpectr.MLSModeGet", "Linear")
            self._ask("BiasSpectr.LimitsSet", *segments[0][:2])
            self._took("BiasSpectr.LimitsGet", *segments[0][:2])
            return
        n = len(segments)
        starts, ends, points = (np.array(each) for each in zip(*segments, strict=True))
        values = n, starts, ends, np.zeros(n), np.full(n, settle_s), np.full(n, measure_s), points, np.zeros(n)
        self._ask("BiasSpectr.MLSModeSet", "MLS")
        self._took("BiasSpectr.MLSModeGet", "MLS")
        self._ask("BiasSpectr.MLSValsSet", *values)
        self._took("BiasSpectr.MLSValsGet", *values)

    def _recorded(self, names: list[str], rows: np.ndarray, channel: str, values: np.ndarray) -> np.ndarray:
        """The row of a channel; the first row is the bias, which has to be the one asked for."""
        if rows.ndim != 2 or len(names) != len(rows) or channel not in names[1:] or rows.shape[1] != values.size:
            raise InstrumentError(
                f"BiasSpectr.Start: expected the bias and {channel} at {values.size} points, got {len(names)} "
                f"signals and {rows.shape[0]} x {rows.shape[1]} numbers."
            )
        if not np.allclose(rows[0], values, rtol=0, atol=1e-3 * max(1.0, float(np.abs(values).max()))):
            raise InstrumentError("BiasSpectr.Start: expected the sweep that was asked for, got another one.")
        return np.asarray(rows[1 + names[1:].index(channel)], dtype=float)

    def _took(self, question: str, *expected: Any) -> None:
        """See that the controller took what it was given; `expected` are the first fields of the answer."""
        for wanted, got in zip(expected, self._ask(question), strict=False):
            is_same = (
                wanted == got
                if isinstance(wanted, str)
                else np.shape(wanted) == np.shape(got) and np.allclose(got, wanted, rtol=1e-5, atol=1e-13)
            )
            if not is_same:
                raise InstrumentError(f"{question}: expected {wanted} to be taken, got {got} instead.")

    def _number(self, channel: str) -> int:
        if channel not in self._signals:
            raise InstrumentError(f"channels: expected signals of the controller, got {channel!r}, which is none.")
        return self._signals.index(channel)


def _units(channel: str) -> str:
    """A signal's name ends with its unit in brackets."""
    return channel[channel.rfind("(") + 1 : -1] if channel.endswith(")") and "(" in channel else ""
