"""`adatom experiment`: a closed loop, left alone with an instrument; it goes on after whatever has stopped it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from adatom.commands.terminal import Debug, Json, Out, app, print_json, print_lines, progress, write_run

experiment = typer.Typer(help="Automated experiments: decide where to measure next.", no_args_is_help=True)
app.add_typer(experiment, name="experiment")

Folder = Annotated[Path, typer.Argument(help="Folder of the experiment.", metavar="DIR")]


@experiment.command()
def run(
    plan: Annotated[str, typer.Argument(help="Plan (YAML), or the name of one that ships.", metavar="PLAN")],
    out: Out = Path("experiment"),
    check: Annotated[bool, typer.Option("--check", help="Read the plan, say what it would do, and stop.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a plan: look, choose, measure, learn, until there is a reason to stop.

    DIR/live.html shows what goes on. Ctrl-C ends it after the measurement that is under way; whatever ends it, `resume`
    goes on.

    Example: adatom experiment run experiment_simulated --out run1
    """
    from adatom.experiment import Experiment, read_plan

    read = read_plan(plan)
    if check:
        print_json(read.model_dump(mode="json")) if json else print_lines(_told(read))
        return
    _go_on(Experiment.start(read, out), json)


@experiment.command()
def resume(folder: Folder, json: Json = False, debug: Debug = False) -> None:
    """Go on with an experiment that was interrupted, in whichever way; nothing is lost, and nothing measured twice.

    Example: adatom experiment resume run1
    """
    from adatom.experiment import Experiment

    _go_on(Experiment.resume(folder), json)


@experiment.command()
def show(folder: Folder, json: Json = False, debug: Debug = False) -> None:
    """Write report.html, measurements.csv and summary.json of an experiment, be it over or not.

    Example: adatom experiment show run1
    """
    from adatom.experiment.report import facts_of
    from adatom.experiment.report import show as write

    summary = write(folder)
    print_json(summary) if json else print_lines([*facts_of(summary), f"{folder / 'report.html'}"])


@experiment.command()
def replay(
    folder: Folder,
    seeds: Annotated[int, typer.Option(help="Runs of each policy.", min=2)] = 10,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare the policy of an experiment on a twin with grid, random, Latin hypercube and coarse-to-fine raster.

    All values of the twin are known, so the policies are let loose on them; writes replay.csv and replay.png.

    Example: adatom experiment replay run1 --seeds 20
    """
    from adatom.experiment.replaying import replay_experiment

    with progress("replay", 5 * seeds) as advance:
        table = replay_experiment(folder, seeds, lambda done: advance(done, ""))
    if json:
        rows = table.reset_index().astype(object)
        print_json({"policies": rows.where(rows.map(lambda value: value != float("inf")), None).to_dict("records")})
    else:
        print_lines(["Measurements until one of the best 1 % was found:", table.to_string()])


def _go_on(running: Any, json: bool) -> None:
    from adatom.experiment.report import facts_of, show

    folder = running.folder
    try:
        with progress("experiment", running.plan.stop.points) as advance:
            running.run(lambda done, _, note: advance(done, note))
    finally:
        running.close()
    summary = show(folder)
    write_run(folder, {"summary": summary})
    print_json(summary) if json else print_lines([*facts_of(summary), f"{folder / 'report.html'}"])


def _told(plan: Any) -> list[str]:
    seconds = plan.overview.rows * plan.overview.columns * plan.overview.dwell_time_s
    return [
        f"{plan.name}: {plan.instrument.name}",
        f"overview {plan.overview.rows} x {plan.overview.columns} pixels, {plan.overview.width_nm:g} x "
        f"{plan.overview.height_nm:g} nm, {2 * seconds:.0f} s",
        f"{plan.stop.points} spectra of {plan.spectrum.n_points} points, "
        f"{plan.spectrum.n_points * plan.spectrum.dwell_time_s:.3g} s each; {plan.quantity.name}",
        f"chosen by {plan.policy.acquisition}, seeing {plan.policy.sees}",
        f"at most {plan.limits.total_time_s:g} s, {plan.limits.speed_nm_per_s:g} nm/s, bias {plan.limits.bias_V}",
    ]
