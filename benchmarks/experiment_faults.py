"""Experiments that are killed, cut off and told nonsense: what is lost, what is measured twice, what moves too far.

A run is carried by a process that is killed (SIGKILL) at a random moment, again and again, and resumed until it ends. It
has to end as the run that nobody disturbed. Processes are forked from one that has everything imported.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adatom.errors import AdatomError
from adatom.experiment import (
    ExperimentPlan,
    History,
    history_of,
    plan_of,
    read_record,
    resume_experiment,
    run_experiment,
)
from adatom.experiment.record import RECORD, kept_arrays
from adatom.instruments import opening
from adatom.instruments.nanonis_simulator import NanonisSimulator
from adatom.instruments.samples import LoopSample
from adatom.instruments.twin import Twin, open_twin
from benchmarks.automated_search import PlainGP
from benchmarks.record import Recorder

KILLED_RUNS = 100
_HALF_NM = 640.0
_SEEN = "seen.txt"  # what reached the instrument, one line a move or scan


def run(recorder: Recorder, n_runs: int = KILLED_RUNS) -> None:
    """100 killed runs, 10 on a twin that fails, 5 on a Nanonis that fails, 3 of a policy that wants to get out."""
    with tempfile.TemporaryDirectory() as folder:
        _killed(recorder, Path(folder), n_runs)
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
        "stop": {"points": 16},
    }
    return plan_of({**facts, **changes})


def _killed(recorder: Recorder, folder: Path, n_runs: int) -> None:
    wanted = plan()
    started = time.monotonic()
    _in_process(lambda: _carry(wanted, folder / "undisturbed"), None)
    takes_s = time.monotonic() - started
    true = _told(folder / "undisturbed")
    chance = random.Random(0)
    lost = repeated = different = kills = again = torn = 0
    for number in range(n_runs):
        place = folder / f"killed{number}"
        before: list[Any] = []
        while not _in_process(lambda place=place: _carry(wanted, place), chance.uniform(0, takes_s)):
            kills += 1
            now = _told(place)
            lost += now[: len(before)] != before
            before = now
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
    print(f"  {kills} kills; {again} actions under way were done again; {torn} torn lines; one run takes {takes_s:.1f} s")
    recorder.add("experiment_faults/kills", kills, goal=f">= {n_runs}")
    recorder.add("experiment_faults/killed_runs", n_runs)
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
            limit_m = (_HALF_NM + 1e-6) * 1e-9
            for what, facts in simulator.log:
                if what == "move":
                    outside += max(abs(facts[0]), abs(facts[1])) > limit_m
    print(f"  {failures} failures on the Nanonis")
    recorder.add("experiment_faults/nanonis_that_fails/unfinished_runs", unfinished, goal="<= 0")
    recorder.add("experiment_faults/nanonis_that_fails/moves_outside", outside, goal="<= 0")


def _hostile(recorder: Recorder, folder: Path) -> None:
    """The limits end in the middle of the overview's right half; the policy wants what lies beyond."""
    outside = refused = unsafe = 0
    for number in range(3):
        place = folder / f"hostile{number}"
        limits = {**plan().limits.model_dump(), "keep_out": [{"x_nm": [200, 640], "y_nm": [-640, 640]}]}
        overview = {"x_nm": -250, "width_nm": 700, "height_nm": 1200, "rows": 16, "columns": 16, "dwell_time_s": 0.02}
        wanted = plan(limits=limits, overview=overview, drift=None, most_failures=20, seed=number)
        _until_done(wanted, place, surrogate=_Tempted)
        refused += len(history_of(read_record(place)).refused)
        outside += _n_outside(place, x_high=200.0)
        unsafe += (place / _SEEN).read_text().splitlines()[-1] != "safe"
    print(f"  {refused} refused of the hostile policy")
    recorder.add("experiment_faults/hostile_policy/refused", refused, goal=">= 1")
    recorder.add("experiment_faults/hostile_policy/moves_outside", outside, goal="<= 0")
    recorder.add("experiment_faults/hostile_policy/left_unsafe", unsafe, goal="<= 0")
