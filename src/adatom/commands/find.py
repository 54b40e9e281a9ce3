"""The main job: the atoms of images."""

import sys
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
    model: Annotated[
        str | None, typer.Option(help="Name of a model that ships (adatom models), or a file; by default any_atoms.")
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
    """Find the atoms of images: tables, overlay, summary and report of each in its own folder."""
    from adatom.report import result_folders, write_results
    from adatom.report.lines import finding_lines

    if method not in ("network", "classical"):
        raise typer.BadParameter("expected network or classical", param_hint="--method")
    from adatom.files import read
    from adatom.finder import CONTRASTS, Finding, search

    chosen_contrast = next((each for each in CONTRASTS if each == contrast), None)
    if chosen_contrast is None:
        raise typer.BadParameter(f"expected one of {', '.join(CONTRASTS)}", param_hint="--contrast")
    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []

    def search_file(file: Path) -> Finding:
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
        return finding

    def write(folder: Path, finding: Finding) -> dict[str, Any]:
        write_results(folder, finding.image, finding.atoms, finding.maps, finding.summary, finding.doubts)
        return finding.summary

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
            print_lines(finding_lines(file.name, summary, folder))

    # the results of a file are drawn and written while the atoms of the next are looked for
    with progress("finding atoms", len(files)) as advance, ThreadPoolExecutor(max_workers=1) as pool:
        under_way: list[tuple[Path, Path, Future[dict[str, Any]]]] = []
        for number, (file, folder) in enumerate(zip(files, result_folders(files, out), strict=True)):
            advance(number, file.name)
            try:
                written = pool.submit(write, folder, search_file(file))
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
