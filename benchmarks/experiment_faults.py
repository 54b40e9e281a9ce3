"""Experiments that are killed, cut off and told nonsense: what is lost, what is measured twice, what moves too far.

A run is carried by a process that is killed (SIGKILL) at a random moment, again and again, and resumed until it ends.
It has to end as the run that nobody disturbed. Processes are forked from one that has everything imported.
"""

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adatom.errors import AdatomError
from adatom.experiment import (
    ExperimentPlan,
    history_of,
    plan_of,
    read_record,
    resume_experiment,
    run_experiment,
    session,
)
from adatom.experiment.record import RECORD, kept_arrays
from adatom.experiment.targets import TargetSet
from adatom.instruments import Instrument, ScanFrame, opening
from adatom.instruments.faults import Faults, FaultyInstrument
from adatom.instruments.nanonis_simulator import NanonisSimulator
from adatom.instruments.samples import LoopSample
from adatom.instruments.twin import open_twin
from benchmarks.automated_search import PlainGP
from benchmarks.record import Recorder

KILLS = 100
_HALF_NM = 640.0
_SEEN = "seen.txt"  # what reached the instrument, one line a move or scan


def run(recorder: Recorder, n_kills: int = KILLS) -> None:
    """Runs killed 100 times in all, 10 on a twin that fails, 5 on a Nanonis that fails, 3 of a hostile policy."""
    import sklearn.gaussian_process  # noqa: F401  once, before forking

    with tempfile.TemporaryDirectory() as folder:
        _killed(recorder, Path(folder), n_kills)
        _failing(recorder, Path(folder))
        _nanonis(recorder, Path(folder))
        _hostile(recorder, Path(folder))


def plan(**changes: Any) -> ExperimentPlan:
    """A short experiment on a twin that drifts, with a model from the fifth measurement on."""
    facts: dict[str, Any] = {
        "instrument": {"name": "watched_twin", "settings": {"noise": 0.05, "drift_nm_per_s": [0.05, 0.02]}},
        "limits": {
            "x_nm": [-_HALF_NM, _HALF_NM],
            "y_nm": [-_HALF_NM, _HALF_NM],
            "speed_nm_per_s": 5000,
            "total_time_s": 1e6,
            "bias_V": [-8, 8],
            "dose": {"place_nm": 100, "seconds": 1000},
        },
        "overview": {"width_nm": 1200, "height_nm": 1200, "rows": 16, "columns": 16, "dwell_time_s": 0.02},
        "quantity": {"name": "work"},
        "policy": {"n_initial": 5, "batch": 2},
        "drift": {
            "every": 6,
            "frame": {"width_nm": 600, "height_nm": 600, "rows": 16, "columns": 16, "dwell_time_s": 0.01},
        },
        "stop": {"points": 12},
    }
    return plan_of({**facts, **changes})


def _killed(recorder: Recorder, folder: Path, n_kills: int) -> None:
    wanted = plan()
    times = []
    for number in range(3):
        started = time.monotonic()
        _in_process(lambda number=number: _carry(wanted, folder / f"undisturbed{number}"), None)
        times.append(time.monotonic() - started)
    takes_s = min(times)
    true = _told(folder / "undisturbed0")
    chance = random.Random(0)
    lost = repeated = different = kills = again = torn = number = killed_runs = 0
    while kills < n_kills:
        place = folder / f"killed{number}"
        number += 1
        before: list[Any] = []
        kills_before = kills
        while not _in_process(lambda place=place: _carry(wanted, place), chance.uniform(0, takes_s)):
            kills += 1
            now = _told(place)
            lost += now[: len(before)] != before
            before = now
        killed_runs += kills > kills_before
        now = _told(place)
        lost += now[: len(before)] != before
        entries = read_record(place)
        history = history_of(entries)
        measured = [each["spectrum_candidate"] for each in history.measurements]
        repeated += len(measured) - len(set(measured))
        different += now != true
        again += sum(entry["kind"] == "session" and entry["done_again"] is not None for entry in entries)
        torn += sum(entry["kind"] == "torn" for entry in entries)
        for each in history.measurements:
            kept_arrays(place, {"file": each["spectrum_file"], "sha256": each["spectrum_sha256"]})
    print(
        f"  {kills} kills; {again} actions under way were done again; {torn} torn lines; one run takes {takes_s:.1f} s"
    )
    recorder.add("experiment_faults/kills", kills, goal=f">= {n_kills}")
    recorder.add("experiment_faults/runs_that_were_killed", killed_runs)
    recorder.add("experiment_faults/measurements_lost", lost, goal="<= 0")
    recorder.add("experiment_faults/measurements_repeated", repeated, goal="<= 0")
    recorder.add("experiment_faults/runs_that_end_otherwise", different, goal="<= 0")


def _failing(recorder: Recorder, folder: Path) -> None:
    """Disconnects, garbage and foreign errors; a run that gives up is resumed, as a person would."""
    unfinished = outside = failures = 0
    for number in range(10):
        place = folder / f"failing{number}"
        faults = {"disconnects": 0.01, "garbage": 0.02, "foreign": 0.01, "seed": number}
        settings = {"noise": 0.05, "faults": faults}
        wanted = plan(instrument={"name": "watched_twin", "settings": settings}, drift=None)
        unfinished += not _until_done(wanted, place)
        failures += len(history_of(read_record(place)).failed)
        outside += _n_outside(place)
    print(f"  {failures} failures on the twin")
    recorder.add("experiment_faults/twin_that_fails/unfinished_runs", unfinished, goal="<= 0")
    recorder.add("experiment_faults/twin_that_fails/moves_outside", outside, goal="<= 0")


