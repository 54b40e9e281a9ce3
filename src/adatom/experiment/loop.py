"""The closed loop: look, choose, measure, learn, until there is a reason to stop. `bluesky` carries it.

Everything that counts is in the record before anything follows from it, and the search is a function of the record. So
a run that was cut off at any moment goes on as if nothing had happened; what was being measured then is measured again.
"""

import signal
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom import __version__
from adatom.data import make_image
from adatom.decide import Budget, Cost, NoImprovement, Search, StopRule, Surrogate, UncertaintyBelow
from adatom.errors import ExperimentError, InstrumentError, LimitError
from adatom.experiment.devices import Detector, Probe
from adatom.experiment.live import Live
from adatom.experiment.plan import Plan, parse_plan
from adatom.experiment.record import Record, read_record
from adatom.experiment.targets import Targets, targets_of
from adatom.instruments import Guarded, Used, open_instrument

Array = NDArray[np.float64]
OnStep = Callable[[int, int, str], None]
Messages = Generator[Any, Any, Any]


class Experiment:
    """An experiment in a folder.

    Parameters
    ----------
    folder : with its record; a new one is made by `start`.

    Attributes
    ----------
    plan : of it.
    search : what was asked and told; None before the overview was taken.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = Record(folder)
        if not self.record.entries:
            self.record.close()
            raise ExperimentError(f"experiment: expected one that was started, got {folder}, whose record is empty.")
        self.plan = parse_plan(self.record.entries[0]["plan"], name="the recorded plan")
        self.search: Search | None = None
        self._instrument: Guarded | None = None
        self._overview: xr.DataArray | None = None
        self._targets: Targets | None = None

    @classmethod
    def start(cls, plan: Plan, folder: str | Path) -> Self:
        """A new experiment.

        Raises
        ------
        ExperimentError : if there is one in the folder.
        """
        where = Path(folder)
        record = Record(where)
        try:
            if record.entries:
                raise ExperimentError(
                    f"out: expected an empty folder, got {where}, which holds an experiment. Resume it."
                )
            record.add("plan", plan=plan.to_yaml(), adatom=__version__)
        finally:
            record.close()
        return cls(where)

    @classmethod
    def resume(cls, folder: str | Path) -> Self:
        """One that was interrupted, in whichever way."""
        read_record(Path(folder))  # says so if there is none, and makes nothing
        return cls(Path(folder))

    @property
    def is_over(self) -> bool:
        """Whether it came to a reason to stop."""
        return any(True for _ in self.record.of("over"))

    def close(self) -> None:
        """Let go of record and instrument."""
        if self._instrument is not None:
            self._instrument.close()
            self._instrument = None
        self.record.close()

    # ---------------------------------------------------------------- running

    def run(self, on_step: OnStep | None = None) -> str:
        """Go on until there is a reason to stop, which is returned.

        Raises
        ------
        ExperimentError : if it cannot go on: bluesky is missing, or too many measurements failed.
        InstrumentError : if the instrument cannot be reached.
        LimitError : if the overview does not lie within the limits.
        KeyboardInterrupt : after Ctrl-C, when the measurement that was under way is done; the run can be resumed.
        """
        for entry in self.record.of("over"):
            return str(entry["why"])
        engine = _engine()
        told = next((e for e in reversed(self.record.entries) if "used" in e), None)
        self.record.add("session", resumed=told is not None)
        self._instrument = open_instrument(
            self.plan.instrument.name,
            limits=self.plan.limits,
            used=Used.of(told["used"]) if told else None,
            state=told["state"] if told else None,
            on_event=self._event,
            **self.plan.instrument.settings,
        )
        worker = ThreadPoolExecutor(1, thread_name_prefix="instrument")
        self._probe = Probe(self._instrument, worker)
        self._scanner = Detector("overview", self._scan, worker)
        self._spectrometer = Detector("spectrum", self._take_spectrum, worker)
        self._on_step = on_step or (lambda done, total, note: None)
        engine.subscribe(self._document)
        try:
            with redirect_stdout(sys.stderr), _interruptible(engine):
                engine(self._all(), plan_name=self.plan.name)
            if getattr(engine, "was_interrupted", False):
                raise KeyboardInterrupt
        finally:
            worker.shutdown(wait=True)
            self._instrument.close()
            self._instrument = None
        return next(str(entry["why"]) for entry in self.record.of("over"))

    def _all(self) -> Messages:
        import bluesky.plan_stubs as bps
        import bluesky.preprocessors as bpp

        def safe() -> Messages:
            assert self._instrument is not None
            self._instrument.make_safe()
            yield from bps.null()

        yield from bpp.finalize_wrapper(self._rounds(), safe())

    def _rounds(self) -> Messages:
        """The experiment itself, as messages to the engine."""
        import bluesky.plan_stubs as bps

        yield from bps.open_run(md={"experiment": self.plan.name})
        if not any(True for _ in self.record.of("overview")):
            yield from self._look("overview")
        self._prepare()
        assert self.search is not None
        live = Live(self.folder, self.plan, self.overview)
        failures, why = 0, None
        while why is None:
            live.draw(self.search)
            why = self._reason()
            if why is None:
                for candidate in self._next():
                    yield from bps.checkpoint()
                    if self._drift_is_due():
                        yield from self._follow()
                    good = yield from self._measure(candidate)
                    failures = 0 if good else failures + 1
                    if failures > self.plan.failures:
                        raise ExperimentError(f"{failures} measurements in a row failed: look at the instrument.")
                    done = len(self.search.measured) + len(self.search.failed)
                    best = f"best {self.search.best()[1]:.4g}" if self.search.measured else ""
                    self._on_step(done, self.plan.stop.points, best)
                    if self._time_is_over():
                        break
        self.record.add("over", why=why)
        live.draw(self.search, last=True)
        yield from bps.close_run(reason=why)

    def _look(self, kind: str) -> Messages:
        """Scan the overview; `kind` is ``overview`` for the first one, ``drift`` for those after."""
        import bluesky.plan_stubs as bps

        self._scanned_as = kind
        try:
            yield from bps.trigger_and_read([self._scanner], name="overview")
        except Exception as error:
            raise _cause(error) from error

    def _measure(self, candidate: int) -> Messages:
        """Go there and take a spectrum, again if the instrument fails; returns whether that went well."""
        import bluesky.plan_stubs as bps

        assert self.search is not None and self._targets is not None and self._instrument is not None
        place = self._targets.places[candidate] + self._offset()
        self._candidate, self._measured_line = candidate, -1
        for attempt in range(self.plan.retries + 1):
            self.record.add("measuring", candidate=candidate, x_nm=float(place[0]), y_nm=float(place[1]))
            try:
                yield from bps.abs_set(self._probe, (float(place[0]), float(place[1])), wait=True)
                yield from bps.trigger_and_read([self._probe, self._spectrometer], name="spectra")
            except Exception as error:
                cause = _cause(error)
                if not isinstance(cause, InstrumentError | LimitError):
                    raise
                if self._instrument.is_stopped:
                    raise ExperimentError(f"{cause} Resume when it works again.") from error
                if isinstance(cause, LimitError) or attempt == self.plan.retries:
                    self._tell_failed(candidate, f"{type(cause).__name__}: {cause}")
                    break
            if self._measured_line >= 0:
                break
        value = self.record.entries[self._measured_line]["value"] if self._measured_line >= 0 else None
        self.search.tell([candidate], [np.nan if value is None else float(value)])
        return value is not None

    def _tell_failed(self, candidate: int, why: str) -> None:
        self.record.add("failed", candidate=candidate, why=why, **self._world())

    # ---------------------------------------------------------------- what the devices do

    def _scan(self) -> dict[str, Any]:
        assert self._instrument is not None
        seen = self._instrument.scan(self.plan.overview.frame())
        channel = self.plan.overview.channel
        if channel not in seen:
            raise InstrumentError(f"scan: expected the channel {channel}, got {', '.join(map(str, seen))}.")
        values = seen[channel].transpose("y", "x").to_numpy().astype(float)
        if not np.isfinite(values).any():
            raise InstrumentError("scan: expected numbers, got none.")
        kind = self._scanned_as
        number = sum(1 for _ in self.record.of("overview", "drift"))
        kept = self.record.keep(f"scan_{number:04d}", values)
        facts: dict[str, Any] = {"array": kept, "units": str(seen[channel].attrs.get("units", ""))}
        if kind == "drift":
            offset = self._shift_of(values)
            facts |= {"x_nm": offset[0], "y_nm": offset[1]}
        self.record.add(kind, **facts, **self._world())
        return {"file": kept["file"]}

    def _take_spectrum(self) -> dict[str, Any]:
        assert self._instrument is not None
        seen = self._instrument.spectrum(self.plan.spectrum.settings())
        at, values = seen[seen.dims[0]].to_numpy().astype(float), seen.to_numpy().astype(float)
        value = self.plan.quantity.of(at, values, self.plan.spectrum.axis)
        number = sum(1 for _ in self.record.of("measured"))
        kept = self.record.keep(f"spectrum_{number:05d}", np.stack([at, values]))
        entry = self.record.add(
            "measured",
            candidate=self._candidate,
            value=value if np.isfinite(value) else None,
            array=kept,
            units=str(seen.attrs.get("units", "")),
            **self._world(),
        )
        self._measured_line = int(entry["n"])
        return {
            "quantity": value if np.isfinite(value) else 0.0,
            "is_good": bool(np.isfinite(value)),
            "file": kept["file"],
        }

    def _world(self) -> dict[str, Any]:
        """What is used up of the limits, and what a twin needs to go on."""
        assert self._instrument is not None
        return {"used": self._instrument.used.as_dict(), "state": self._instrument.state()}

    def _event(self, what: str, facts: dict[str, Any]) -> None:
        """What the limits, the watchdog or the instrument have to say."""
        self.record.add("event", what=what, **facts)

    def _document(self, name: str, document: dict[str, Any]) -> None:
        """The engine's documents go into the same record."""
        kept = {key: document[key] for key in ("uid", "run_start", "data", "exit_status", "reason") if key in document}
        self.record.add("document", name=name, document=kept)

    # ---------------------------------------------------------------- choosing

    @property
    def overview(self) -> xr.DataArray:
        """The first overview, in the scanner's frame."""
        if self._overview is None:
            entry = next(self.record.of("overview"))
            frame = self.plan.overview.frame()
            steps = frame.height_nm / frame.rows, frame.width_nm / frame.columns
            made = make_image(self.record.kept(entry["array"]), pixel_size=steps)
            x = frame.x_nm + ((np.arange(frame.columns) + 0.5) / frame.columns - 0.5) * frame.width_nm
            y = frame.y_nm + ((np.arange(frame.rows) + 0.5) / frame.rows - 0.5) * frame.height_nm
            made = made.assign_coords(x=("x", x, made["x"].attrs), y=("y", y, made["y"].attrs))
            made.attrs["units"] = entry["units"]
            self._overview = made
        return self._overview

    def _prepare(self) -> None:
        """Targets, and the search as the record has it."""
        self._targets = targets_of(self.plan, self.overview)
        self.search = self.search_of(self._targets)

    def search_of(self, targets: Targets) -> Search:
        """The search among some targets as the record has it."""
        policy, limits = self.plan.policy, self.plan.limits
        made_with: dict[str, Any] = {
            "surrogate": self._surrogate(),
            "inputs": targets.inputs,
            "acquisition": policy.acquisition,
            "settings": policy.settings,
            "minimise": policy.minimise,
            "n_first": policy.n_first,
            "forbidden": [each.zone() for each in policy.forbidden],
            "margin_nm": policy.margin_nm,
            "cost": (
                Cost(limits.speed_nm_per_s, self.plan.spectrum.n_points * self.plan.spectrum.dwell_time_s)
                if policy.weighs_time
                else None
            ),
            "random_state": self.plan.seed,
        }
        state = Search(targets.places, **made_with).state()
        told: set[int] = set()
        for entry in self.record.of("asked", "measured", "failed"):
            if entry["kind"] == "asked":
                state["n_asked"] += 1
                state["pending"] += [c for c in entry["candidates"] if c not in told]
                continue
            candidate, value = entry["candidate"], entry.get("value")
            told.add(candidate)
            state["pending"] = [c for c in state["pending"] if c != candidate]
            if value is None:
                state["failed"].append(candidate)
            else:
                state["measured"].append(candidate)
                state["values"].append([value])
            state["position"] = targets.places[candidate].tolist()
        return Search.resume(state, targets.places, **made_with)

    def _surrogate(self) -> Surrogate:
        from adatom.models import DeepKernelRegressor, GaussianProcessRegressor

        if self.plan.policy.model == "deep_kernel":
            return DeepKernelRegressor(random_state=self.plan.seed)
        return GaussianProcessRegressor(isotropic=True)

    def _next(self) -> list[int]:
        """Candidates that were asked for and are still to be measured, or the next ones."""
        assert self.search is not None
        if self.search.pending:
            return list(self.search.pending)
        chosen = self.search.ask(self.plan.policy.batch)
        reasons = self.search.reasons
        self.record.add(
            "asked",
            candidates=[int(c) for c in chosen],
            reasons=[
                {name: None if not np.isfinite(value) else float(value) for name, value in row.items()}
                for row in reasons.drop(columns="candidate").to_dict("records")
            ],
        )
        return [int(c) for c in chosen]

    def _reason(self) -> str | None:
        """Why to stop, if there is a reason."""
        assert self.search is not None and self._instrument is not None
        stop, rules = self.plan.stop, list[StopRule]()
        rules.append(Budget(points=stop.points, seconds=stop.seconds))
        if stop.uncertainty_below is not None:
            rules.append(UncertaintyBelow(stop.uncertainty_below))
        if stop.no_improvement_by is not None:
            rules.append(NoImprovement(stop.no_improvement_by))
        for rule in rules:
            why = rule(self.search, self._instrument.used.seconds)
            if why is not None:
                return why
        return None if self.search.free().any() or self.search.pending else "No place is left."

    def _time_is_over(self) -> bool:
        assert self._instrument is not None
        return self.plan.stop.seconds is not None and self._instrument.used.seconds >= self.plan.stop.seconds

    # ---------------------------------------------------------------- drift

    def _offset(self) -> Array:
        """How far the targets have moved in the scanner's frame since the overview [nm]."""
        scans = list(self.record.of("drift"))
        return np.array([scans[-1]["x_nm"], scans[-1]["y_nm"]]) if scans else np.zeros(2)

    def _drift_is_due(self) -> bool:
        if self.plan.drift is None:
            return False
        since = 0
        for entry in self.record.of("measured", "failed", "drift"):
            since = 0 if entry["kind"] == "drift" else since + 1
        return since >= self.plan.drift.every

    def _follow(self) -> Messages:
        yield from self._look("drift")

    def _shift_of(self, values: Array) -> tuple[float, float]:
        """Where what the overview shows is now: x, y [nm] from where it was.

        Raises
        ------
        ExperimentError : if it is further from where it was last than is believed.
        """
        from adatom.prepare.drift import find_drift

        before = [self.record.kept(entry["array"]) for entry in self.record.of("overview", "drift")]
        frames = self.overview.expand_dims(frame=len(before) + 1).copy(data=np.stack([*before, values]))
        offset = tuple(float(each) for each in find_drift(frames)[-1])
        assert self.plan.drift is not None
        far = float(np.hypot(*(np.array(offset) - self._offset())))
        if far > self.plan.drift.largest_nm:
            raise ExperimentError(
                f"drift: expected up to {self.plan.drift.largest_nm:g} nm since the last scan, got {far:.4g} nm."
            )
        return offset[0], offset[1]


def _engine() -> Any:
    try:
        from bluesky import RunEngine
    except ImportError as error:
        raise ExperimentError(
            'experiment: expected bluesky, which is missing. pip install "adatom[experiment]"'
        ) from error
    return RunEngine({}, context_managers=[])


def _cause(error: Exception) -> Exception:
    """What the engine wraps."""
    cause = error.__cause__
    return cause if isinstance(cause, Exception) else error


class _interruptible:
    """Ctrl-C lets the measurement that is under way end, and pauses; the engine is then stopped, with its clean-up."""

    def __init__(self, engine: Any) -> None:
        self._engine, self._before = engine, None

    def __enter__(self) -> None:
        self._engine.was_interrupted = False
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._pause)  # type: ignore[assignment]

    def _pause(self, *_: object) -> None:
        self._engine.was_interrupted = True
        self._engine.request_pause(defer=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if kind is not None and kind.__name__ == "RunEngineInterrupted":
            self._engine.stop()
            return True
        return False
