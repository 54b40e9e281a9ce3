"""From atoms to findings."""

from pathlib import Path
from typing import Annotated

import typer

from adatom.commands.terminal import Channel, Debug, Frame, Json, Out, app, print_json, print_lines, write_run


@app.command(epilog="Example: adatom analyse results/scan/atoms.csv --image scan.sxm --out findings")
def analyse(
    atoms: Annotated[Path, typer.Argument(help="Table of `adatom find` (CSV or parquet), or its folder.")],
    out: Out,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Image that they were found in, to draw on.")
    ] = None,
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: Annotated[
        float | None, typer.Option(metavar="NM", help="Size of a pixel [nm], where the table counts pixels.")
    ] = None,
    cutoff: Annotated[
        float | None,
        typer.Option(
            metavar="NM", help="Longest bond, in the table's unit; by default between first and second shell."
        ),
    ] = None,
    lattice_constant: Annotated[
        str | None,
        typer.Option(
            metavar="NM|MATERIAL", help="Edge of the cell without strain, or e.g. MoS2; by default the image's mean."
        ),
    ] = None,
    motifs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML list of small graphs to look for: name, species, bonds.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Neighbours, lattice, strain, grains, rings and defects of found atoms: tables, figures and a page."""
    from adatom.analyse import read_lattice_constant
    from adatom.analyse.motifs import read_motifs
    from adatom.analyser import analyse_atoms
    from adatom.files import read
    from adatom.files.atom_table import read_atoms
    from adatom.report import write_analysis
    from adatom.report.lines import analysis_lines

    table = read_atoms(atoms, pixel_size_nm=pixel_size)
    number = 0 if frame is None else frame
    chosen = table[table["frame"] == number]
    chosen.attrs = table.attrs
    shown = None
    if image is not None:
        size = table.attrs["pixel_size"]
        one = size[1] if size is not None and abs(size[0] / size[1] - 1) < 1e-6 else None
        shown = read(image, channel=channel, pixel_size=one)
        shown = shown.isel(frame=number) if "frame" in shown.dims else shown
    found = analyse_atoms(
        chosen,
        cutoff=cutoff,
        lattice_constant=None if lattice_constant is None else read_lattice_constant(lattice_constant),
        motifs=() if motifs is None else read_motifs(motifs),
    )
    if table["frame"].nunique() > 1:
        found.summary["warnings"] = [
            f"Of {table['frame'].nunique()} frames, only frame {number} was analysed (--frame)."
        ]
    write_analysis(out, found, shown, title=atoms.name)
    write_run(out, {"atoms": str(atoms), "image": None if image is None else str(image)})
    if as_json:
        print_json(found.summary)
        return
    print_lines(analysis_lines(atoms.name, found.summary, out))
