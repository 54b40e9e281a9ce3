"""One sitting at an experiment: bluesky's RunEngine carries it from where the record ends to a reason to stop."""

import logging
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adatom import __version__
from adatom.decide import Search, Surrogate
from adatom.errors import AdatomError, ExperimentError, InstrumentError, LimitError
from adatom.experiment.devices import Camera, Probe, Spectrometer, kept_image
from adatom.experiment.history import History, history_of
from adatom.experiment.plan import ExperimentPlan
from adatom.experiment.record import RECORD, Record, kept_arrays, read_record
from adatom.experiment.searching import (
    described_model,
    expected_at,
    search_of,
    stopping_rules,
    surrogate_of,
)
from adatom.experiment.targets import TargetSet, targets_in
from adatom.instruments import Guarded, Used, open_instrument

Messages = Generator[Any, Any, Any]


@dataclass(frozen=True)
class State:
    """What a sitting shows after each decision.

    Parameters
    ----------
    search : with what was measured and what is believed.
    targets : its candidates.
    next_candidates : what was just decided for; none at the end.
    history : up to now.
    """

    search: Search
    targets: TargetSet
    history: History
    next_candidates: list[int] = field(default_factory=list)


OnState = Callable[[State], None]


def run_experiment(
    plan: ExperimentPlan, folder: Path, *, surrogate: Surrogate | None = None, on_state: OnState | None = None
) -> History:
    """Begin an experiment and carry it to its end.

    Parameters
    ----------
    plan : what to do.
    folder : for the record, which must not be there yet.
    surrogate : in the place of the plan's model; `resume_experiment` has to be given one that is made alike.
    on_state : called after each decision and at the end.

    Raises
    ------
    ExperimentError : if the folder holds an experiment, bluesky is missing, or the run cannot go on.
    LimitError, InstrumentError : if the first scan is refused or fails.
    KeyboardInterrupt : after Ctrl-C, when the measurement under way is done and recorded.
    """
    if (folder / RECORD).exists():
        raise ExperimentError(
            f"out: expected a folder without an experiment, got {folder}. "
            f"Go on with `adatom experiment resume {folder}`."
        )
    engine = _engine_class()
    with Record(folder) as record:
        record.add("begin", plan=plan.model_dump(mode="json"), adatom=__version__)
        return _Sitting(record, surrogate, on_state).carry_out(engine)


def resume_experiment(folder: Path, *, surrogate: Surrogate | None = None, on_state: OnState | None = None) -> History:
    """Go on with an experiment from its record, after a crash, a pause or an error; nothing recorded is done again.

    A measurement that was under way when the record ended is made again.

    Raises
    ------
    MissingFileError : if there is no experiment.
    ExperimentError : if the record is damaged, another process writes it, or the run cannot go on.
    """
    engine = _engine_class()
    history = history_of(read_record(folder))
    if history.stop is not None and history.stop["final"]:
        return history
    with Record(folder) as record:
        if history.plan is None:
            raise ExperimentError(f"folder: expected a record with a plan, got {folder} without. Begin it anew.")
        return _Sitting(record, surrogate, on_state).carry_out(engine)