def _nanonis(recorder: Recorder, folder: Path) -> None:
    unfinished = outside = failures = 0
    for number in range(5):
        with NanonisSimulator(LoopSample(size_px=64)) as simulator:
            place = folder / f"nanonis{number}"
            settings = {
                "port": simulator.port,
                "safe_port": simulator.port,
                "timeout_s": 0.3,
                "channels": ["Z (m)"],
                "grace_s": 2.0,
            }
            bias = [round(0.5 * step, 2) for step in (*range(0, 9), *range(7, -9, -1), *range(-7, 1))]
            wanted = plan(
                instrument={"name": "nanonis", "settings": settings},
                spectrum={"axis": "bias", "values": bias, "dwell_time_s": 0.01},
                drift=None,
            )
            simulator.fail_at_random(0.01, seed=number)
            unfinished += not _until_done(wanted, place)
            failures += len(history_of(read_record(place)).failed)
            seen = [facts for what, facts in simulator.log if what in ("move", "scan")]
            if not seen:
                raise RuntimeError("nothing was noted by the simulator, so nothing was tested")
            for x, y, *more in seen:
                half = max(more[:2], default=0.0) / 2  # of a scan
                outside += max(abs(x), abs(y)) + half > (_HALF_NM + 1e-3) * 1e-9
    print(f"  {failures} failures on the Nanonis")
    recorder.add("experiment_faults/nanonis_that_fails/unfinished_runs", unfinished, goal="<= 0")
    recorder.add("experiment_faults/nanonis_that_fails/moves_outside", outside, goal="<= 0")


def _hostile(recorder: Recorder, folder: Path) -> None:
    """Candidates that lie up to three times as far out as the limits: most of what is asked for has to be refused."""
    outside = refused = unsafe = measured = 0
    honest = session.targets_in
    session.targets_in = lambda *given: _stretched(honest(*given))
    try:
        for number in range(3):
            place = folder / f"hostile{number}"
            _until_done(plan(drift=None, most_failures=40, seed=number), place)
            history = history_of(read_record(place))
            refused += len(history.refused)
            measured += len(history.measurements)
            outside += _n_outside(place)
            unsafe += (place / _SEEN).read_text().splitlines()[-1] != "safe"
    finally:
        session.targets_in = honest
    print(f"  {refused} refused of the hostile policy, {measured} measured inside the limits")
    recorder.add("experiment_faults/hostile_policy/refused", refused, goal=">= 1")
    recorder.add("experiment_faults/hostile_policy/moves_outside", outside, goal="<= 0")
    recorder.add("experiment_faults/hostile_policy/left_unsafe", unsafe, goal="<= 0")


def _stretched(targets: TargetSet) -> TargetSet:
    return TargetSet(3 * targets.places, targets.inputs, targets.names)


# --- runs


def _carry(wanted: ExperimentPlan, place: Path) -> None:
    """To its end, from wherever it is."""
    if (place / RECORD).is_file() and history_of(read_record(place)).plan is not None:
        resume_experiment(place, surrogate=PlainGP(0))
        return
    if wanted.instrument.name == "watched_twin":
        settings = {**wanted.instrument.settings, "seen": str(place / _SEEN)}
        wanted = wanted.model_copy(update={"instrument": wanted.instrument.model_copy(update={"settings": settings})})
    shutil.rmtree(place, ignore_errors=True)  # killed before its plan was written
    place.mkdir()
    run_experiment(wanted, place, surrogate=PlainGP(0))


def _until_done(wanted: ExperimentPlan, place: Path, tries: int = 40) -> bool:
    for _ in range(tries):
        try:
            _carry(wanted, place)
            return True
        except AdatomError:
            continue
    return False


def _in_process(do: Callable[[], None], kill_after_s: float | None) -> bool:
    """Whether it came to its end before it was killed."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            do()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("a run failed by itself; see above")
    return os.WIFEXITED(status)


def _told(place: Path) -> list[Any]:
    """What a record tells of measurements, in their order, with the hashes of the spectra."""
    if not (place / RECORD).is_file():
        return []
    history = history_of(read_record(place))
    return [
        (each["spectrum_candidate"], each["spectrum_value"], each["spectrum_sha256"]) for each in history.measurements
    ]


def _n_outside(place: Path) -> int:
    """Moves and scans that reached the instrument and lie outside the limits."""
    numbers = [line.split() for line in (place / _SEEN).read_text().splitlines() if line != "safe"]
    if not numbers:
        raise RuntimeError("nothing was noted by the twin, so nothing was tested")
    return sum(max(abs(float(x)), abs(float(y))) > _HALF_NM + 1e-6 for x, y in numbers)


class Watched:
    """A twin that notes what reaches it."""

    def __init__(self, twin: Instrument, seen: str) -> None:
        self._twin = twin
        self._seen = Path(seen)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._twin, name)

    def move(self, x_nm: float, y_nm: float, *, speed_nm_per_s: float) -> None:
        self._note(f"{x_nm} {y_nm}")
        self._twin.move(x_nm, y_nm, speed_nm_per_s=speed_nm_per_s)

    def scan(self, frame: ScanFrame) -> Any:
        for side in (-0.5, 0.5):
            self._note(f"{frame.x_nm + side * frame.width_nm} {frame.y_nm + side * frame.height_nm}")
        return self._twin.scan(frame)

    def make_safe(self) -> None:
        self._note("safe")
        self._twin.make_safe()

    def _note(self, line: str) -> None:
        with self._seen.open("a") as file:
            file.write(line + "\n")


def open_watched(*, seen: str, faults: dict[str, Any] | None = None, **settings: Any) -> Any:
    """A watched twin, behind faults if asked for."""
    watched = Watched(open_twin(**settings), seen)
    return watched if faults is None else FaultyInstrument(watched, Faults.model_validate(faults))


opening.INSTRUMENTS["watched_twin"] = (__name__, "open_watched")
