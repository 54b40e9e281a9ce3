"""What is asked of an instrument, read once into plain numbers and held against the limits.

Whoever asks may be a policy gone wrong, so nothing is taken for what it is called: each number is read once, and what
was checked is what the driver gets.
"""

import math
from typing import Any

import numpy as np

from adatom.errors import LimitError
from adatom.instruments.instrument import AXIS_UNITS, ScanFrame, SpectrumSettings
from adatom.instruments.limits import Limits, Rectangle

Place = tuple[float, float]

# A scan of the whole range ends on its borders, up to what halving its sides and adding them again loses.
_ROUNDING_NM = 1e-6
_MOST_PIXELS = 2**24
_MOST_POINTS = 2**20
_MOST_CHANNELS = 64


def checked_place(limits: Limits, x_nm: Any, y_nm: Any, *, margin_nm: float = 0.0) -> Place:
    """A place where the probe may be; `margin_nm` beyond the border for places that were read back."""
    x, y = number("x_nm", x_nm), number("y_nm", y_nm)
    for name, value, (low, high) in (("x_nm", x, limits.x_nm), ("y_nm", y, limits.y_nm)):
        if not low - margin_nm <= value <= high + margin_nm:
            raise LimitError(f"{name}: expected {low:g} to {high:g} nm, got {value:.6g} nm.")
    return x, y


def checked_speed(limits: Limits, speed_nm_per_s: Any) -> float:
    """A speed above 0 that is allowed."""
    speed = number("speed_nm_per_s", speed_nm_per_s)
    if not 0 < speed <= limits.speed_nm_per_s:
        raise LimitError(
            f"speed_nm_per_s: expected above 0 and up to {limits.speed_nm_per_s:g} nm/s, got {speed:.6g} nm/s."
        )
    return speed


def check_path(limits: Limits, start: Place, end: Place) -> None:
    """Refuse a straight way that begins outside the range or touches what is to be kept out of."""
    checked_place(limits, *start, margin_nm=limits.arrival_nm)
    for zone in limits.keep_out:
        if _touches(zone, start, end):
            raise LimitError(
                f"keep_out: expected a way around x {list(zone.x_nm)}, y {list(zone.y_nm)} nm, got one from "
                f"({start[0]:.6g}, {start[1]:.6g}) to ({end[0]:.6g}, {end[1]:.6g}) nm through it."
            )


def checked_frame(limits: Limits, frame: Any) -> ScanFrame:
    """A frame of plain numbers within the limits."""
    if not isinstance(frame, ScanFrame):
        raise LimitError(f"frame: expected a ScanFrame, got {type(frame).__name__}.")
    asked = ScanFrame(
        number("x_nm", frame.x_nm),
        number("y_nm", frame.y_nm),
        number("width_nm", frame.width_nm),
        number("height_nm", frame.height_nm),
        _count("rows", frame.rows),
        _count("columns", frame.columns),
        _dwell_time(limits, frame.dwell_time_s),
        _names(frame.channels),
    )
    if asked.rows * asked.columns > _MOST_PIXELS:
        raise LimitError(f"rows, columns: expected at most {_MOST_PIXELS} pixels, got {asked.rows} x {asked.columns}.")
    low, high = limits.scan_nm or (0.0, math.inf)
    for name, side in (("width_nm", asked.width_nm), ("height_nm", asked.height_nm)):
        if not (low <= side <= high and side > 0):
            raise LimitError(f"{name}: expected a scan of {low:g} to {high:g} nm, got {side:.6g} nm.")
    half = asked.width_nm / 2, asked.height_nm / 2
    for x, y in ((-1, -1), (1, 1)):
        checked_place(limits, asked.x_nm + x * half[0], asked.y_nm + y * half[1], margin_nm=_ROUNDING_NM)
    for zone in limits.keep_out:
        if _overlap(zone.x_nm, asked.x_nm, half[0]) and _overlap(zone.y_nm, asked.y_nm, half[1]):
            raise LimitError(
                f"keep_out: expected a scan outside x {list(zone.x_nm)}, y {list(zone.y_nm)} nm, got one on it."
            )
    line_s = asked.columns * asked.dwell_time_s
    for what, step, seconds in (
        ("pixels", asked.width_nm / asked.columns, asked.dwell_time_s),
        ("lines", asked.height_nm / asked.rows, 2 * line_s),
    ):
        if seconds * limits.speed_nm_per_s < step:
            raise LimitError(
                f"speed_nm_per_s: expected up to {limits.speed_nm_per_s:g} nm/s in scans, got {what} of {step:.4g} nm "
                f"in {seconds:.4g} s each. Make dwell_time_s longer."
            )
    return asked


