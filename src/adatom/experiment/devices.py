"""An instrument behind its limits, as devices that bluesky's RunEngine can set, trigger and read."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from adatom.errors import ExperimentError
from adatom.experiment.plan import ExperimentPlan, Frame
from adatom.experiment.quantities import value_of
from adatom.experiment.record import Record, kept_arrays
from adatom.experiment.registration import shift_between
from adatom.instruments import Guarded, SpectrumSettings

Reading = dict[str, dict[str, Any]]


class Action:
    """A `bluesky.protocols.Status` of something that is done in a thread of its own."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do
        self._problem: BaseException | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Action], None]] = []
        threading.Thread(target=self._run, name="adatom action", daemon=True).start()

    def _run(self) -> None:
        try:
            self._do()
        except BaseException as problem:
            self._problem = problem
        with self._lock:
            self._ended.set()
        for callback in self._callbacks:
            callback(self)

    def add_callback(self, callback: Callable[["Action"], None]) -> None:
        """Called when it is done, at once if it is."""
        with self._lock:
            if not self._ended.is_set():
                self._callbacks.append(callback)
                return
        callback(self)

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """What went wrong, if anything."""
        self._ended.wait(timeout)
        return self._problem

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    @property
    def success(self) -> bool:
        return self.done and self._problem is None


class _Device:
    """What all devices share: a name, no parent, and the facts of their last action."""

    parent = None

    def __init__(self, name: str, guarded: Guarded) -> None:
        self.name = name
        self._guarded = guarded
        self._facts: dict[str, Any] = {}
        self._read_at = 0.0

    def read(self) -> Reading:
        return {
            f"{self.name}_{fact}": {"value": value, "timestamp": self._read_at} for fact, value in self._facts.items()
        }

    def describe(self) -> Reading:
        return {
            f"{self.name}_{fact}": {
                "source": f"adatom:{self.name}",
                "dtype": "string" if isinstance(value, str) else "number",
                "shape": [],
            }
            for fact, value in self._facts.items()
        }

    def _now_known(self, **facts: Any) -> None:
        self._facts, self._read_at = facts, time.time()


class Probe(_Device):
    """Movable to a place (x, y) [nm]."""

    def __init__(self, guarded: Guarded, speed_nm_per_s: float) -> None:
        super().__init__("probe", guarded)
        self._speed = speed_nm_per_s

    def set(self, place: tuple[float, float]) -> Action:
        x, y = place

        def go() -> None:
            self._guarded.move(x, y, speed_nm_per_s=self._speed)
            here = self._guarded.position()
            self._now_known(x_nm=here[0], y_nm=here[1])

        return Action(go)


class Spectrometer(_Device):
    """Triggered, it measures a spectrum where the probe is, keeps it, and knows the number wanted of it."""

    def __init__(self, guarded: Guarded, plan: ExperimentPlan, record: Record) -> None:
        super().__init__("spectrum", guarded)
        self._quantity = plan.quantity
        self._settings = spectrum_settings(guarded.describe(), plan)
        self._record = record
        self.candidate = 0
        self.n_kept = 0

    def trigger(self) -> Action:
        def measure() -> None:
            measured = self._guarded.spectrum(self._settings)
            axis = measured[self._settings.axis].to_numpy().astype(float)
            values = measured.to_numpy().astype(float)
            kept = self._record.keep(f"spectrum_{self.n_kept:05d}", {"axis": axis, "values": values})
            value = value_of(self._quantity, self._settings.axis, axis, values)
            self._now_known(candidate=self.candidate, value=value if np.isfinite(value) else None, **kept)

        return Action(measure)


class Camera(_Device):
    """Triggered, it scans a frame and keeps the image; where it has a reference, it says how far the sample went."""

    def __init__(self, name: str, guarded: Guarded, frame: Frame, record: Record) -> None:
        super().__init__(name, guarded)
        self._frame = frame
        self._record = record
        self._channel = frame.channel or next(iter(guarded.describe()["channels"]))
        self.reference: xr.DataArray | None = None
        self.shift_nm = (0.0, 0.0)
        self.n_kept = 0

    def trigger(self) -> Action:
        def look() -> None:
            shift = self.shift_nm
            image = self._guarded.scan(self._frame.scan_frame(self._channel, shift))[self._channel]
            if self.reference is None:
                self.reference = image
            else:
                way = shift_between(self.reference, image)
                shift = (shift[0] + way[0], shift[1] + way[1])
            arrays = {name: image[name].to_numpy().astype(float) for name in ("x", "y")}
            kept = self._record.keep(
                f"{self.name}_{self.n_kept:05d}", {"image": image.to_numpy().astype(float), **arrays}
            )
            self.n_kept += 1
            self.shift_nm = shift
            self._now_known(
                channel=self._channel,
                units=str(image.attrs.get("units", "")),
                shift_x_nm=shift[0],
                shift_y_nm=shift[1],
                **kept,
            )

        return Action(look)


def kept_image(folder: Path, facts: dict[str, Any], name: str) -> xr.DataArray:
    """The image that a camera of this name kept, from the data of its event."""
    arrays = kept_arrays(folder, {each: facts[f"{name}_{each}"] for each in ("file", "sha256")})
    coords = {each: (each, arrays[each], {"units": "nm"}) for each in ("y", "x")}
    attrs = {"units": facts[f"{name}_units"], "signal": facts[f"{name}_channel"]}
    return xr.DataArray(arrays["image"], dims=("y", "x"), coords=coords, attrs=attrs)


def spectrum_settings(offered: dict[str, Any], plan: ExperimentPlan) -> SpectrumSettings:
    """What is asked of an instrument that offers this (`Instrument.describe`).

    Raises
    ------
    ExperimentError : if neither plan nor instrument says along what.
    """
    asked, usual = plan.spectrum, offered.get("spectrum")
    axis = asked.axis or (usual or {}).get("axis")
    values = asked.values if asked.values is not None else (usual or {}).get("values")
    if axis is None or values is None:
        raise ExperimentError("spectrum: expected axis and values, as this instrument has no usual ones, got none.")
    return SpectrumSettings(axis, np.asarray(values, dtype=float), asked.dwell_time_s, asked.channel)
