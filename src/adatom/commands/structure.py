"""Structures made of atom tables."""

import sys
from pathlib import Path
from typing import Annotated

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

    Beside NAME.xyz it writes NAME_structure.json (what was done, measured and warned of), and with --image
    NAME_against_image.png (measured, simulated, residual) and NAME_contradicted.csv (what the image contradicts), both
    of the structure before it is relaxed.
    """
    from adatom.errors import ArgumentError
    from adatom.files.atom_table import read_atoms
    from adatom.report.structure_lines import structure_lines
    from adatom.structures import atoms_to_structure, write_structure
    from adatom.structures import relax as relax_structure
    from adatom.structures.elements import read_elements
    from adatom.structures.summary import beside, write_beside
    from adatom.structures.writing import structure_format

    structure_format(out)  # before long work
    if leave_out_unseen and image is None:
        raise typer.BadParameter("expected an image, give --image FILE", param_hint="--leave-out-unseen")
    taken = {each.resolve() for each in (out, *beside(out))}
    if any(source is not None and source.resolve() in taken for source in (atoms, image)):
        raise ArgumentError(f"out: expected a name that replaces no input, got {str(out)!r}. Choose another.")
    table = read_atoms(atoms, pixel_size_nm=pixel_size)
    made = atoms_to_structure(
        table,
        elements=read_elements(elements or []),
        template=template,
        thickness_nm=thickness,
        vacuum_nm=vacuum,
        frame=frame,
    )
    shown, comparison, relaxation, relaxed_comparison = None, None, None, None
    if image is not None:
        from adatom.files import read
        from adatom.structures import compare_with_image, without_unseen

        # places in nm are by the pixel size that the table knows, whatever the image's file says
        shown = read(image, channel=channel, frame=frame, pixel_size=table.attrs["pixel_size"])
        shown = shown if shown.ndim == 2 else shown.isel(frame=0)
        comparison = compare_with_image(made, shown)
        if leave_out_unseen and len(comparison.unseen):
            made = without_unseen(made, comparison)
            comparison = compare_with_image(made, shown)
    if relax is not None:
        with progress("relaxing", max_steps) as advance:
            relaxation = relax_structure(
                made, relax, max_force=max_force, max_steps=max_steps, hold_nm=hold, on_step=advance
            )
        made = relaxation.structure
        if shown is not None:
            relaxed_comparison = compare_with_image(made, shown)
    write_structure(made, out)
    facts, written = write_beside(out, made, relaxation, comparison, relaxed_comparison, command=command_line())
    if as_json:
        print_json(facts)
    else:
        print_lines(structure_lines(out, facts, [out, *written]))
    if relaxation is not None and relaxation.stopped:
        print(f"adatom: relaxing ended early ({relaxation.stopped}); the best so far was written.", file=sys.stderr)
        raise typer.Exit(1)
