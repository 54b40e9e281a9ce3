"""What an experiment found, how, and what it was not allowed to do: tables, a summary and a page, from its record."""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adatom.data.atomic_file import write_atomically
from adatom.decide import Search
from adatom.experiment.live import draw_experiment
from adatom.experiment.loop import Experiment
from adatom.experiment.targets import targets_of
from adatom.report.page import facts_part, figure_part, warnings_part, whole_page
from adatom.report.spectra_page import table_part


def measured_table(entries: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a measurement: ``n``, ``candidate``, ``x_nm``, ``y_nm`` where the probe was, ``value`` (NaN: failed), and
    ``expected``, ``expected_std``, what the model had said before.
    """
    said: dict[int, dict[str, Any]] = {}
    place: dict[int, tuple[float, float]] = {}
    rows: list[tuple[Any, ...]] = []
    for entry in entries:
        if entry["kind"] == "asked":
            said |= dict(zip(entry["candidates"], entry["reasons"], strict=True))
        elif entry["kind"] == "measuring":
            place[entry["candidate"]] = entry["x_nm"], entry["y_nm"]
        elif entry["kind"] in ("measured", "failed"):
            candidate = entry["candidate"]
            reason = said.get(candidate, {})
            value = entry.get("value")
            numbers = (value, reason.get("mean"), reason.get("std"))
            rows.append((len(rows) + 1, candidate, *place[candidate], *(np.nan if n is None else n for n in numbers)))
    return pd.DataFrame(rows, columns=["n", "candidate", "x_nm", "y_nm", "value", "expected", "expected_std"])


def show(folder: str | Path) -> dict[str, Any]:
    """Write ``measurements.csv``, ``summary.json`` and ``report.html`` into the folder of an experiment, which may
    still be under way or interrupted; returns the summary.

    Raises
    ------
    MissingFileError : if there is no experiment.
    ExperimentError : if its record is damaged, or another process runs it.
    """
    experiment = Experiment.resume(folder)
    try:
        return _show(experiment)
    finally:
        experiment.close()


def _show(experiment: Experiment) -> dict[str, Any]:
    entries, plan = experiment.record.entries, experiment.plan
    table = measured_table(entries)
    good = table.dropna(subset=["value"])
    told = good.dropna(subset=["expected"])
    over = next((str(entry["why"]) for entry in entries if entry["kind"] == "over"), None)
    refused = [str(entry["why"]) for entry in entries if entry["kind"] == "event" and entry["what"] == "refused"]
    used = next((entry["used"] for entry in reversed(entries) if "used" in entry), {"seconds": 0.0, "n_actions": 0})
    best = None
    if len(good):
        values = good["value"].to_numpy()
        row = good.iloc[int(values.argmin() if plan.policy.minimise else values.argmax())]
        best = {name: float(row[name]) for name in ("x_nm", "y_nm", "value")} | {"n": int(row["n"])}
    summary: dict[str, Any] = {
        "name": plan.name,
        "instrument": plan.instrument.name,
        "quantity": plan.quantity.name,
        "acquisition": plan.policy.acquisition,
        "n_measured": len(good),
        "n_failed": len(table) - len(good),
        "n_sessions": sum(entry["kind"] == "session" for entry in entries),
        "n_refused": len(refused),
        "best": best,
        "instrument_seconds": round(float(used["seconds"]), 1),
        "over": over,
        "inside_two_deviations": _inside(told),
        "warnings": _warnings(table, told, refused, over),
    }
    figures = {}
    if any(entry["kind"] == "overview" for entry in entries):
        search: Search = experiment.search_of(targets_of(plan, experiment.overview))
        figures["The overview with the places in their order; the map; its uncertainty; what was measured"] = (
            draw_experiment(plan, experiment.overview, search)
        )
    write_atomically(experiment.folder / "measurements.csv", table.to_csv(index=False))
    write_atomically(experiment.folder / "summary.json", json.dumps(summary, indent=2))
    facts = {
        "Measured": f"{len(good)}" + (f", and {len(table) - len(good)} failed" if len(table) > len(good) else ""),
        "Best": ""
        if best is None
        else f"{best['value']:.4g} at ({best['x_nm']:.4g}, {best['y_nm']:.4g}) nm, no. {best['n']}",
        "Chosen by": escape(plan.policy.acquisition.replace("_", " ")),
        "Ended": escape(over or "not yet"),
        "Instrument": f"{escape(plan.instrument.name)}, {used['seconds']:.0f} s, {used['n_actions']} actions",
        "Sessions": str(summary["n_sessions"]),
        "Said before, within two deviations": "" if summary["inside_two_deviations"] is None else _share(told),
    }
    parts = [
        f'<p class="file">{escape(plan.name)}</p>',
        f"<h1>{escape(plan.quantity.name)}: {len(good)} measurements</h1>",
        warnings_part(summary["warnings"]),
        facts_part({name: fact for name, fact in facts.items() if fact}),
        *(figure_part(caption, figure) for caption, figure in figures.items()),
        table_part("The last measurements", table.tail(20)) if len(table) else "",
        table_part("What was refused", pd.DataFrame({"why": refused})) if refused else "",
        f"<section><h2>Plan</h2><pre>{escape(plan.to_yaml())}</pre></section>",
    ]
    write_atomically(experiment.folder / "report.html", whole_page(parts, title=plan.name))
    return summary


def _best(best: Mapping[str, float]) -> str:
    return f"{best['value']:.4g} at ({best['x_nm']:.4g}, {best['y_nm']:.4g}) nm, measurement {best['n']:.0f}"


def _inside(told: pd.DataFrame) -> float | None:
    """Share of what was measured that lies within two stated deviations of what was said before."""
    if not len(told):
        return None
    return round(float(np.mean(np.abs(told["value"] - told["expected"]) <= 2 * told["expected_std"])), 4)


def _share(told: pd.DataFrame) -> str:
    return f"{100 * (_inside(told) or 0):.0f} % of {len(told)} (of the true value; noise comes on top)"


def _warnings(table: pd.DataFrame, told: pd.DataFrame, refused: list[str], over: str | None) -> list[str]:
    said = []
    if over is None:
        said.append("This experiment is not over: `adatom experiment resume` goes on with it.")
    if refused:
        said.append(f"Limits refused {len(refused)} actions, see below.")
    n_failed = int(table["value"].isna().sum())
    if n_failed > 0.1 * max(len(table), 1):
        said.append(f"{n_failed} of {len(table)} measurements failed.")
    share = _inside(told)
    if share is not None and len(told) >= 20 and share < 0.6:
        said.append(
            f"Only {100 * share:.0f} % of what was measured lay within two deviations of what the model had said: "
            "trust neither its map nor its error bars."
        )
    return said


def facts_of(summary: Mapping[str, Any]) -> list[str]:
    """Lines for a terminal."""
    best = summary["best"]
    lines = [f"{summary['name']}: {summary['n_measured']} measured, {summary['n_failed']} failed"]
    if best:
        lines.append(f"best {summary['quantity']}: {_best(best)}")
    lines.append(summary["over"] or "not over")
    return lines
