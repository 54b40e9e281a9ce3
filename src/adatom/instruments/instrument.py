"""What an instrument can do, whichever it is.

Lengths are in nm, in the frame of the scanner: x along fast scan lines, y along slow ones downwards; (0, 0) is the
middle of the scanner's range.
"""

from dataclasses import dataclass
from typing import Protocol

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


class Instrument(Protocol):
    """A microscope that can be told where to go and what to measure.

    Every verb returns when it is done, and raises `adatom.errors.InstrumentError` if it was not done. Nobody calls a
    driver but `adatom.instruments.limits.Guarded`, which stands in front of it.
    """

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

    def make_safe(self) -> None:
        """Stop what goes on, and leave probe and sample where nothing can happen to them. Never raises what it can
        help, and may be called at any time and from any thread."""

    def close(self) -> None:
        """Let go of the instrument, which stays as it is."""
