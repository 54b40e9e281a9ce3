"""What an instrument can do, whichever it is.

Lengths are in nm, in the frame of the scanner: x along fast scan lines, y along slow ones downwards; (0, 0) is the
middle of the scanner's range.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray


@dataclass(frozen=True)
class ScanFrame:
    """What to scan: an upright rectangle.

    Parameters
    ----------
    x_nm, y_nm : centre.
    width_nm, height_nm : from the first pixel's outer edge to the last one's; > 0.
    rows, columns : pixels.
    dwell_time_s : at each pixel.
    channels : names of the channels wanted; none means all.
    """

    x_nm: float
    y_nm: float
    width_nm: float
    height_nm: float
    rows: int
    columns: int
    dwell_time_s: float
    channels: tuple[str, ...] = ()

    def places(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres of the pixels: x (columns,) and y (rows,) [nm]."""
        across = (np.arange(self.columns) + 0.5) / self.columns - 0.5
        down = (np.arange(self.rows) + 0.5) / self.rows - 0.5
        return self.x_nm + across * self.width_nm, self.y_nm + down * self.height_nm

    @property
    def takes_s(self) -> float:
        """Each line is gone through there and back."""
        return 2.0 * self.rows * self.columns * self.dwell_time_s


@dataclass(frozen=True)
class SpectrumSettings:
    """What to measure at one place.

    Parameters
    ----------
    axis : ``bias`` [V], ``energy`` [eV] or ``time`` [s].
    values : (points,) in that unit, in the order in which they are gone through; a hysteresis loop goes there and back.
    dwell_time_s : at each point.
    channel : what is recorded, by the instrument's name for it; "" means its usual one.
    """

    axis: str
    values: NDArray[np.float64]
    dwell_time_s: float
    channel: str = ""

    @property
    def takes_s(self) -> float:
        """Dwell times alone."""
        return len(self.values) * self.dwell_time_s


# The unit of each axis of a spectrum.
AXIS_UNITS = {"bias": "V", "energy": "eV", "time": "s"}


class Instrument(Protocol):
    """A microscope that can be told where to go and what to measure.

    Every verb returns when it is done, and raises `adatom.errors.InstrumentError` if it was not done. Nobody calls a
    driver but `adatom.instruments.guarded.Guarded`, which stands in front of it.
    """

    def describe(self) -> dict[str, Any]:
        """What it offers, as JSON knows it: ``name``, ``channels`` (name to unit), ``spectrum`` (``axis``, ``values``
        and ``units`` of what it usually measures, or None), ``x_nm`` and ``y_nm`` (lowest and highest, or None)."""

    def position(self) -> tuple[float, float]:
        """x and y of the probe [nm], as the instrument reads them back."""

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float) -> None:
        """Bring the probe there in a straight line, and wait until it has arrived."""

    def scan(self, frame: ScanFrame) -> xr.Dataset:
        """One variable (y, x) a channel, with coordinates in nm in the scanner's frame and units in ``attrs``."""

    def spectrum(self, settings: SpectrumSettings) -> xr.DataArray:
        """Along `settings.axis`, where the probe is, with its unit in ``attrs``."""

    def read(self) -> dict[str, float]:
        """What the instrument says of itself now, units in the names: ``bias_V``, ``current_A``, ``z_nm``."""

    def clock(self) -> float:
        """Seconds, from any start, by which its time is counted: those that pass, or those that a twin pretends.
        Answers at once, in any thread."""

    def state(self) -> dict[str, Any]:
        """What its setting `state` needs to be given to find the same world again, as JSON knows it; {} where the world
        is the real one."""

    def make_safe(self) -> None:
        """Stop what goes on, and leave probe and sample where nothing can happen to them. Never raises what it can
        help, and may be called at any time and from any thread."""

    def make_ready(self) -> None:
        """The way back from `make_safe`: the probe where it can measure. Nothing to do where it is there already."""

    def close(self) -> None:
        """Let go of the instrument, which stays as it is."""
