"""What an instrument answers, checked before anybody believes it."""

import math
from typing import Any

import numpy as np
import xarray as xr

from adatom.errors import InstrumentError
from adatom.instruments.instrument import ScanFrame, SpectrumSettings


def checked_xy(answer: Any) -> tuple[float, float]:
    """A place of two finite numbers."""
    try:
        x, y = (float(value) for value in answer)
    except (TypeError, ValueError):
        raise InstrumentError(f"position: expected x and y, got {str(answer)[:60]}.") from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InstrumentError(f"position: expected finite numbers, got ({x}, {y}).")
    return x, y


def checked_facts(answer: Any) -> dict[str, Any]:
    """A dictionary of its own."""
    if not isinstance(answer, dict):
        raise InstrumentError(f"instrument: expected facts about itself, got {type(answer).__name__}.")
    return dict(answer)


def checked_reading(answer: Any) -> dict[str, float]:
    """Names and finite numbers."""
    try:
        reading = {str(name): float(value) for name, value in dict(answer).items()}
    except (TypeError, ValueError):
        raise InstrumentError(f"read: expected names and numbers, got {str(answer)[:60]}.") from None
    for name, value in reading.items():
        if not math.isfinite(value):
            raise InstrumentError(f"read: expected a finite {name}, got {value}.")
    return reading


def checked_scan(answer: Any, frame: ScanFrame) -> xr.Dataset:
    """The channels asked for, each (rows, columns) of finite numbers, where they were asked for."""
    if not isinstance(answer, xr.Dataset) or not answer.data_vars:
        raise InstrumentError(f"scan: expected an xarray.Dataset with channels, got {type(answer).__name__}.")
    missing = [name for name in frame.channels if name not in answer.data_vars]
    if missing:
        raise InstrumentError(f"scan: expected channels {', '.join(frame.channels)}, got none of {', '.join(missing)}.")
    for name, channel in answer.data_vars.items():
        if (
            channel.dims != ("y", "x")
            or channel.shape != (frame.rows, frame.columns)
            or channel.dtype.kind not in "fiu"
        ):
            raise InstrumentError(
                f"scan: expected (y, x) of {frame.rows} x {frame.columns} numbers in {name}, got {channel.dims} of "
                f"shape {channel.shape}."
            )
        if not np.isfinite(channel.to_numpy()).all():
            raise InstrumentError(f"scan: expected finite numbers in {name}, got others.")
    for dim, places, side in zip("xy", frame.places(), (frame.width_nm, frame.height_nm), strict=True):
        if dim not in answer.coords or not np.allclose(answer[dim], places, rtol=0, atol=1e-3 * side):
            raise InstrumentError(f"scan: expected pixels along {dim} where they were asked for, got others.")
    return answer


def checked_spectrum_reply(answer: Any, settings: SpectrumSettings) -> xr.DataArray:
    """As many finite numbers as values were asked for, along the axis asked for."""
    if not isinstance(answer, xr.DataArray) or answer.dims != (settings.axis,) or answer.dtype.kind not in "fiu":
        got = answer.dims if isinstance(answer, xr.DataArray) else type(answer).__name__
        raise InstrumentError(f"spectrum: expected numbers along {settings.axis}, got {got}.")
    if answer.shape != settings.values.shape:
        raise InstrumentError(f"spectrum: expected {settings.values.size} points, got {answer.size}.")
    if not np.isfinite(answer.to_numpy()).all():
        raise InstrumentError("spectrum: expected finite numbers, got others.")
    return answer
