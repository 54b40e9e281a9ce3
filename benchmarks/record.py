"""How a figure is kept: one JSON object a line in ``results.jsonl``, and ``RESULTS.md`` made from the last of each."""

import json
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RECORDS = FOLDER / "results.jsonl"
PAGE = FOLDER / "RESULTS.md"
# Beginnings of names of figures that have others today.
_RENAMED = {
    "ws2_defects/dose_": "ws2_defects/contaminated/dose_",
    "experiment_faults/killed_runs": "experiment_faults/runs_that_were_killed",
}


@dataclass
class Recorder:
    """Figures of one run of a benchmark; prints each as it comes."""

    command: str
    started: float = field(default_factory=time.monotonic)
    figures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, figure: str, value: float, *, goal: str | None = None, peer: float | None = None) -> None:
        """Keep `value` under a stable name; `goal` is text such as ``>= 0.98`` that says what is to be reached."""
        value = float(value)  # numpy's numbers and truths are no JSON
        reached = None if goal is None else _reaches(value, goal)
        self.figures.append(
            {"figure": figure, "value": round(value, 5), "goal": goal, "reached": reached, "peer": peer}
        )
        mark = {None: "", True: "reached", False: "NOT REACHED"}[reached]
        beside = "" if peer is None else f"  (peer {peer:.4g})"
        print(f"  {figure:60s} {value:10.4g}  {goal or '':10s} {mark}{beside}", flush=True)

    def save(self) -> None:
        """Append the figures since the last time to ``results.jsonl``."""
        common = {
            "command": self.command,
            "date": datetime.now(UTC).date().isoformat(),
            "seconds": round(time.monotonic() - self.started, 1),
            "commit": _commit(),
        }
        with RECORDS.open("a", encoding="utf-8") as file:
            for figure in self.figures:
                file.write(json.dumps({**figure, **common}) + "\n")
        self.figures.clear()


def _reaches(value: float, goal: str) -> bool:
    sign, number = goal.split()
    return {"<=": value <= float(number), ">=": value >= float(number)}[sign]


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def write_results_page() -> None:
    """Make ``RESULTS.md`` from the last record of each figure."""
    last: dict[str, dict[str, Any]] = {}
    for line in RECORDS.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for old, new in _RENAMED.items():
            if record["figure"].startswith(old):
                record["figure"] = new + record["figure"].removeprefix(old)
        last[record["figure"]] = record
    lines = [
        "# Results",
        "",
        "Made by the benchmarks from `results.jsonl`; do not edit. Measured on 2 shared CPU cores, no GPU:",
        "times are indicative. The last run of each figure stands here.",
    ]
    for command in dict.fromkeys(record["command"] for record in last.values()):
        lines += [
            "",
            f"## `{command}`",
            "",
            "| figure | value | goal | reached | peer | date | commit |",
            "|---|---|---|---|---|---|---|",
        ]
        for record in last.values():
            if record["command"] == command:
                reached = {None: "", True: "yes", False: "**no**"}[record["reached"]]
                cells = [record["figure"], f"{record['value']:g}", record["goal"] or "", reached]
                cells += ["" if record["peer"] is None else f"{record['peer']:g}", record["date"], record["commit"]]
                lines.append(f"| {' | '.join(cells)} |")
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
