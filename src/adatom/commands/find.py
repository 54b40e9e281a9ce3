"""The main job: the atoms of images, or their particles."""

import sys
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from adatom.commands.terminal import (
    Channel,
    Debug,
    Device,
    Frame,
    Json,
    Out,
    PixelSize,
    app,
    print_json,
    print_lines,
    progress,
    sentence,
    write_run,
)


@app.command(epilog="Example: adatom find scan.sxm other.tif --pixel-size 0.02 --out results")
def find(
    context: typer.Context,
    out: Out,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Files, folders with images, or patterns.")
    ] = None,
    what: Annotated[
        str, typer.Option(help="atoms, or particles: nanoparticles, islands, grains, each with its size and shape.")
    ] = "atoms",
    model: Annotated[
        str | None,
        typer.Option(
            help="Name of a model that ships (adatom models), or a file; by default any_atoms, or for particles none."
        ),
    ] = None,
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    spacing: Annotated[
        float | None, typer.Option(metavar="NM", help="Distance of neighbouring atoms [nm]; by default estimated.")
    ] = None,
    min_distance: Annotated[
        float | None, typer.Option(metavar="NM", help="Of two closer atoms, keep one; by default half their distance.")
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out less probable atoms; by default the model's own limit."),
    ] = None,
    lattice_constant: Annotated[
        str | None,
        typer.Option(metavar="NM|MATERIAL", help="Cell edge [nm], or e.g. MoS2: gives the pixel size it demands."),
    ] = None,
    undistort: Annotated[bool, typer.Option("--undistort", help="Add positions on the regular lattice.")] = False,
    min_diameter: Annotated[
        float | None, typer.Option(metavar="NM", help="Of particles: leave out smaller ones; by default 4 pixels.")
    ] = None,
    contrast: Annotated[str, typer.Option(help="Atoms are bright, dark, or auto: the image says.")] = "auto",
    coverage: Annotated[
        float | None,
        typer.Option(help="Add the species that an atom may be, the right one among them in this share: 0.9, say."),
    ] = None,
    refine: Annotated[bool, typer.Option(help="Fit each atom in the measured image, for error bars.")] = True,
    method: Annotated[str, typer.Option(help="network, or classical (blobs, no training).")] = "network",
    memory: Annotated[
        str | None,
        typer.Option(metavar="1.5GB", help="Search by tiles or frames within so much memory; else only what is large."),
    ] = None,
    report: Annotated[
        bool, typer.Option(help="Draw overlay and report: of many small images that takes longer than the search.")
    ] = True,
    maps: Annotated[
        bool, typer.Option("--maps", help="Write what the network saw, the probability of each species, to maps.zarr.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Processes that search files at the same time.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A dask cluster, such as tcp://10.0.0.5:8786 or local:4, searches files, and parts of large ones. Its "
            "workers read the files by their names: put them where all machines see them.",
        ),
    ] = None,
    device: Device = "auto",
    again: Annotated[bool, typer.Option("--again", help="Do also what an earlier run has done into --out.")] = False,
    watch: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Search files as they come into a folder, until Ctrl-C.")
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Print where the time went.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the atoms (or particles) of images: tables, overlay, summary and report of each in its own folder."""
    from adatom.report.lines import finding_lines, particle_lines, profile_lines

    if what not in ("atoms", "particles"):
        raise typer.BadParameter("expected atoms or particles", param_hint="--what")
    of_atoms = {
        "--spacing": spacing,
        "--min-distance": min_distance,
        "--coverage": coverage,
        "--min-probability": min_probability,
        "--lattice-constant": lattice_constant,
        "--undistort": undistort or None,
        "--no-refine": None if refine else True,
        "--maps": maps or None,
        "--method": None if method == "network" else method,
        "--no-report": None if report else True,
    }
    unsuited = of_atoms if what == "particles" else {"--min-diameter": min_diameter}
    for option, value in unsuited.items():
        if value is not None:
            raise typer.BadParameter(f"is not for {what}", param_hint=option)
    if cluster is not None and jobs > 1:
        raise typer.BadParameter("is not for --cluster, which has workers of its own", param_hint="--jobs")
    if method not in ("network", "classical"):
        raise typer.BadParameter("expected network or classical", param_hint="--method")
    from adatom.distribute.file_search import FileSearch
    from adatom.distribute.many import Outcome, search_files
    from adatom.distribute.sources import files_of
    from adatom.distribute.watching import search_arrivals
    from adatom.finder import CONTRASTS
    from adatom.nets.device import choose_device

    chosen_contrast = next((each for each in CONTRASTS if each == contrast), None)
    if chosen_contrast is None:
        raise typer.BadParameter(f"expected one of {', '.join(CONTRASTS)}", param_hint="--contrast")
    if bool(files) == (watch is not None):
        raise typer.BadParameter("expected files, or a folder to --watch, one of both", param_hint="FILE...")
    if watch is not None and not watch.is_dir():
        raise typer.BadParameter(f"expected a folder, got {watch}", param_hint="--watch")
    memory_gb = None if memory is None else _gigabytes(memory)
    if cluster is None:
        choose_device(device)  # one that is not here is told before anything is read
    asked = FileSearch(
        what="particles" if what == "particles" else "atoms",
        channel=channel,
        frame=frame,
        pixel_size=pixel_size,
        model=model,
        method="classical" if method == "classical" else "network",
        spacing_nm=spacing,
        min_distance_nm=min_distance,
        min_probability=min_probability,
        refine=refine,
        lattice_constant_nm=lattice_constant,
        undistort=undistort,
        contrast=chosen_contrast,
        coverage=coverage,
        min_diameter_nm=min_diameter,
        memory_gb=memory_gb,
        report=report,
        maps=maps,
        device=device,
    )
    workers = None
    if cluster is not None:
        from adatom.cluster import open_cluster

        workers = context.with_resource(open_cluster(cluster))  # until the command ends
    lines_of = finding_lines if what == "atoms" else particle_lines
    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    latencies: list[float] = []

    def tell(outcome: Outcome, latency_s: float | None = None) -> None:
        if outcome.error is not None:
            if debug:
                raise outcome.error
            failed.append({"file": str(outcome.file), "error": sentence(outcome.error)})
            print(f"adatom: {outcome.file}: {sentence(outcome.error)}", file=sys.stderr)
            return
        assert outcome.summary is not None
        told = {**outcome.summary, "out": str(outcome.folder)}
        told |= {"was_done": True} if outcome.was_done else {}
        told |= {} if latency_s is None else {"latency_s": round(latency_s, 3)}
        results.append(told)
        if as_json:
            return
        if outcome.was_done:
            print_lines([f"{outcome.file.name}: done already, results in {outcome.folder} (--again does it anew)"])
            return
        lines = lines_of(outcome.file.name, outcome.summary, outcome.folder)
        if latency_s is not None:
            lines.append(f"  latency  {latency_s:.2f} s from the complete file to its results")
        if profile:
            lines += profile_lines(outcome.summary.get("profile"))
        print_lines(lines)

    if watch is not None:
        with suppress(KeyboardInterrupt):
            for arrived in search_arrivals(watch, out, asked, jobs=jobs, cluster=workers, again=again):
                tell(arrived.outcome, arrived.latency_s)
                latencies += [arrived.latency_s] if arrived.outcome.error is None else []
        if latencies and not as_json:
            middle, worst = median(latencies), max(latencies)
            print_lines([f"latency of {len(latencies)} files: median {middle:.2f} s, worst {worst:.2f} s"])
        sources = [watch]
    else:
        sources = files_of(files or [])
        if len(sources) == 1:
            with progress(f"finding {what}", 1) as advance:

                def parts_done(done: int, total: int, of: str) -> None:
                    advance(done, of, total)

                for outcome in search_files(sources, out, asked, cluster=workers, again=again, advance=parts_done):
                    tell(outcome)
        else:
            with progress(f"finding {what}", len(sources)) as advance:
                for number, outcome in enumerate(
                    search_files(sources, out, asked, jobs=jobs, cluster=workers, again=again)
                ):
                    advance(number + 1, outcome.file.name)
                    tell(outcome)
    write_run(out, {"files": [str(file) for file in sources], "failed": failed, "n_done": len(results)})
    if as_json:
        latency = {"median_s": round(median(latencies), 3), "worst_s": round(max(latencies), 3)} if latencies else None
        print_json({"results": results, "failed": failed, **({"latency": latency} if watch else {})})
    if failed:
        if len(sources) > 1:
            print(f"adatom: {len(failed)} of {len(sources)} files failed.", file=sys.stderr)
        raise typer.Exit(1)


def _gigabytes(text: str) -> float:
    """``1.5GB`` or ``800 MB`` in GB; a number alone counts GB."""
    number = text.strip().upper().removesuffix("B")
    scale = {"G": 1.0, "M": 1e-3}.get(number[-1:])
    try:
        value = float(number[:-1]) * scale if scale else float(number)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"expected a size such as 1.5GB, got {text}", param_hint="--memory")
    return value
