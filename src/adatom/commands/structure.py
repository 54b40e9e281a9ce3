"""Structures made of atom tables."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from adatom.commands.terminal import (
    Channel,
    Debug,
    Frame,
    Json,
    PixelSize,
    app,
    command_line,
    print_json,
    print_lines,
    progress,
)


@app.command(epilog="Example: adatom structure results/scan/atoms.csv --relax tersoff --image scan.sxm --out scan.xyz")
def structure(
    atoms: Annotated[Path, typer.Argument(metavar="ATOMS", help="Table that adatom find wrote, or its folder.")],
    out: Annotated[Path, typer.Option("--out", help="POSCAR (or .vasp), .cif, or .xyz (extended XYZ).")],
    elements: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FORMULA", help="Atoms in the columns of a species: A=Mo,B=S2,hole=none."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(metavar="CRYSTAL", help="Tells heights: MoS2, 'Au [110]', or a structure file; else flat."),
    ] = None,
    thickness: Annotated[
        float | None, typer.Option(metavar="NM", help="Of a crystal whose columns repeat along the beam [nm].")
    ] = None,
    vacuum: Annotated[float, typer.Option(metavar="NM", help="Around the atoms, on each side [nm].")] = 1.0,
    pixel_size: PixelSize = None,
    frame: Frame = None,
    relax: Annotated[
        str | None,
        typer.Option(metavar="CALCULATOR", help="tersoff (C, Si, Ge), emt (metals), or one of ase's."),
    ] = None,
    max_force: Annotated[float, typer.Option(metavar="EV/A", help="On an atom, at which relaxing ends.")] = 0.02,
    max_steps: Annotated[int, typer.Option(min=1, help="Of relaxing.")] = 500,
    hold: Annotated[
        float, typer.Option(metavar="NM", help="Atoms nearer to the image's border do not move [nm].")
    ] = 0.3,
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="Simulate it, and set it against this image.")
    ] = None,
    channel: Channel = None,
    leave_out_unseen: Annotated[
        bool, typer.Option("--leave-out-unseen", help="Leave out atoms of which that image shows next to nothing.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a structure of the atoms of an image: a file for simulations, relaxed and set against the image if asked.

    Beside FILE it writes FILE's name with .json (what was done, measured and warned of), and with --image _image.png
    (measured, simulated, residual) and _contradicted.csv (what the image contradicts), of the structure as found.
    """
    from adatom.errors import ArgumentError
    from adatom.files.atom_table import read_atoms
    from adatom.report.structure_lines import structure_lines
    from adatom.structures import atoms_to_structure, compare_with_image, without_unseen, write_structure
    from adatom.structures import relax as relax_structure
    from adatom.structures.elements import read_elements
    from adatom.structures.summary import write_beside
    from adatom.structures.writing import structure_format

    structure_format(out)  # before long work
    for source in (atoms, image):
        if source is not None and out.exists() and source.exists() and out.resolve() == source.resolve():
            raise ArgumentError(f"out: expected another file than the input, got {str(out)!r}. Choose another name.")
    table = read_atoms(atoms, pixel_size_nm=_needed(atoms, pixel_size))
    made = atoms_to_structure(
        table,
        elements=read_elements(elements or []),
        template=template,
        thickness_nm=thickness,
        vacuum_nm=vacuum,
        frame=frame,
    )
    shown = None if image is None else _read_still(image, channel, frame, pixel_size)
    comparison = None if shown is None else compare_with_image(made, shown)
    if leave_out_unseen:
        if comparison is None:
            raise typer.BadParameter("expected an image, give --image FILE", param_hint="--leave-out-unseen")
        made = without_unseen(made, comparison)
    relaxation, relaxed_comparison = None, None
    if relax is not None:
        with progress("relaxing", max_steps) as advance:
            relaxation = relax_structure(
                made, relax, max_force=max_force, max_steps=max_steps, hold_nm=hold, on_step=advance
            )
        made = relaxation.structure
        relaxed_comparison = None if shown is None else compare_with_image(made, shown)
    write_structure(made, out)
    facts, written = write_beside(out, made, relaxation, comparison, relaxed_comparison, command=command_line())
    if as_json:
        print_json(facts)
    else:
        print_lines(structure_lines(out, facts, [out, *written]))
    if relaxation is not None and relaxation.stopped:
        print(f"adatom: relaxing ended early ({relaxation.stopped}); the best so far was written.", file=sys.stderr)
        raise typer.Exit(1)


def _needed(atoms: Path, pixel_size: float | None) -> float | None:
    """The pixel size, if the table is in px: it may have been given for the image alone."""
    from adatom.files.atom_table import read_atoms

    if pixel_size is None or read_atoms(atoms).attrs["units"] == "nm":
        return None
    return pixel_size


def _read_still(image: Path, channel: str | None, frame: int | None, pixel_size: float | None) -> Any:
    from adatom.files import read

    shown = read(image, channel=channel, frame=frame, pixel_size=pixel_size)
    return shown if shown.ndim == 2 else shown.isel(frame=0)