class _Sitting:
    """Holds the devices between the record, the search and the engine."""

    def __init__(self, record: Record, surrogate: Surrogate | None, on_state: OnState | None) -> None:
        history = history_of(record.entries)
        assert history.plan is not None  # looked at by those who call
        self.plan = history.plan
        self._record = record
        self._on_state = on_state
        self._surrogate = surrogate or surrogate_of(self.plan.policy, self.plan.seed)
        before = history.in_flight
        record.add(
            "session",
            number=history.n_sessions + 1,
            measured=len(history.results),
            done_again=None if before is None else {"verb": before["verb"], "arguments": before["arguments"]},
        )
        self._guarded = self._open(history)
        try:
            self._overview = Camera("overview", self._guarded, self.plan.overview, record)
            self._watch: Camera | None = None
            if self.plan.drift is not None:
                self._watch = Camera("drift", self._guarded, self.plan.drift.frame, record)
            speed = self.plan.speed_nm_per_s or self.plan.limits.speed_nm_per_s
            self._probe = Probe(self._guarded, speed)
            self._spectrometer = Spectrometer(self._guarded, self.plan, record)
        except BaseException:
            self._guarded.close()
            raise

    def carry_out(self, engine_class: Any) -> History:
        """To the end, or to what comes in between."""
        from bluesky.preprocessors import finalize_wrapper
        from bluesky.utils import RunEngineInterrupted

        interrupts = _Interrupts(self._guarded)
        engine = engine_class(context_managers=[lambda _: interrupts.listening()])
        interrupts.engine = engine
        engine.subscribe(self._keep_document)
        try:
            engine(finalize_wrapper(self._steps(), self._clean_up))
        except RunEngineInterrupted:
            engine.abort("paused by Ctrl-C")
            self._record.add("paused", reason="Ctrl-C")
            raise KeyboardInterrupt from None
        except Exception as error:
            cause = _cause(error)
            reason = str(cause) if isinstance(cause, AdatomError) else f"{type(cause).__name__}: {cause}"
            self._record.add("stop", reason=reason, final=False)
            if interrupts.count > 1:
                raise KeyboardInterrupt from None
            if cause is error:
                raise
            raise cause from None
        finally:
            self._guarded.close()
        return history_of(self._record.entries)

    # --- the plan, as bluesky's messages

    def _steps(self) -> Messages:
        from bluesky import plan_stubs as do

        yield from do.open_run({"adatom": __version__, "session": self._history().n_sessions})
        targets = yield from self._look_around()
        search = search_of(self.plan, targets, self._history(), self._surrogate)
        yield from self._go_on(search, targets)
        self._show(search, targets, [])
        yield from do.close_run()

    def _look_around(self) -> Messages:
        """The overview, the reference of drift, and the targets: what is not recorded yet."""
        history = self._history()
        if history.overview is None:
            yield from self._take(self._overview, "overview")
        if self._watch is not None:
            if history.reference is None:
                yield from self._take(self._watch, "reference")
            else:
                self._watch.reference = kept_image(self._record.folder, history.reference, "drift")
                self._watch.n_kept = 1 + len(history.drifts)
                for seen in history.drifts[-1:]:
                    self._watch.shift_nm = seen["drift_shift_x_nm"], seen["drift_shift_y_nm"]
        history = self._history()
        if history.targets is None:
            assert history.overview is not None  # taken above
            found = targets_in(kept_image(self._record.folder, history.overview, "overview"), self.plan)
            arrays = {"places": found.places, "inputs": found.inputs, "names": found.names}
            self._record.add("targets", count=len(found.places), arrays=self._record.keep("targets", arrays))
            return found
        return TargetSet(**kept_arrays(self._record.folder, history.targets))

    def _go_on(self, search: Search, targets: TargetSet) -> Messages:
        from bluesky import plan_stubs as do

        rules = stopping_rules(self.plan)
        in_vain = 0
        while True:
            while len(search.pending):
                yield from self._follow_drift(len(search.measured) + len(search.failed))
                yield from do.checkpoint()  # where Ctrl-C pauses
                number = int(search.pending[0])
                value = yield from self._measure(number, targets)
                search.tell([number], [float("nan") if value is None else value])
                in_vain = in_vain + 1 if value is None else 0
                if in_vain >= self.plan.most_failures or self._guarded.stopped is not None:
                    last = self._history().failed + self._history().refused
                    raise ExperimentError(
                        f"{in_vain} targets one after the other could not be measured, the last one because: "
                        f"{self._guarded.stopped or (last[-1]['reason'] if last else 'its spectrum has no such value')}"
                    )
            yield from do.checkpoint()
            elapsed_s = self._guarded.used().time_s
            reasons = [reason for rule in rules if (reason := rule(search, elapsed_s=elapsed_s)) is not None]
            if reasons:
                self._record.add("stop", reason=reasons[0], final=True)
                return
            self._decide(search, targets)

    def _decide(self, search: Search, targets: TargetSet) -> None:
        is_early = len(search.measured) < self.plan.policy.n_initial
        spent = len(search.measured) + len(search.failed)
        asked = search.ask(min(self.plan.policy.batch, self.plan.stop.points - spent)).tolist()
        knows = self._surrogate is not None and not is_early
        self._record.add(
            "decision",
            candidates=asked,
            places_nm=targets.places[asked].tolist(),
            by=self.plan.policy.initial if is_early else self.plan.policy.acquisition,
            expected=expected_at(search, asked) if knows else None,
            model=described_model(self._surrogate) if knows else None,
        )
        self._show(search, targets, asked)

    def _measure(self, number: int, targets: TargetSet) -> Messages:
        """The value at a target, None where there is none; refusals and failures are results too."""
        from bluesky import plan_stubs as do
        from bluesky.utils import FailedStatus

        shift = (0.0, 0.0) if self._watch is None else self._watch.shift_nm
        place = tuple(float(at + by) for at, by in zip(targets.places[number], shift, strict=True))
        self._spectrometer.candidate = number
        self._spectrometer.n_kept = len(self._history().measurements)
        for attempt in range(1 + self.plan.retries):
            try:
                yield from do.abs_set(self._probe, place, wait=True)
                yield from do.trigger(self._spectrometer, wait=True)
            except FailedStatus as error:
                cause = _cause(error)
                if not isinstance(cause, (LimitError, InstrumentError)):
                    raise
                if isinstance(cause, LimitError) or self._guarded.stopped is not None or attempt == self.plan.retries:
                    self._record.add("not_measured", candidate=number, reason=str(cause), after=self._after())
                    return None
                self._record.add("tried", candidate=number, reason=str(cause), after=self._after())
                continue
            yield from do.create("primary")
            yield from do.read(self._probe)
            reading = yield from do.read(self._spectrometer)
            yield from do.save()
            return reading["spectrum_value"]["value"]
        return None

    def _follow_drift(self, n_done: int) -> Messages:
        if self._watch is None or self.plan.drift is None:
            return
        while len(self._history().drifts) < n_done // self.plan.drift.every:
            yield from self._take(self._watch, "drift")

    def _take(self, camera: Camera, stream: str) -> Messages:
        from bluesky import plan_stubs as do
        from bluesky.utils import FailedStatus

        for attempt in range(1 + self.plan.retries):
            try:
                yield from do.trigger(camera, wait=True)
                break
            except FailedStatus as error:
                cause = _cause(error)
                if not isinstance(cause, InstrumentError) or attempt == self.plan.retries:
                    raise
                self._record.add("tried", stream=stream, reason=str(cause), after=self._after())
        yield from do.create(stream)
        yield from do.read(camera)
        yield from do.save()

    def _clean_up(self) -> Messages:
        from bluesky import plan_stubs as do

        self._guarded.make_safe()
        yield from do.null()

    # --- what goes into the record

    def _keep_document(self, name: str, document: dict[str, Any]) -> None:
        if name == "event":
            self._record.add("document", name=name, document=document, after=self._after())
        else:
            self._record.add("document", name=name, document=document)

    def _keep_event(self, event: dict[str, Any]) -> None:
        """Of the instrument: that an action begins is on the disk before it does."""
        if event["event"] == "starts":
            event = {**event, "used": self._guarded.used().model_dump(mode="json")}
        if event["event"] != "done":  # the measurement itself says so
            self._record.add("instrument", **event)

    def _after(self) -> dict[str, Any]:
        """What a next sitting has to know of the instrument."""
        try:
            world = self._guarded.state()
        except InstrumentError:  # it cannot be reached; the real world needs no state
            world = self._history().world
        return {"world": world, "used": self._guarded.used().model_dump(mode="json")}

    def _history(self) -> History:
        return history_of(self._record.entries)

    def _show(self, search: Search, targets: TargetSet, asked: list[int]) -> None:
        if self._on_state is not None:
            self._on_state(State(search, targets, self._history(), asked))

    def _open(self, history: History) -> Guarded:
        settings = dict(self.plan.instrument.settings)
        used = history.used
        if history.world:
            settings["state"] = history.world  # an action under way has never happened there
        elif history.in_flight is not None:
            used = history.in_flight["used"]  # in the real world it has
        return open_instrument(
            self.plan.instrument.name,
            limits=self.plan.limits,
            used=None if used is None else Used.model_validate(used),
            on_event=self._keep_event,
            **settings,
        )


class _Interrupts:
    """Ctrl-C: once, the run pauses when the measurement under way is recorded; twice, the instrument stops at once."""

    def __init__(self, guarded: Guarded) -> None:
        self.engine: Any = None
        self.count = 0
        self._guarded = guarded

    @contextmanager
    def listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _on_signal(self, *_: Any) -> None:
        self.count += 1
        what = self._pause if self.count == 1 else self._stop
        threading.Thread(target=what, name="adatom interrupt", daemon=True).start()

    def _pause(self) -> None:
        self.engine.request_pause(defer=True)

    def _stop(self) -> None:
        self._guarded.stop("Ctrl-C twice")


def _engine_class() -> Any:
    try:
        from bluesky import RunEngine
    except ImportError as error:
        raise ExperimentError(
            "bluesky: expected to be installed, as it carries experiments, got nothing. Install adatom[experiment]."
        ) from error
    logging.getLogger("bluesky").addHandler(logging.NullHandler())  # what goes wrong is said once, by us
    return RunEngine


def _cause(error: BaseException) -> BaseException:
    """What a device raised, behind what the engine makes of it."""
    while error.__cause__ is not None and not isinstance(error, AdatomError):
        error = error.__cause__
    return error
