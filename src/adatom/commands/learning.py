"""Models: trained, adapted, measured, listed."""

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
    write_run,
)


@app.command(epilog="Example: adatom train si111_7x7 --out my-model")
def train(
    recipe: Annotated[str, typer.Argument(help="YAML file, or the name of a recipe that ships.")],
    out: Out,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's number of steps.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the recipe's seed.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="STORE", help="Learn from this training set, not from the recipe's images."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model on simulated images or a stored set: model file, loss curve, samples of what it was shown."""
    from adatom.models.recipe import load_learning, load_recipe
    from adatom.models.training_run import change_training, train_model
    from adatom.report.lines import progress_line

    read_recipe = load_recipe if data is None else load_learning
    chosen = change_training(read_recipe(recipe), steps=steps, seed=seed)
    with progress(f"training {chosen.name}", chosen.training.steps) as advance:

        def show(record: dict[str, Any]) -> None:
            advance(record["step"], f"loss {record['loss']:.3f}")
            if "val_loss" in record and not as_json:
                print(progress_line(record), flush=True)

        model = train_model(chosen, out, data=data, resume=resume, device=device, on_record=show)
    draw_training(out, model)
    learned_from = {} if data is None else {"data": str(data)}
    write_run(out, {"recipe": chosen.name, **learned_from, "seed": chosen.training.seed, "figures": model.figures_})
    if as_json:
        print_json({"model": str(out / "model.safetensors"), "figures": model.figures_})
    else:
        figure = ("IoU", "val_iou") if model.is_of_regions else ("F1", "val_f1")
        reached = f"{figure[0]} {model.figures_[figure[1]]:.3f}"
        print(f"{out}/model.safetensors: {reached} on validation images; see loss.png, samples.png")


def draw_training(out: Path, model: Any) -> None:
    """Loss curve and samples of what it was shown."""
    from adatom.data.atomic_file import write_atomically
    from adatom.report import draw_loss, draw_samples, figure_png

    images, labels = model.training_samples(6)
    write_atomically(out / "loss.png", figure_png(draw_loss(model.history_)))
    background = "none of them" if model.is_of_regions else "no atom"
    samples = draw_samples(images, labels, model.classes_, background=background)
    write_atomically(out / "samples.png", figure_png(samples))


@app.command(epilog="Example: adatom adapt single_atoms scan.tif --atoms marks.csv --out my-model")
def adapt(
    model: Annotated[str, typer.Argument(help="Model file, or the name of one that ships; a Localizer.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Images in which you marked atoms.")],
    atoms: Annotated[
        list[Path],
        typer.Option("--atoms", help="Table of the marked atoms (CSV: x and y, or X and Y), one for each FILE."),
    ],
    out: Out,
    in_pixels: Annotated[
        bool | None,
        typer.Option("--in-pixels/--in-nm", help="What marks count; by default pixels if X and Y, else nm."),
    ] = None,
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the training.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same model.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Teach a model your images from atoms marked in them, which need not be all; writes DIR/model.safetensors."""
    from adatom.files import read
    from adatom.files.marks import read_marks
    from adatom.models import Localizer, load
    from adatom.models.adapting import adapt as adapt_model

    if len(atoms) != len(files):
        raise typer.BadParameter(f"expected one table for each of {len(files)} files", param_hint="--atoms")
    known = load(model)
    if not isinstance(known, Localizer):
        raise typer.BadParameter(f"expected a Localizer, {model} is a {type(known).__name__}", param_hint="MODEL")
    images = [read(file, channel=channel, frame=frame, pixel_size=pixel_size) for file in files]
    marks = [read_marks(path, image, in_pixels=in_pixels) for path, image in zip(atoms, images, strict=True)]
    with progress("adapting", steps) as advance:
        adapted, learned = adapt_model(
            known,
            images,
            marks,
            steps=steps,
            seed=seed,
            on_record=lambda record: advance(record["step"], f"loss {record['loss']:.3f}"),
        )
    path = out / "model.safetensors"
    out.mkdir(parents=True, exist_ok=True)
    adapted.save(path)
    facts = {
        "model": str(path),
        "n_marks": learned.n_marks,
        "n_found_before": learned.n_found_before,
        "completeness": [round(share, 3) for share in learned.completeness],
        "share_kept": round(learned.share_kept, 3),
    }
    write_run(out, {"adapted": model, "files": [str(file) for file in files], "seed": seed, **facts})
    if as_json:
        print_json(facts)
        return
    shares = ", ".join(f"{100 * share:.0f} %" for share in learned.completeness)
    print(f"{path}: learned {learned.n_marks} marked atoms, {learned.n_found_before} of which it had seen before")
    print(f"  marked were, as far as it could tell, {shares} of the atoms; what was not marked is not taken for empty")
    print(f"  {100 * learned.share_kept:.0f} % of the change is kept: more, the more marks and the stranger the images")


@app.command(epilog="Example: adatom evaluate si111_7x7 si.zarr")
def evaluate(
    model: Annotated[str, typer.Argument(help="Model file, or the name of one that ships.")],
    store: Annotated[Path, typer.Argument(help="Images with known atoms, as `adatom simulate` makes them.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a model against known atoms; of a store that is split, on the images for validation."""
    from adatom.data.training_set import open_training_set, validation_part
    from adatom.models import load
    from adatom.models.evaluation import evaluate_model
    from adatom.report.lines import figure_lines

    data = validation_part(open_training_set(store))
    with progress("evaluating", data.sizes["sample"]) as advance:
        loaded = load(model)
        figures = evaluate_model(loaded, data, on_image=lambda done: advance(done, ""))
    if as_json:
        print_json(figures)
        return
    print_lines(figure_lines(figures, loaded.classes_))


@app.command(epilog="Example: adatom models")
def models(as_json: Json = False, debug: Debug = False) -> None:
    """List the models that ship, with the figures they reached."""
    from adatom.models.catalogue import read_header, shipped_models

    rows = []
    for name, path in shipped_models().items():
        header = read_header(path)
        rows.append(
            {
                "name": name,
                "kind": header["kind"],
                "description": header["description"],
                "classes": header["classes"],
                "figures": header["figures"],
                "megabytes": round(path.stat().st_size / 1e6, 2),
                "licence": header["licence"],
            }
        )
    if as_json:
        print_json({"models": rows})
        return
    for row in rows:
        figures = row["figures"]
        print(f"{row['name']} ({row['megabytes']} MB, {row['licence']}): {row['description']}")
        print(
            f"  {row['kind']}, classes {', '.join(row['classes'])}; on simulated validation images F1 "
            f"{figures['val_f1']:.3f}, position error {figures['val_position_rms_px']:.2f} working px"
        )
