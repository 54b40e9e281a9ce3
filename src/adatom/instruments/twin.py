"""A twin: an instrument that is none. It plays back measured data, or looks at a simulated sample.

What goes wrong in a laboratory goes wrong here if asked for: drift, creep, noise, a tip that touches the sample, time
that passes. The same settings and the same calls give the same answers, and `state` continues where a run broke off.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from adatom.data.ranges import StrictModel
from adatom.errors import ArgumentError, InstrumentError
from adatom.instruments.faults import Faults, FaultyInstrument
from adatom.instruments.instrument import AXIS_UNITS, Instrument, ScanFrame, SpectrumSettings
from adatom.instruments.limits import first_problem
from adatom.instruments.samples import LoopSample, Sample, atom_sample, recorded_sample

Array = NDArray[np.float64]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]

_TUNNELLING_A = 1e-10
_TOUCHING_A = 1e-7
_WITHDRAWN_NM = 500.0


class World(StrictModel):
    """What is not ideal about a twin. By default it is, but for the time that things take."""

    seed: int = 0
    noise: NonNegative = Field(default=0.0, description="of images and spectra, as a share of their standard deviation")
    drift_nm_per_s: tuple[float, float] = Field(
        default=(0.0, 0.0), description="x and y, of the sample under the probe"
    )
    creep: NonNegative = Field(default=0.0, description="share of a move by which the probe lags at its end")
    creep_s: Positive = Field(default=30.0, description="in which the lag falls to a third")
    read_back_nm: NonNegative = Field(default=0.0, description="standard deviation of the places read back")
    settle_s: NonNegative = Field(default=0.1, description="after each move")
    overhead_s: NonNegative = Field(default=0.5, description="of each scan and spectrum")
    crash_probability: Probability = Field(default=0.0, description="of touching the sample, in each action")
    crash_bias_V: Positive | None = Field(
        default=None, description="beyond which the tip touches the sample for certain"
    )
    crash_shift_nm: NonNegative = Field(default=2.0, description="by which a crash moves the apex, standard deviation")
    real_time: NonNegative = Field(default=0.0, description="seconds really waited for each one that passes here")


class TwinState(StrictModel):
    """All that changes in a twin."""

    time_s: NonNegative = 0.0
    actions: Annotated[int, Field(ge=0)] = 0
    place_nm: tuple[float, float] = (0.0, 0.0)
    last_move_nm: tuple[float, float] = (0.0, 0.0)
    moved_at_s: NonNegative = 0.0
    apex_nm: tuple[float, float] = (0.0, 0.0)
    crashes: Annotated[int, Field(ge=0)] = 0


class Twin:
    """An `Instrument` over a sample.

    Parameters
    ----------
    sample : what lies under the probe.
    world : what is not ideal.
    state : as `state()` gave it, to go on from there.
    """

    def __init__(self, sample: Sample, world: World | None = None, state: Mapping[str, Any] | None = None) -> None:
        self._sample = sample
        self._world = world or World()
        try:
            self._state = TwinState.model_validate(dict(state or {}))
        except ValidationError as error:
            raise ArgumentError(f"state: expected what state() gave, got another. {first_problem(error)}") from error
        self._is_ready = False
        self._touches = False
        self._interrupted = threading.Event()
        everywhere = self._grid(ScanFrame(0, 0, sample.offer.width_nm, sample.offer.height_nm, 64, 64, 1.0))
        self._spread = {name: float(np.std(sample.look(name, *everywhere))) for name in sample.offer.channels}

    def describe(self) -> dict[str, Any]:
        offer = self._sample.offer
        return {
            "name": "twin",
            "channels": dict(offer.channels),
            "spectrum": {"axis": offer.axis, "values": offer.values.tolist(), "units": AXIS_UNITS[offer.axis]},
            "x_nm": [-offer.width_nm / 2, offer.width_nm / 2],
            "y_nm": [-offer.height_nm / 2, offer.height_nm / 2],
        }

    def position(self) -> tuple[float, float]:
        rng = np.random.default_rng([self._world.seed, self._state.actions, 1])
        x, y = np.array(self._state.place_nm) + self._world.read_back_nm * rng.standard_normal(2)
        return float(x), float(y)

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float) -> None:
        self._begin()
        way = x_nm - self._state.place_nm[0], y_nm - self._state.place_nm[1]
        self._pass(float(np.hypot(*way)) / speed_nm_per_s + self._world.settle_s)
        self._change(place_nm=(x_nm, y_nm), last_move_nm=way, moved_at_s=self._state.time_s)

    def scan(self, frame: ScanFrame) -> xr.Dataset:
        rng = self._begin()
        unknown = [name for name in frame.channels if name not in self._sample.offer.channels]
        if unknown:
            known = ", ".join(self._sample.offer.channels)
            raise InstrumentError(f"channels: expected some of {known}, got {', '.join(unknown)}.")
        x, y = self._grid(frame)
        number = np.arange(frame.rows * frame.columns).reshape(x.shape)
        when = self._state.time_s + 2 * frame.dwell_time_s * number
        channels = {}
        places_x, places_y = frame.places()
        for name in frame.channels or tuple(self._sample.offer.channels):
            values = self._sample.look(name, *self._on_sample(x, y, when))
            values = values + self._world.noise * self._spread[name] * rng.standard_normal(values.shape)
            units = {"units": self._sample.offer.channels[name], "signal": name}
            channels[name] = xr.DataArray(values, dims=("y", "x"), attrs=units)
        self._pass(frame.takes_s + self._world.overhead_s)
        coords = {"y": ("y", places_y, {"units": "nm"}), "x": ("x", places_x, {"units": "nm"})}
        return xr.Dataset(channels, coords=coords)

    def spectrum(self, settings: SpectrumSettings) -> xr.DataArray:
        rng = self._begin()
        offer = self._sample.offer
        if settings.axis != offer.axis or settings.channel not in ("", offer.signal):
            raise InstrumentError(
                f"spectrum: expected {offer.signal} along {offer.axis}, got {settings.channel or 'the usual one'} "
                f"along {settings.axis}."
            )
        values = np.asarray(settings.values, dtype=float)
        limit_V = self._world.crash_bias_V
        if settings.axis == "bias" and limit_V is not None and np.abs(values).max() > limit_V:
            self._crash(rng)
        x, y = self._on_sample(*self._state.place_nm, self._state.time_s)
        measured = self._sample.respond(float(x), float(y), values)
        measured = measured + self._world.noise * float(np.std(measured)) * rng.standard_normal(measured.shape)
        self._pass(settings.takes_s + self._world.overhead_s)
        coords = {settings.axis: (settings.axis, values, {"units": AXIS_UNITS[settings.axis]})}
        attrs = {"units": offer.units, "signal": offer.signal}
        return xr.DataArray(measured, dims=(settings.axis,), coords=coords, attrs=attrs)

    def read(self) -> dict[str, float]:
        current_A = _TOUCHING_A if self._touches else _TUNNELLING_A if self._is_ready else 0.0
        return {"bias_V": 0.0, "current_A": current_A, "z_nm": 0.0 if self._is_ready else _WITHDRAWN_NM}

    def clock(self) -> float:
        return self._state.time_s

    def state(self) -> dict[str, Any]:
        return self._state.model_dump(mode="json")

    def make_safe(self) -> None:
        self._interrupted.set()
        self._is_ready = False
        self._touches = False

    def make_ready(self) -> None:
        self._interrupted.clear()
        self._is_ready = True

    def close(self) -> None:
        self.make_safe()

    # --- the world

    def _begin(self) -> Generator:
        """The chance of this action, after which the tip may have touched the sample."""
        if not self._is_ready:
            raise InstrumentError("twin: expected the probe at the sample, got a withdrawn one. Make it ready first.")
        self._change(actions=self._state.actions + 1)
        rng = np.random.default_rng([self._world.seed, self._state.actions, 0])
        if rng.random() < self._world.crash_probability:
            self._crash(rng)
        return rng

    def _crash(self, rng: Generator) -> None:
        shift = self._world.crash_shift_nm * rng.standard_normal(2)
        apex = self._state.apex_nm[0] + float(shift[0]), self._state.apex_nm[1] + float(shift[1])
        self._change(apex_nm=apex, crashes=self._state.crashes + 1)
        self._touches = True
        raise InstrumentError(f"twin: the tip touched the sample, for the {self._state.crashes}. time.")

    def _pass(self, seconds: float) -> None:
        self._change(time_s=self._state.time_s + seconds)
        if self._world.real_time > 0 and self._interrupted.wait(seconds * self._world.real_time):
            raise InstrumentError("twin: stopped while it was at work.")

    def _on_sample(self, x_nm: Any, y_nm: Any, when_s: Any) -> tuple[Array, Array]:
        """Where on the sample the apex is when the scanner says `x_nm`, `y_nm`."""
        lag = self._world.creep * np.exp(-(when_s - self._state.moved_at_s) / self._world.creep_s)
        places = []
        for axis, place in enumerate((x_nm, y_nm)):
            drift = self._world.drift_nm_per_s[axis] * when_s
            places.append(place - drift - lag * self._state.last_move_nm[axis] + self._state.apex_nm[axis])
        return np.asarray(places[0]), np.asarray(places[1])

    def _change(self, **facts: Any) -> None:
        self._state = self._state.model_copy(update=facts)

    @staticmethod
    def _grid(frame: ScanFrame) -> tuple[Array, Array]:
        x, y = np.meshgrid(*frame.places())
        return x, y


def open_twin(
    *,
    data: str | Path | None = None,
    images: Sequence[str | Path] = (),
    recipe: str | Path | None = None,
    sample: Sample | None = None,
    faults: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
    **world: Any,
) -> Instrument:
    """A twin of a file with a spectrum image, of a recipe with atoms, of a sample, or of simulated loops.

    Parameters
    ----------
    data : a file with a spectrum image; its first point is a channel.
    images : files with further channels of the same place.
    recipe : a recipe of atoms, in the place of `data`.
    sample : your own, in the place of both.
    faults : of `adatom.instruments.faults.Faults`, if it is to fail.
    state : as `state()` gave it.
    world : fields of `World`.

    Raises
    ------
    ArgumentError : if there is more than one sample, or a setting is unknown or makes no sense.
    """
    if sum(each is not None for each in (data, recipe, sample)) > 1 or (images and data is None):
        raise ArgumentError("twin: expected one of data (with or without images), recipe and sample, got several.")
    try:
        settings = World.model_validate(world)
        failures = None if faults is None else Faults.model_validate(dict(faults))
    except ValidationError as error:
        raise ArgumentError(f"twin: {first_problem(error)}") from error
    if data is not None:
        sample = recorded_sample(data, images)
    elif recipe is not None:
        sample = atom_sample(recipe, seed=settings.seed)
    twin = Twin(sample or LoopSample(seed=settings.seed), settings, state)
    return twin if failures is None else FaultyInstrument(twin, failures)
