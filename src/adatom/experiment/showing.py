"""An experiment as people see it: the live picture, and the report at any time."""

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.data.atomic_file import write_atomically, write_json
from adatom.decide import Search, Surrogate
from adatom.errors import ExperimentError
from adatom.experiment.devices import kept_image
from adatom.experiment.history import History, history_of
from adatom.experiment.record import Entry, kept_arrays, read_record
from adatom.experiment.searching import search_of, surrogate_of
from adatom.experiment.session import State
from adatom.experiment.targets import TargetSet
from adatom.report.canvas import figure_png
from adatom.report.experiment_figures import Progress, draw_progress
from adatom.report.experiment_page import render_experiment_report

_LIVE_DPI = 110
_PAGE = (
    '<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="3"><title>Adatom: experiment</title>'
    '<img src="live.png" alt="map, deviation, points, learning curve" style="max-width:100%">\n'
)


class LivePicture:
    """``live.png``, written anew as an experiment goes on, and ``live.html``, which shows it again every 3 s.

    Parameters
    ----------
    folder : of the experiment.
    every_s : at most so often; drawing takes half a second.
    """

    def __init__(self, folder: Path, *, every_s: float = 3.0) -> None:
        self._folder = folder
        self._every_s = every_s
        self._drawn_at = -np.inf

    def __call__(self, state: State) -> None:
        is_last = not state.next_candidates
        if not is_last and time.monotonic() - self._drawn_at < self._every_s:
            return
        shown = progress_of(self._folder, state.history, state.search, state.targets, state.next_candidates)
        write_atomically(self._folder / "live.png", figure_png(draw_progress(shown), dpi=_LIVE_DPI))
        if self._drawn_at < 0:
            write_atomically(self._folder / "live.html", _PAGE)
        self._drawn_at = time.monotonic()


def progress_of(
    folder: Path, history: History, search: Search, targets: TargetSet, next_candidates: list[int]
) -> Progress:
    """What there is to draw of an experiment."""
    assert history.plan is not None and history.overview is not None  # there are targets
    mean = std = None
    if history.plan.policy.model != "none" and len(search.measured) >= history.plan.policy.n_initial:
        belief = search.belief()
        mean, std = belief.mean[:, 0], belief.std[:, 0]
    return Progress(
        kept_image(folder, history.overview, "overview"),
        targets.places,
        search.measured,
        search.values[:, 0] if search.n_outputs else np.zeros(0),
        history.plan.quantity.name,
        mean,
        std,
        next_candidates,
        history.plan.quantity.goal == "lowest",
        predicted_and_measured(history),
    )


def predicted_and_measured(history: History) -> NDArray[np.float64]:
    """What the model said of targets before they were measured, beside what was measured then.

    Returns
    -------
    (k, 3): number of the measurement, measured minus predicted, and the deviation stated for one measurement.

    Notes
    -----
    No prediction knew its measurement, so this is a validation that costs nothing; it is of the places that the policy
    chose, and not of all.
    """
    said: dict[int, tuple[float, float]] = {}
    for decision in history.decisions:
        if decision["expected"] is not None:
            columns = (decision["expected"][name] for name in ("mean", "std", "noise_std"))
            for number, mean, std, noise in zip(decision["candidates"], *columns, strict=True):
                said[number] = (mean, float(np.hypot(std, noise)))
    rows = [
        (count, value - said[number][0], said[number][1])
        for count, (number, value) in enumerate(history.results, start=1)
        if value is not None and number in said
    ]
    return np.array(rows, dtype=float).reshape(len(rows), 3)


