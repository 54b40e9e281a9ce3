"""Automated experiments: run, resume, show."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adatom.commands.terminal import Debug, Json, Out, app, print_json, print_lines, progress, write_run

if TYPE_CHECKING:
    from adatom.experiment import ExperimentPlan, History

experiment = typer.Typer(no_args_is_help=True, help="Automated experiments: run a plan, resume, show.")
app.add_typer(experiment, name="experiment")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an experiment.")]
Live = Annotated[bool, typer.Option("--live/--no-live", help="Draw live.png and live.html in DIR as it goes on.")]


@experiment.command(epilog="Example: adatom experiment run plan.yaml --out my-experiment")
def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="YAML file, or the name of a plan that ships.")],
    out: Out,
    live: Live = True,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Carry out a plan: look, decide, go there, measure, learn, until it has a reason to stop.

    Ctrl-C pauses after the measurement under way, twice stops the instrument at once; `resume` goes on in either case.
    """
    from adatom.experiment import read_plan, run_experiment

    wanted = read_plan(_shipped(plan))
    _carry_out(wanted, out, live, as_json, lambda on_state: run_experiment(wanted, out, on_state=on_state))


@experiment.command(epilog="Example: adatom experiment resume my-experiment")
def resume(folder: Folder, live: Live = True, as_json: Json = False, debug: Debug = False) -> None:
    """Go on with an experiment after a pause, an error or a crash; nothing that is recorded is measured again."""
    from adatom.errors import ExperimentError
    from adatom.experiment import history_of, read_record, resume_experiment

    plan = history_of(read_record(folder)).plan
    if plan is None:
        raise ExperimentError(f"folder: expected a record with a plan, got {folder} without. Begin it anew.")
    _carry_out(plan, folder, live, as_json, lambda on_state: resume_experiment(folder, on_state=on_state))


@experiment.command(epilog="Example: adatom experiment show my-experiment")
def show(folder: Folder, as_json: Json = False, debug: Debug = False) -> None:
    """Make report.html and summary.json of an experiment, finished or not."""
    from adatom.experiment.showing import show_experiment

    summary = show_experiment(folder)
    _say(folder, summary, as_json)


@experiment.command(epilog="Example: adatom experiment replay my-experiment --seeds 20")
def replay(
    folder: Folder,
    seeds: Annotated[int, typer.Option(help="Runs of each policy.", min=2)] = 10,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A dask cluster, such as tcp://10.0.0.5:8786 or local:4, does the runs."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let the policy of an experiment on a twin, and plain designs, search it again over many seeds: is it worth it?

    Writes replay.csv and replay.png, which `show` takes into the report.
    """
    from adatom.experiment.replaying import DESIGNS, replay_experiment

    with progress("policies", 1 + len(DESIGNS)) as advance:
        table = replay_experiment(folder, seeds, cluster=cluster, on_policy=lambda done: advance(done, ""))
    if as_json:
        rows = table.reset_index().to_dict("records")
        print_json({"policies": [{k: None if v == float("inf") else v for k, v in row.items()} for row in rows]})
        return
    print_lines(
        ["Measurements until one of the best 1 % was found, and the share of runs that got there:", table.to_string()]
    )


def _carry_out(plan: "ExperimentPlan", out: Path, live: bool, as_json: bool, do: "Callable[[Any], History]") -> None:
    from adatom.experiment.showing import LivePicture, progress_note, show_experiment

    picture = LivePicture(out) if live else None
    with progress("measuring", plan.stop.points) as advance:

        def on_state(state: Any) -> None:
            advance(len(state.history.results), progress_note(state))
            if picture is not None:
                picture(state)

        do(on_state)
    summary = show_experiment(out)
    write_run(out, {"seconds": summary["wall_s"], "stop_reason": summary["stop_reason"]})
    _say(out, summary, as_json)


def _say(folder: Path, summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), "report": str(folder / "report.html"), **summary})
        return
    lines = [
        f"{summary['n_measured']} of {summary['n_targets']} targets measured. {summary['stop_reason'] or ''}".strip()
    ]
    if summary["best"] is not None:
        best = summary["best"]
        lines.append(
            f"best {summary['quantity']}: {best['value']:.4g} at x = {best['x_nm']:.4g} nm, y = {best['y_nm']:.4g} nm"
        )
    if summary["predicted"] is not None:
        lines.append(
            f"{summary['predicted']['within_2_std']:.0%} of the predictions were within ±2 of their deviations"
        )
    print_lines([*lines, *summary["warnings"], f"report: {folder / 'report.html'}"])


def _shipped(plan: Path) -> Path:
    """The file of a plan that ships, where no file has this name."""
    from importlib.resources import files

    shipped = Path(str(files("adatom") / "examples" / f"{plan.name.removesuffix('.yaml')}.yaml"))
    return shipped if not plan.exists() and shipped.is_file() else plan
