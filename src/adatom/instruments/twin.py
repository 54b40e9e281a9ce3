"""A twin: a data set, or a simulated sample, that behaves like an instrument which is measuring it.

What was measured in a real experiment is played back, place by place, with what instruments add: drift, creep, noise,
time, and accidents. Its clock is virtual unless it is told to wait.
"""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.ndimage import map_coordinates

from adatom.data import make_image
from adatom.data.spectrum_image import spectral_axis
from adatom.errors import ArgumentError, InstrumentError
from adatom.instruments.instrument import ScanFrame, SpectrumSettings

Array = NDArray[np.float64]

_SIMULATED_PX, _SIMULATED_NM, _SIMULATED_POINTS = 40, 10.0, 32  # of a simulated sample: side, pixel, points of a loop


class TwinSettings(BaseModel):
    """How a twin behaves. Unknown keys are errors.

    Parameters
    ----------
    spectra : file of a spectrum image (y, x, bias | energy | time); its middle is the middle of the scanner's range.
    sample : ``ferroelectric`` for a simulated one in its place (domains, and loops that depend on them).
    image_at : value on the spectral axis whose map is scanned as the channel ``image``.
    image : file of another image of the same place, scanned as ``image`` instead.
    seed : of all that happens by chance.
    noise : of a point of a spectrum, in units of the spread of all spectra; what was measured has its own already.
    drift_nm_per_s : along x and y.
    creep : share of a move that is still missing at first, and is gone after some `creep_s`.
    speed_nm_per_s, settle_s : of the probe.
    crash : probability of a tip crash in an action; afterwards nothing works but `make_safe`.
    fail_every : every n-th action fails with an error.
    garbage_every : every n-th spectrum is not a number.
    disconnect_after : actions after which nothing answers any more.
    waits : whether time really passes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    spectra: Path | None = None
    sample: str | None = None
    image_at: float = 0.0
    image: Path | None = None
    seed: int = Field(default=0, ge=0)
    noise: float = Field(default=0.0, ge=0)
    drift_nm_per_s: tuple[float, float] = (0.0, 0.0)
    creep: float = Field(default=0.0, ge=0, le=0.5)
    creep_s: float = Field(default=1.0, gt=0)
    settle_s: float = Field(default=0.0, ge=0)
    crash: float = Field(default=0.0, ge=0, le=1)
    fail_every: int | None = Field(default=None, ge=1)
    garbage_every: int | None = Field(default=None, ge=1)
    disconnect_after: int | None = Field(default=None, ge=0)
    waits: bool = False


class Twin:
    """An `Instrument` that plays back data.

    Parameters
    ----------
    settings : see `TwinSettings`.
    state : of a twin before, as `state` gave it: the same world goes on.
    """

    def __init__(self, settings: TwinSettings, *, state: dict[str, Any] | None = None) -> None:
        self.settings = settings
        if (settings.spectra is None) == (settings.sample is None):
            raise ArgumentError("twin: expected either spectra or a sample, got both or none.")
        image, whole = _simulated(settings) if settings.spectra is None else (None, _read(settings.spectra))
        self._axis = spectral_axis(whole)
        self._loops = whole.transpose("y", "x", self._axis)
        self._values = self._loops.to_numpy().astype(float)
        self._at = self._loops[self._axis].to_numpy().astype(float)
        self._step = tuple(float(np.median(np.diff(self._loops[dim]))) for dim in "xy")
        self._middle = tuple(0.5 * float(self._loops[dim][0] + self._loops[dim][-1]) for dim in "xy")
        self._spread = float(np.nanstd(self._values)) or 1.0
        self._image = self._cheap_image() if image is None else image
        given = state or {}
        self._clock_s = float(given.get("clock_s", 0.0))
        self._n_actions = int(given.get("n_actions", 0))
        self._place = tuple(given.get("place", (0.0, 0.0)))
        self._moved_s, self._from = float(given.get("moved_s", -1e9)), tuple(given.get("from", (0.0, 0.0)))
        self._crashed, self._closed = bool(given.get("crashed", False)), False
        self.is_safe = True

    # ---------------------------------------------------------------- the instrument

    def clock_s(self) -> float:
        """Its own time [s]."""
        return self._clock_s

    def position(self) -> tuple[float, float]:
        """Where the scanner has the probe; drift of the sample is not seen by it."""
        self._answers()
        return float(self._place[0]), float(self._place[1])

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float) -> None:
        """Bring the probe there."""
        way = math.hypot(x_nm - self._place[0], y_nm - self._place[1])
        self._acts(way / speed_nm_per_s + self.settings.settle_s)
        self._from, self._place, self._moved_s = self._place, (float(x_nm), float(y_nm)), self._clock_s

    def scan(self, frame: ScanFrame) -> xr.Dataset:
        """The cheap image in a frame."""
        self._acts(2 * frame.rows * frame.columns * frame.dwell_time_s)
        x = frame.x_nm + ((np.arange(frame.columns) + 0.5) / frame.columns - 0.5) * frame.width_nm
        y = frame.y_nm + ((np.arange(frame.rows) + 0.5) / frame.rows - 0.5) * frame.height_nm
        drift = self._drift()
        columns, rows = self._in_pixels(x + drift[0], y + drift[1])
        grid = np.meshgrid(rows, columns, indexing="ij")
        values = map_coordinates(self._image, grid, order=1, mode="nearest")
        made = make_image(values, pixel_size=(frame.height_nm / frame.rows, frame.width_nm / frame.columns))
        return xr.Dataset({"image": made.assign_coords(x=("x", x, made["x"].attrs), y=("y", y, made["y"].attrs))})

    def spectrum(self, settings: SpectrumSettings) -> xr.DataArray:
        """What was measured nearest to where the probe really is; noise is drawn for each action anew."""
        self._acts(len(settings.values) * settings.dwell_time_s)
        if settings.axis != self._axis:
            raise InstrumentError(f"spectrum: expected the axis {self._axis}, which was measured, got {settings.axis}.")
        asked = np.asarray(settings.values, dtype=float)
        if len(asked) != len(self._at):
            raise InstrumentError(f"spectrum: expected {len(self._at)} points, as were measured, got {len(asked)}.")
        column, row = (round(float(each)) for each in self._in_pixels(*self._really_at()))
        n_rows, n_columns = self._values.shape[:2]
        values = self._values[min(max(row, 0), n_rows - 1), min(max(column, 0), n_columns - 1)].copy()
        if self.settings.noise:
            values += self.settings.noise * self._spread * self._rng().standard_normal(len(values))
        every = self.settings.garbage_every
        if every and self._n_actions % every == 0:
            values[:] = np.nan
        axis = self._loops[self._axis]
        coords = {self._axis: (self._axis, self._at, {"units": axis.attrs.get("units", "")})}
        attrs = {"units": self._loops.attrs.get("units", "")}
        return xr.DataArray(values, dims=(self._axis,), coords=coords, attrs=attrs)

    def read(self) -> dict[str, float]:
        """Time and what else there is to read."""
        self._answers()
        return {"clock_s": self._clock_s, "z_nm": 0.0 if not self.is_safe else 1000.0}

    def make_safe(self) -> None:
        """Withdraw."""
        self.is_safe = True

    def close(self) -> None:
        """Nothing answers any more."""
        self._closed = True

    def state(self) -> dict[str, Any]:
        """The world as it is, as plain values for JSON."""
        return {
            "clock_s": self._clock_s,
            "n_actions": self._n_actions,
            "place": list(self._place),
            "from": list(self._from),
            "moved_s": self._moved_s,
            "crashed": self._crashed,
        }

    # ---------------------------------------------------------------- what happens

    def _answers(self) -> None:
        after = self.settings.disconnect_after
        if self._closed or (after is not None and self._n_actions >= after):
            raise InstrumentError("twin: nothing answers; the connection is gone.")

    def _acts(self, seconds: float) -> None:
        self._answers()
        self._n_actions += 1
        self._clock_s += seconds
        self.is_safe = False
        if self.settings.waits:
            time.sleep(seconds)
        if self._crashed or (self.settings.crash and self._rng(1).random() < self.settings.crash):
            self._crashed = True
            raise InstrumentError("twin: the tip has crashed.")
        every = self.settings.fail_every
        if every and self._n_actions % every == 0:
            raise InstrumentError("twin: this action failed, as every so often.")

    def _rng(self, stream: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, self._n_actions, stream])

    def _drift(self) -> tuple[float, float]:
        rate = self.settings.drift_nm_per_s
        return rate[0] * self._clock_s, rate[1] * self._clock_s

    def _really_at(self) -> tuple[float, float]:
        """On the sample: drift has moved it, and a part of the last move is still missing."""
        left = self.settings.creep * math.exp(-(self._clock_s - self._moved_s) / self.settings.creep_s)
        return tuple(
            place - left * (place - before) + drift
            for place, before, drift in zip(self._place, self._from, self._drift(), strict=True)
        )

    def _in_pixels(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Columns and rows of places in the scanner's frame."""
        rows, columns = self._values.shape[:2]
        return x / self._step[0] + (columns - 1) / 2, y / self._step[1] + (rows - 1) / 2

    def _cheap_image(self) -> Array:
        if self.settings.image is not None:
            from adatom.files import read

            image = read(self.settings.image).to_numpy().astype(float)
            if image.shape != self._values.shape[:2]:
                raise ArgumentError(f"image: expected {self._values.shape[:2]}, as the spectra, got {image.shape}.")
        else:
            image = self._values[:, :, int(np.argmin(np.abs(self._at - self.settings.image_at)))]
        finite = image[np.isfinite(image)]
        return np.nan_to_num(np.clip(image, *np.quantile(finite, [0.005, 0.995])), nan=float(np.median(finite)))

    @property
    def spectral_values(self) -> Array:
        """The spectral axis, as it was measured."""
        return self._at.copy()


def open_twin(*, state: dict[str, Any] | None = None, **settings: Any) -> Twin:
    """A twin of settings by name.

    Raises
    ------
    ArgumentError : if a setting is unknown or out of range.
    """
    try:
        known = TwinSettings.model_validate(settings)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "twin"
        raise ArgumentError(f"twin: {where}: {problem['msg']}.") from error
    return Twin(known, state=state)


def _read(path: Path) -> xr.DataArray:
    from adatom.files import read

    return read(path)


def _simulated(settings: TwinSettings) -> tuple[Array, xr.DataArray]:
    """Image and loops of a sample that is the same for a seed."""
    if settings.sample != "ferroelectric":
        raise ArgumentError(f"sample: expected ferroelectric, got {settings.sample!r}.")
    from adatom.simulate.loops import domain_polarisation, simulate_loops

    rng = np.random.default_rng([settings.seed, 5])
    made = simulate_loops(domain_polarisation(_SIMULATED_PX, rng), rng, n_points=_SIMULATED_POINTS)
    spectra = made.spectra.assign_coords(
        {dim: (dim, np.arange(_SIMULATED_PX) * _SIMULATED_NM, {"units": "nm"}) for dim in "yx"}
    )
    return made.image.to_numpy().astype(float), spectra