def show_experiment(folder: Path, *, surrogate: Surrogate | None = None) -> dict[str, Any]:
    """Make ``report.html`` and ``summary.json`` of an experiment, finished or not.

    Parameters
    ----------
    surrogate : where the experiment was run with one that is not the plan's.

    Raises
    ------
    MissingFileError : if there is no experiment.
    ExperimentError : if its record is damaged, or it has no targets yet.
    """
    entries = read_record(folder)
    history = history_of(entries)
    if history.plan is None or history.targets is None:
        raise ExperimentError(f"folder: expected an experiment that has targets, got {folder}, which has none yet.")
    plan = history.plan
    targets = TargetSet(**kept_arrays(folder, history.targets))
    search = search_of(plan, targets, history, surrogate or surrogate_of(plan.policy, plan.seed))
    summary = summary_of(entries, history, search, targets)
    figures: dict[str, Any] = {
        "Overview with the points in their order; what is believed now, and how surely; what was reached, and how "
        "well it was foretold": draw_progress(progress_of(folder, history, search, targets, []))
    }
    replayed = folder / "replay.png"
    if replayed.is_file():
        figures["The policy beside others, replayed on a known sample"] = replayed.read_bytes()
    page = render_experiment_report(summary, figures, history.refused + history.failed, title=folder.resolve().name)
    write_atomically(folder / "report.html", page)
    write_json(folder / "summary.json", summary)
    return summary


def summary_of(entries: list[Entry], history: History, search: Search, targets: TargetSet) -> dict[str, Any]:
    """An experiment in numbers."""
    assert history.plan is not None
    plan = history.plan
    predictions = predicted_and_measured(history)
    best = None
    if len(search.measured):
        number, values = search.best()
        best = {"candidate": number, "value": float(values[0]), "name": str(targets.names[number])}
        best |= dict(zip(("x_nm", "y_nm"), targets.places[number].tolist(), strict=True))
    drift = history.drifts[-1] if history.drifts else None
    return {
        "n_targets": len(targets.places),
        "n_measured": len(search.measured),
        "n_not_measured": len(search.failed),
        "quantity": plan.quantity.name,
        "best": best,
        "predicted": _judged(predictions),
        "instrument": plan.instrument.name,
        "acquisition": plan.policy.acquisition,
        "model": plan.policy.model,
        "instrument_s": 0.0 if history.used is None else history.used["time_s"],
        **_time_use(entries),
        "n_sessions": history.n_sessions,
        "n_refused": len(history.refused),
        "n_failed": len(history.failed),
        "drift_nm": None if drift is None else [drift["drift_shift_x_nm"], drift["drift_shift_y_nm"]],
        "stop_reason": None if history.stop is None else history.stop["reason"],
        "is_finished": history.stop is not None and bool(history.stop["final"]),
        "warnings": _warnings(predictions, history),
    }


def _judged(predictions: NDArray[np.float64]) -> dict[str, Any] | None:
    if not len(predictions):
        return None
    _, error, std = predictions.T
    return {
        "n": len(error),
        "rms_error": float(np.sqrt((error**2).mean())),
        "within_2_std": float((np.abs(error) <= 2 * std).mean()),
    }


def _warnings(predictions: NDArray[np.float64], history: History) -> list[str]:
    warnings = []
    judged = _judged(predictions)
    if judged is not None and judged["n"] >= 20 and judged["within_2_std"] < 0.85:
        warnings.append(
            f"Only {judged['within_2_std']:.0%} of the predictions held what they stated: "
            "the map's deviations are too small."
        )
    if history.refused:
        warnings.append(f"The limits refused {len(history.refused)} actions; look whether they fit the sample.")
    return warnings


def _time_use(entries: list[Entry]) -> dict[str, float]:
    """Seconds by the wall clock: of all sittings, and of decisions in them."""
    times = [datetime.fromisoformat(entry["time"]).timestamp() for entry in entries]
    wall_s = deciding_s = 0.0
    for before, after, entry in zip(times, times[1:], entries[1:], strict=False):
        if entry["kind"] != "session":  # between sittings nobody was there
            wall_s += after - before
        if entry["kind"] == "decision":
            deciding_s += after - before
    return {"wall_s": round(wall_s, 3), "deciding_s": round(deciding_s, 3)}


def progress_note(state: State) -> str:
    """One line for a terminal."""
    if not len(state.search.measured):
        return ""
    facts: Mapping[str, Any] = {"best": f"{state.search.best()[1][0]:.4g}"}
    if state.next_candidates:
        x, y = state.targets.places[state.next_candidates[0]]
        facts = {**facts, "next": f"({x:.4g}, {y:.4g}) nm"}
    return ", ".join(f"{name} {value}" for name, value in facts.items())
