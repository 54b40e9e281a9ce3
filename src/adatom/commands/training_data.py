"""Recipes, and sets of images with known atoms."""

import os
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


@app.command(epilog="Example: adatom recipe structure.cif --zone-axis '1 1 0' --out mine.yaml")
def recipe(
    source: Annotated[
        str, typer.Argument(help="CIF, POSCAR or extended-XYZ file, a structure such as MoS2, or a recipe.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="File to make; by default the recipe is printed.")] = None,
    zone_axis: Annotated[
        str | None, typer.Option(metavar="'U V W'", help="Direction of the beam in the cell, for a structure.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a recipe, to be edited and given to simulate and train; of a structure, one with wide ranges."""
    from adatom.data.atomic_file import write_atomically
    from adatom.errors import ArgumentError
    from adatom.models.recipe import load_recipe
    from adatom.models.starting_recipe import is_structure, starting_recipe

    if zone_axis is None:
        text = load_recipe(source).to_yaml()
    else:
        axis = _three_whole_numbers(zone_axis)
        if not is_structure(source):
            raise typer.BadParameter("expected a structure beside it", param_hint="--zone-axis")
        text = starting_recipe(source, axis).to_yaml()
    if out is None:
        print(text, end="")
        return
    if out.exists():
        raise ArgumentError(f"out: expected a file that is not there yet, got {out}. Choose another name.")
    write_atomically(out, text)
    print(f"{out}: edit what you know better, then adatom train {out} --out my-model")


def _three_whole_numbers(text: str) -> tuple[int, int, int]:
    try:
        u, v, w = (int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise typer.BadParameter("expected three whole numbers such as '1 1 0'", param_hint="--zone-axis") from None
    return u, v, w


@app.command(epilog="Example: adatom simulate si111_7x7 --n 64 --out si.zarr --like scan.sxm")
def simulate(
    recipe: Annotated[str, typer.Argument(help="YAML file, or the name of a recipe that ships.")],
    n: Annotated[int, typer.Option("--n", min=2, help="Number of images.")],
    out: Annotated[Path, typer.Option("--out", help="Store to make, a folder ending in .zarr by custom.")],
    like: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Match the recipe to this image first; writes match.yaml, .json, .png."),
    ] = None,
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same images.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that draw them; all processors by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a store that was interrupted, or make it longer.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Simulate images with known atoms, as a training or test set; with --like, images like yours."""
    from adatom.data.training_store import check_store_is_free
    from adatom.models.recipe import load_recipe
    from adatom.models.simulated_set import write_simulated_set

    if not resume:
        check_store_is_free(out)
    chosen, facts = load_recipe(recipe), {}
    if like is not None:
        from adatom.files import read
        from adatom.matching import match
        from adatom.report.lines import match_lines
        from adatom.report.match_figure import write_match

        image = read(like, channel=channel, frame=frame, pixel_size=pixel_size)
        matched = match(image, chosen, seed=seed)
        chosen, facts = matched.recipe, {"match": matched.summary()}
        write_match(out.parent, chosen.to_yaml(), facts["match"], matched.crops())
        if not as_json:
            print_lines(match_lines(like.name, facts["match"], out.parent))
    with progress("simulating", n) as advance:
        n_atoms = write_simulated_set(
            chosen,
            out,
            n=n,
            seed=seed,
            jobs=jobs or os.cpu_count() or 1,
            resume=resume,
            command=command_line(),
            on_image=lambda done: advance(done, ""),
        )
    sheet = _draw_contact_sheet(out)
    if as_json:
        told = {"store": str(out), "sheet": str(sheet), "n_images": n, "n_atoms": n_atoms, "seed": seed}
        print_json({**told, **facts})
    else:
        print(f"{out}: {n} images with {n_atoms} known atoms (seed {seed}); see {sheet}")


def _draw_contact_sheet(store: Path) -> Path:
    from adatom.data.atomic_file import write_atomically
    from adatom.data.training_set import open_training_set
    from adatom.report import draw_contact_sheet, figure_png

    sheet = store.with_name(f"{store.stem}.samples.png")
    write_atomically(sheet, figure_png(draw_contact_sheet(open_training_set(store))))
    return sheet


@app.command(epilog="Example: adatom label scan.sxm atoms.csv --out own.zarr")
def label(
    pairs: Annotated[
        list[Path],
        typer.Argument(metavar="FILE ATOMS...", help="Image and table of its atoms (CSV or .xyz); more pairs."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Store to make, a folder ending in .zarr by custom.")],
    n: Annotated[int, typer.Option("--n", min=4, help="Number of crops.")] = 200,
    crop: Annotated[
        int | None, typer.Option(min=16, metavar="PX", help="Side of a crop; by default 128 or a third of the image.")
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(
            metavar="NM", help="Radius of an atom's mask [nm, or px without calibration]; by default estimated."
        ),
    ] = None,
    class_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of the classes; by default species, if there is one.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Names of the classes in order; by default sorted.")
    ] = None,
    validation: Annotated[float, typer.Option(help="Share of each image and of the crops for validation.")] = 0.2,
    augmentation: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="Augment crops as this recipe says; by default moderately.")
    ] = None,
    in_pixels: Annotated[
        bool | None,
        typer.Option("--in-pixels/--in-nm", help="What tables count; by default pixels if X and Y, else nm."),
    ] = None,
    swap_xy: Annotated[bool, typer.Option("--swap-xy", help="Tables have x and y the other way round.")] = False,
    flip_y: Annotated[bool, typer.Option("--flip-y", help="Tables count y upwards.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take positions as they are, wherever they seem to be.")
    ] = False,
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same crops.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a training set of images whose atoms you know, all of them: augmented crops, split by region."""
    from adatom.files import read
    from adatom.files.marks import read_marks
    from adatom.models.labelled_set import Cropping, write_labelled_set
    from adatom.models.recipe import load_learning
    from adatom.report.lines import labelled_lines

    if len(pairs) % 2:
        raise typer.BadParameter("expected a table of atoms after each image", param_hint="FILE ATOMS...")
    images = [read(file, channel=channel, frame=frame, pixel_size=pixel_size) for file in pairs[::2]]
    tables = [
        read_marks(path, image, in_pixels=in_pixels, class_column=class_column, swap_xy=swap_xy, flip_y=flip_y)
        for path, image in zip(pairs[1::2], images, strict=True)
    ]
    cropping = Cropping.of(n=n, crop_px=crop, validation=validation, radius_nm=radius, seed=seed)
    if augmentation is not None:
        chosen = load_learning(augmentation).augmentation
        if chosen is None:
            raise typer.BadParameter(f"expected a block augmentation in {augmentation}", param_hint="--augmentation")
        cropping = cropping.model_copy(update={"augmentation": chosen})
    with progress("cutting", n) as advance:
        labelled = write_labelled_set(
            images,
            tables,
            out,
            cropping=cropping,
            classes=[name.strip() for name in classes.split(",")] if classes else None,
            force=force,
            command=command_line(),
            on_image=lambda done: advance(done, ""),
        )
    sheet = _draw_contact_sheet(out)
    if as_json:
        print_json({"store": str(out), "sheet": str(sheet), **labelled.as_dict()})
    else:
        print_lines(labelled_lines(out, sheet, labelled.as_dict()))
