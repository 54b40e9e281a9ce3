"""The main job: the atoms of images, or their particles."""

import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from adatom.commands.terminal import (
    Channel,
    Debug,
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
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    out: Out,
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
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the atoms (or particles) of images: tables, overlay, summary and report of each in its own folder."""
    from adatom.report import result_folders
    from adatom.report.lines import finding_lines, particle_lines

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
    from adatom.files import read
    from adatom.finder import CONTRASTS, search

    chosen_contrast = next((each for each in CONTRASTS if each == contrast), None)
    if chosen_contrast is None:
        raise typer.BadParameter(f"expected one of {', '.join(CONTRASTS)}", param_hint="--contrast")
    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []

    def search_for_atoms(file: Path) -> Callable[[Path], dict[str, Any]]:
        finding = search(
            read(file, channel=channel, frame=frame, pixel_size=pixel_size),
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
        )
        finding.summary["file"] = file.name

        def write(folder: Path) -> dict[str, Any]:
            from adatom.report import write_results

            write_results(folder, finding.image, finding.atoms, finding.maps, finding.summary, finding.doubts)
            return finding.summary

        return write

    def search_for_particles(file: Path) -> Callable[[Path], dict[str, Any]]:
        from adatom.particle_finder import find_particles
        from adatom.report import write_particle_results

        found = find_particles(
            read(file, channel=channel, frame=frame, pixel_size=pixel_size),
            model=model,
            contrast=chosen_contrast,
            min_diameter_nm=min_diameter,
        )
        found.summary["file"] = file.name

        def write(folder: Path) -> dict[str, Any]:
            write_particle_results(folder, found.image, found.particles, found.instances, found.sizes, found.summary)
            return found.summary

        return write

    search_file = search_for_atoms if what == "atoms" else search_for_particles
    lines_of = finding_lines if what == "atoms" else particle_lines

    def tell(file: Path, folder: Path, written: Future[dict[str, Any]]) -> None:
        try:
            summary = written.result()
        except Exception as error:  # one bad file must not stop the others
            if debug:
                raise
            failed.append({"file": str(file), "error": sentence(error)})
            print(f"adatom: {file}: {sentence(error)}", file=sys.stderr)
            return
        results.append({**summary, "out": str(folder)})
        if not as_json:
            print_lines(lines_of(file.name, summary, folder))

    # the results of a file are drawn and written while the atoms of the next are looked for
    with progress(f"finding {what}", len(files)) as advance, ThreadPoolExecutor(max_workers=1) as pool:
        under_way: list[tuple[Path, Path, Future[dict[str, Any]]]] = []
        for number, (file, folder) in enumerate(zip(files, result_folders(files, out), strict=True)):
            advance(number, file.name)
            try:
                written = pool.submit(search_file(file), folder)
            except Exception as error:
                written = Future()
                written.set_exception(error)
            if under_way:
                tell(*under_way.pop())
            under_way.append((file, folder, written))
        tell(*under_way.pop())
        advance(len(files), "")
    write_run(out, {"files": [str(file) for file in files], "failed": failed, "n_done": len(results)})
    if as_json:
        print_json({"results": results, "failed": failed})
    if failed:
        if len(files) > 1:
            print(f"adatom: {len(failed)} of {len(files)} files failed.", file=sys.stderr)
        raise typer.Exit(1)
