"""From atoms to findings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from adatom.commands.terminal import Channel, Debug, Frame, Json, Out, app, print_json, print_lines, write_run

_LIKELIER_THAN_NOT = 0.5


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
    domains: Annotated[
        bool, typer.Option("--domains", help="Group atoms by their surroundings (PCA, mixture); wants --image.")
    ] = False,
    patch: Annotated[
        float | None,
        typer.Option(
            metavar="NM",
            help="Side of the patch of the image that describes an atom, for --domains; by "
            "default the vectors to its neighbours do.",
        ),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(help="Species whose atoms are told how far they are off the centre of --to atoms, and grouped."),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Species of the neighbours that count for --of.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Neighbours, lattice, strain, grains, rings and defects of found atoms; of a movie, what comes, goes and hops:
    tables, figures and a page.
    """
    from adatom.analyse import read_lattice_constant
    from adatom.analyse.distortions import find_distortions
    from adatom.analyse.motifs import read_motifs
    from adatom.analyse.movie import analyse_movie
    from adatom.analyser import analyse_atoms, image_box
    from adatom.files import read
    from adatom.files.atom_table import read_atoms
    from adatom.report import write_analysis, write_distortions
    from adatom.report.lines import analysis_lines

    if domains and image is None:
        raise typer.BadParameter("expected the image of the atoms beside it", param_hint="--domains")
    if not domains and patch is not None:
        raise typer.BadParameter("expected --domains beside --patch", param_hint="--domains")
    table = read_atoms(atoms, pixel_size_nm=pixel_size)
    number = 0 if frame is None else frame
    doubtful = table["probability"] < _LIKELIER_THAN_NOT
    chosen = table[(table["frame"] == number) & ~doubtful]
    chosen.attrs = table.attrs
    picture = None if image is None else read(image, channel=channel, pixel_size=_one(table.attrs["pixel_size"]))
    is_movie = picture is not None and "frame" in picture.dims
    still = picture.isel(frame=number) if picture is not None and is_movie else picture
    chosen = _named(chosen, of, to)
    found = analyse_atoms(
        chosen,
        image=still,
        off_centre_of=(of, to) if of is not None and to is not None and of != to else None,
        cutoff=cutoff,
        lattice_constant=None if lattice_constant is None else read_lattice_constant(lattice_constant),
        motifs=() if motifs is None else read_motifs(motifs),
    )
    movie, warnings = None, list[str]()
    if len(set(table["frame"])) > 1:
        movie = analyse_movie(table, image_box(table))
        found.summary["movie"] = movie.summary
        warnings.append(
            f"Of {movie.summary['n_frames']} frames, all but events are of frame {number} (--frame chooses another)."
        )
    if doubtful.any():
        told = "but for events" if movie is not None else "here"
        warnings.append(f"{int(doubtful.sum())} atoms less likely than not are left out {told}.")
    found.summary["warnings"] = warnings
    if domains and still is not None:
        grouped = find_distortions(chosen, still if patch is not None else None, patch=patch, of=of, to=to)
        write_distortions(out, grouped, still)
        found.summary["domains"] = {"n_kinds": len(grouped.kinds.weights), "n_domains": len(grouped.domains.table)}
    write_analysis(
        out,
        found,
        still,
        title=atoms.name,
        movie=movie,
        frames=picture if is_movie else None,
    )
    write_run(out, {"atoms": str(atoms), "image": None if image is None else str(image)})
    if as_json:
        print_json(found.summary)
        return
    print_lines(analysis_lines(atoms.name, found.summary, out))


def _named(atoms: Any, of: str | None, to: str | None) -> Any:
    """Atoms with the names of their brightness for species, where these are asked for and are no species."""
    asked = {name for name in (of, to) if name is not None}
    if not asked or asked <= set(atoms["species"]) or "brightness" not in atoms:
        return atoms
    renamed = atoms.assign(species=atoms["brightness"])
    renamed.attrs = atoms.attrs
    return renamed


def _one(size: tuple[float, float] | None) -> float | None:
    """The pixel size where both axes have the same."""
    return size[1] if size is not None and abs(size[0] / size[1] - 1) < 1e-6 else None
