"""The time from one frame of a movie to the next."""

from typing import Any

import numpy as np
import xarray as xr

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "min": 60.0, "h": 3600.0}


def frame_time_s(movie: xr.DataArray) -> float | None:
    """As the axis of the frames, or else the file's facts (``frame_interval_s``), state it [s]; None where neither
    does.
    """
    axis = movie.coords.get("frame")
    if axis is not None and axis.size > 1 and axis.attrs.get("units") in _SECONDS:
        steps = np.diff(np.asarray(axis, dtype=float))
        if steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-2):
            return float(steps.mean()) * _SECONDS[axis.attrs["units"]]
    stated: Any = movie.attrs.get("metadata", {}).get("frame_interval_s")
    return float(stated) if isinstance(stated, int | float) and 0 < stated < np.inf else None