def checked_spectrum(limits: Limits, settings: Any, bias_now_V: float | None) -> SpectrumSettings:
    """Settings of plain numbers within the limits; a sweep begins from `bias_now_V`, if the instrument says."""
    if not isinstance(settings, SpectrumSettings):
        raise LimitError(f"settings: expected SpectrumSettings, got {type(settings).__name__}.")
    axis = settings.axis
    if not isinstance(axis, str) or axis not in AXIS_UNITS:
        raise LimitError(f"axis: expected one of {', '.join(AXIS_UNITS)}, got {_shown(axis)}.")
    dwell_time_s = _dwell_time(limits, settings.dwell_time_s)
    channel = _names((settings.channel,))[0]
    values = _values(settings.values)
    allowed = {"bias": limits.bias_V, "energy": limits.energy_eV, "time": (0.0, limits.total_time_s)}[str(axis)]
    unit = AXIS_UNITS[axis]
    if allowed is None:
        raise LimitError(f"axis: expected one that the limits allow, got {axis}. State {axis}_{unit} in the limits.")
    if values.min() < allowed[0] or values.max() > allowed[1]:
        raise LimitError(
            f"values: expected {axis} from {allowed[0]:g} to {allowed[1]:g} {unit}, got {values.min():.6g} to "
            f"{values.max():.6g} {unit}."
        )
    if axis == "bias":
        _check_steps(limits, values, dwell_time_s, bias_now_V)
    return SpectrumSettings(str(axis), values, dwell_time_s, channel)


def number(name: str, value: Any) -> float:
    """A finite number, and nothing that only looks like one."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise LimitError(f"{name}: expected a number, got {_shown(value)}.")
    try:
        plain = float(value)
    except Exception as error:  # an int beyond all floats, or a class of its own
        raise LimitError(f"{name}: expected a number, got one that is none ({type(error).__name__}).") from None
    if type(plain) is not float or not math.isfinite(plain):
        raise LimitError(f"{name}: expected a finite number, got {_shown(value)}.")
    return plain


def _check_steps(limits: Limits, values: np.ndarray, dwell_time_s: float, bias_now_V: float | None) -> None:
    steps = np.abs(np.diff(values))
    if bias_now_V is not None:
        steps = np.append(steps, np.abs(values[[0, -1]] - bias_now_V))
    highest = float(steps.max(initial=0.0))
    if limits.bias_step_V is not None and highest > limits.bias_step_V * (1 + 1e-9):
        raise LimitError(
            f"bias_step_V: expected steps of at most {limits.bias_step_V:g} V, those from the present bias and back to "
            f"it included, got {highest:.4g} V. Take more points."
        )
    if limits.bias_ramp_V_per_s is not None and highest > limits.bias_ramp_V_per_s * dwell_time_s * (1 + 1e-9):
        raise LimitError(
            f"bias_ramp_V_per_s: expected at most {limits.bias_ramp_V_per_s:g} V/s, got {highest:.4g} V in "
            f"{dwell_time_s:.4g} s. Make dwell_time_s longer or take more points."
        )


def _dwell_time(limits: Limits, value: Any) -> float:
    low, high = limits.dwell_time_s
    seconds = number("dwell_time_s", value)
    if not (low <= seconds <= high and seconds > 0):
        raise LimitError(f"dwell_time_s: expected {low:g} to {high:g} s and above 0, got {seconds:.6g} s.")
    return seconds


def _count(name: str, value: Any) -> int:
    whole = number(name, value)
    if whole != int(whole) or not 1 <= whole <= _MOST_PIXELS:
        raise LimitError(f"{name}: expected a whole number from 1 on, got {_shown(value)}.")
    return int(whole)


def _names(values: Any) -> tuple[str, ...]:
    if type(values) not in (tuple, list) or len(values) > _MOST_CHANNELS:
        raise LimitError(f"channels: expected at most {_MOST_CHANNELS} names, got {_shown(values)}.")
    if not all(type(each) is str and len(each) <= 200 and (each == "" or each.isprintable()) for each in values):
        raise LimitError(f"channels: expected names, got {_shown(values)}.")
    return tuple(values)


def _values(values: Any) -> np.ndarray:
    if not isinstance(values, (np.ndarray, list, tuple)):
        raise LimitError(f"values: expected an array of numbers, got {_shown(values)}.")
    try:
        kind = np.asarray(values).dtype.kind
        plain = np.array(values, dtype=float, subok=False)
    except Exception:  # whatever its elements do when they are asked for a number
        kind, plain = "O", np.zeros(0)
    if kind not in "fiu" or plain.ndim != 1 or not 1 <= plain.size <= _MOST_POINTS or not np.isfinite(plain).all():
        raise LimitError(f"values: expected (points,) finite numbers, 1 to {_MOST_POINTS} of them, got others.")
    plain.setflags(write=False)
    return plain


def _touches(zone: Rectangle, start: Place, end: Place) -> bool:
    """Whether a straight way meets a rectangle: the parts of it that lie between each pair of borders overlap."""
    first, last = 0.0, 1.0
    for begin, finish, (low, high) in zip(start, end, (zone.x_nm, zone.y_nm), strict=True):
        length = finish - begin
        if length == 0:
            if not low <= begin <= high:
                return False
            continue
        enter, leave = sorted(((low - begin) / length, (high - begin) / length))
        first, last = max(first, enter), min(last, leave)
    return first <= last


def _overlap(interval: tuple[float, float], centre: float, half: float) -> bool:
    return interval[0] <= centre + half and interval[1] >= centre - half


def _shown(value: Any) -> str:
    try:
        return repr(value)[:60]
    except Exception:  # a class of its own again
        return type(value).__name__
