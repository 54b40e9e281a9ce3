"""The main job: the atoms of images, or their particles."""

import sys
import time
from contextlib import suppress
from pathlib import Path
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
        typer.Option(metavar="1.5GB", help="Search by tiles within so much memory; by default only large images."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Processes that search files at the same time.")] = 1,
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
        "--method": None if method == "network" else method,
    }
    unsuited = of_atoms if what == "particles" else {"--min-diameter": min_diameter}
    for option, value in unsuited.items():
        if value is not None:
            raise typer.BadParameter(f"is not for {what}", param_hint=option)
    if method not in ("network", "classical"):
        raise typer.BadParameter("expected network or classical", param_hint="--method")
    from adatom.distribute.file_search import FileSearch
    from adatom.distribute.many import Outcome, search_files
    from adatom.distribute.sources import files_of, watched
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
    choose_device(device)
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
        device=device,
    )
    lines_of = finding_lines if what == "atoms" else particle_lines
    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []

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
            for file, complete in watched(watch):
                for outcome in search_files([file], out, asked, again=again):
                    if not outcome.was_done:
                        tell(outcome, time.monotonic() - complete)
        sources = [watch]
    else:
        sources = files_of(files or [])
        if len(sources) == 1:
            with progress(f"finding {what}", 1) as advance:

                def tiles_done(done: int, total: int) -> None:
                    advance(done, "tiles", total)

                for outcome in search_files(sources, out, asked, again=again, advance=tiles_done):
                    tell(outcome)
        else:
            with progress(f"finding {what}", len(sources)) as advance:
                for number, outcome in enumerate(search_files(sources, out, asked, jobs=jobs, again=again)):
                    advance(number + 1, outcome.file.name)
                    tell(outcome)
    write_run(out, {"files": [str(file) for file in sources], "failed": failed, "n_done": len(results)})
    if as_json:
        print_json({"results": results, "failed": failed})
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
