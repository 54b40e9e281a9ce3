"""What a record says of an experiment so far: all that a resumed run and a report need."""

from dataclasses import dataclass, field
from typing import Any

from adatom.errors import ExperimentError
from adatom.experiment.plan import ExperimentPlan, plan_of
from adatom.experiment.record import Entry


@dataclass
class History:
    """Read from the entries of a record.

    Parameters
    ----------
    plan : of the experiment; None where the record is empty.
    overview, reference : data of their events.
    targets : names the arrays of the candidates.
    results : (candidate, value) in the order of measurement; a value is None where there is none.
    measurements : data of the events of spectra.
    refused, failed : entries of the instrument.
    decisions : entries.
    drifts : data of events.
    stop : the last reason, and whether it is final.
    in_flight : candidate whose measurement was under way when the record ended.
    world, used : of the instrument after the last thing that was done.
    """

    plan: ExperimentPlan | None = None
    overview: dict[str, Any] | None = None
    reference: dict[str, Any] | None = None
    targets: dict[str, str] | None = None
    results: list[tuple[int, float | None]] = field(default_factory=list)
    measurements: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[Entry] = field(default_factory=list)
    drifts: list[dict[str, Any]] = field(default_factory=list)
    refused: list[Entry] = field(default_factory=list)
    failed: list[Entry] = field(default_factory=list)
    stop: Entry | None = None
    n_sessions: int = 0
    in_flight: Entry | None = None
    world: dict[str, Any] = field(default_factory=dict)
    used: dict[str, Any] | None = None

    @property
    def asked(self) -> list[int]:
        """All candidates that were decided for, in that order."""
        return [number for decision in self.decisions for number in decision["candidates"]]

    @property
    def pending(self) -> list[int]:
        """Those decided for that have no result yet."""
        pending = self.asked
        for number, _ in self.results:
            if number in pending:
                pending.remove(number)
        return pending

    def search_state(self, fresh: dict[str, Any]) -> dict[str, Any]:
        """What `adatom.decide.Search.resume` needs to go on, from the state of a search that has not begun."""
        state = {**fresh, "pending": self.pending, "n_picks": len(self.asked)}
        state["measured"] = [number for number, value in self.results if value is not None]
        state["values"] = [[value] for _, value in self.results if value is not None]
        state["failed"] = [number for number, value in self.results if value is None]
        last = self.pending or [number for number, _ in self.results]
        state["last"] = last[-1] if last else None
        return state


def history_of(entries: list[Entry]) -> History:
    """The history that a record tells.

    Raises
    ------
    ExperimentError : if the first line is no plan.
    RecipeError : if this version of Adatom does not know the plan.
    """
    history = History()
    stream_of: dict[str, str] = {}
    for entry in entries:
        match entry["kind"]:
            case "begin":
                history.plan = plan_of(entry["plan"], name="the plan in the record")
            case "session":
                history.n_sessions += 1
            case "targets":
                history.targets = entry["arrays"]
            case "decision":
                history.decisions.append(entry)
            case "instrument":
                _take_instrument(history, entry)
            case "not_measured":
                history.results.append((entry["candidate"], None))
            case "stop":
                history.stop = entry
            case "document" if entry["name"] == "descriptor":
                stream_of[entry["document"]["uid"]] = entry["document"]["name"]
            case "document" if entry["name"] == "event":
                _take_event(history, stream_of[entry["document"]["descriptor"]], entry["document"]["data"])
        if "after" in entry:
            history.world, history.used = entry["after"]["world"], entry["after"]["used"]
            history.in_flight = None
    if entries and history.plan is None:
        first = next((entry["kind"] for entry in entries if entry["kind"] != "torn"), None)
        if first is not None:
            raise ExperimentError(f"record: expected a plan in its first line, got {first!r}. Begin a new experiment.")
    return history


def _take_instrument(history: History, entry: Entry) -> None:
    match entry["event"]:
        case "starts":
            history.in_flight = entry
        case "refused":
            history.refused.append(entry)
        case "failed":
            history.failed.append(entry)


def _take_event(history: History, stream: str, data: dict[str, Any]) -> None:
    match stream:
        case "overview":
            history.overview = data
        case "reference":
            history.reference = data
        case "drift":
            history.drifts.append(data)
        case "primary":
            history.measurements.append(data)
            history.results.append((data["spectrum_candidate"], data["spectrum_value"]))
