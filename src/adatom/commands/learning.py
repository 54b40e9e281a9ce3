"""Models: trained, adapted, measured, listed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    write_run,
)

# At which sets of species are judged in the picture of a training.
_COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

if TYPE_CHECKING:
    from adatom.models.training_run import Members


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
    members: Annotated[
        int | None, typer.Option(min=1, help="Train an ensemble of so many models; one file holds them all.")
    ] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(help="Kind of the ensemble: seeds (default), trunk, swag, or symmetry (one model, eight sides)."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Members trained at a time, each in a process of its own.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A dask cluster, such as tcp://10.0.0.5:8786 or local:4, trains members."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    device: Device = "auto",
    devices: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Train on so many GPUs (or processes) of this machine together; torchrun does so on several machines.",
        ),
    ] = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model on simulated images or a stored set: model file, loss curve, samples of what it was shown."""
    from adatom.models.recipe import load_learning, load_recipe
    from adatom.models.training_run import change_training, n_steps, train_model
    from adatom.report.lines import progress_line
    from adatom.train.launcher import end_with_parent
    from adatom.train.several_devices import leads

    end_with_parent()
    read_recipe = load_recipe if data is None else load_learning
    chosen = change_training(read_recipe(recipe), steps=steps, seed=seed)
    wanted = _members(members, ensemble, jobs, cluster)
    if devices > 1 and _is_done_by_several(devices, chosen.training.batch_size, wanted):
        return
    with progress(f"training {chosen.name}", n_steps(chosen.training, wanted)) as advance:
        reached: dict[str, int] = {}  # step of each member

        def show(record: dict[str, Any]) -> None:
            member = record.get("member", "")
            reached[member] = record["step"]
            advance(sum(reached.values()), f"{member} loss {record['loss']:.3f}".strip())
            if "val_loss" in record and not as_json:
                print(f"{member}: {progress_line(record)}" if member else progress_line(record), flush=True)

        model = train_model(chosen, out, data=data, members=wanted, resume=resume, device=device, on_record=show)
    if not leads():
        return
    draw_training(out, model)
    learned_from = {} if data is None else {"data": str(data)}
    write_run(out, {"recipe": chosen.name, **learned_from, "seed": chosen.training.seed, "figures": model.figures_})
    if as_json:
        print_json({"model": str(out / "model.safetensors"), "figures": model.figures_})
    else:
        measure, figure = ("IoU", "val_iou") if model.is_of_regions else ("F1", "val_f1")
        told = f"{measure} {model.figures_[figure]:.3f}"
        print(f"{out}/model.safetensors: {told} on validation images; see loss.png, samples.png")


def _is_done_by_several(devices: int, batch_size: int, members: "Members | None") -> bool:
    """Run this command as several processes, unless this is one of them already."""
    from adatom.train.launcher import run_on_devices
    from adatom.train.several_devices import n_processes

    if members is not None:
        raise typer.BadParameter("is not for ensembles, which have --jobs and --cluster", param_hint="--devices")
    if devices > batch_size:
        raise typer.BadParameter(f"expected at most the batch size, {batch_size}", param_hint="--devices")
    if n_processes() > 1:
        if devices != n_processes():
            raise typer.BadParameter(f"expected the {n_processes()} of torchrun, or none", param_hint="--devices")
        return False
    code = run_on_devices(devices, [sys.executable, "-m", "adatom", *sys.argv[1:]])
    if code:
        raise typer.Exit(code)
    return True


def _members(n: int | None, kind: str | None, jobs: int, cluster: str | None) -> "Members | None":
    """The ensemble that the options ask for, if they do."""
    from adatom.models.ensemble_training import KINDS
    from adatom.models.training_run import Members

    if n is None and kind != "symmetry":
        if kind is not None or jobs > 1 or cluster is not None:
            raise typer.BadParameter("expected how many members the ensemble has", param_hint="--members")
        return None
    chosen = next((each for each in KINDS if each == (kind or "seeds")), None)
    if chosen is None:
        raise typer.BadParameter(f"expected one of {', '.join(KINDS)}", param_hint="--ensemble")
    return Members(n or 1, chosen, jobs, cluster)


def draw_training(out: Path, model: Any) -> None:
    """Loss curve and samples of what it was shown."""
    from adatom.data.atomic_file import write_atomically
    from adatom.report import draw_loss, draw_reliability, draw_samples, figure_png

    images, labels = model.training_samples(6)
    write_atomically(out / "loss.png", figure_png(draw_loss(model.history_)))
    background = "none of them" if model.is_of_regions else "no atom"
    samples = draw_samples(images, labels, model.classes_, background=background)
    write_atomically(out / "samples.png", figure_png(samples))
    judged = getattr(model, "judged_", None)  # of an ensemble
    if judged is None:
        return
    stated = {"Atoms": (judged.probability, judged.is_atom)}
    covered: list[tuple[float, float]] = []
    if len(model.classes_) > 1:
        stated["Species of atoms"] = (judged.species_probability, judged.is_species)
    if model.conformal_ is not None:
        covered = [
            (each, model.conformal_.coverage(judged.of_species, judged.true_species, each)) for each in _COVERAGES
        ]
    write_atomically(out / "reliability.png", figure_png(draw_reliability(stated, covered)))


@app.command(epilog="Example: adatom adapt my-ensemble.safetensors scan.sxm --out adapted")
def adapt(
    model: Annotated[str, typer.Argument(help="Model file, or the name of one that ships; a Localizer or ensemble.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Your images.")],
    out: Out,
    atoms: Annotated[
        list[Path] | None,
        typer.Option("--atoms", help="Table of the atoms you marked (CSV: x and y, or X and Y), one for each FILE."),
    ] = None,
    in_pixels: Annotated[
        bool | None,
        typer.Option("--in-pixels/--in-nm", help="What marks count; by default pixels if X and Y, else nm."),
    ] = None,
    how: Annotated[
        str,
        typer.Option(
            help="Without marks: choose (members), simulate (what matches the images), findings (its own), or auto: "
            "the latter two."
        ),
    ] = "auto",
    recipe: Annotated[
        str | None, typer.Option(help="Recipe to be matched to the images, instead of the model's own.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of learning from its findings, at most.")] = 4,
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the training; by default 200, without marks 150 a round.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same model.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Teach a model your images: from atoms marked in them, which need not be all, or, without marks, from what it
    finds there (ELIT); writes DIR/model.safetensors.
    """
    from adatom.files import read

    images = [read(file, channel=channel, frame=frame, pixel_size=pixel_size) for file in files]
    if atoms:
        _adapt_to_marks(model, files, images, atoms, out, in_pixels, steps or 200, seed, as_json)
    else:
        _adapt_to_images(model, files, images, out, how, recipe, rounds, steps or 150, seed, as_json)


def _adapt_to_marks(
    model: str,
    files: list[Path],
    images: list[Any],
    atoms: list[Path],
    out: Path,
    in_pixels: bool | None,
    steps: int,
    seed: int,
    as_json: bool,
) -> None:
    from adatom.files.marks import read_marks
    from adatom.models import Localizer, load
    from adatom.models.adapting import adapt as adapt_model

    if len(atoms) != len(files):
        raise typer.BadParameter(f"expected one table for each of {len(files)} files", param_hint="--atoms")
    known = load(model)
    if not isinstance(known, Localizer):
        raise typer.BadParameter(f"expected a Localizer, {model} is a {type(known).__name__}", param_hint="MODEL")
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


def _adapt_to_images(
    model: str,
    files: list[Path],
    images: list[Any],
    out: Path,
    how: str,
    recipe: str | None,
    rounds: int,
    steps: int,
    seed: int,
    as_json: bool,
) -> None:
    from adatom.adapter import HOW, adapt_to_images
    from adatom.data.atomic_file import write_atomically
    from adatom.finder import find as find_atoms
    from adatom.models import Ensemble, Localizer, load
    from adatom.models.iterating import Round
    from adatom.models.recipe import load_recipe
    from adatom.report import draw_match, draw_overlay, figure_png
    from adatom.report.lines import adapted_lines

    chosen = next((each for each in HOW if each == how), None)
    if chosen is None:
        raise typer.BadParameter(f"expected one of {', '.join(HOW)}", param_hint="--how")
    known = load(model)
    if not isinstance(known, (Localizer, Ensemble)):
        raise typer.BadParameter(
            f"expected a Localizer or an ensemble, {model} is a {type(known).__name__}", param_hint="MODEL"
        )
    out.mkdir(parents=True, exist_ok=True)
    n_members = len(getattr(known, "members_", [known]))
    n_rounds = {"auto": rounds + 1, "choose": 0, "simulate": 1, "findings": rounds}[chosen]
    with progress("adapting", max(1, n_rounds * n_members * steps)) as advance:
        done = 0

        def show(record: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            advance(done, f"round {record['round']} loss {record['loss']:.3f}")

        def draw(judged: Round, candidate: Any) -> None:
            found = find_atoms(images[0], model=candidate, refine=False)
            title = f"{files[0].name}, round {judged.number}: {judged.way}"
            figure = draw_overlay(images[0], found, title=title)
            write_atomically(out / f"round{judged.number}.png", figure_png(figure))

        adapted = adapt_to_images(
            images,
            known,
            how=chosen,
            recipe=None if recipe is None else load_recipe(recipe),
            rounds=rounds,
            steps=steps,
            seed=seed,
            on_record=show,
            on_round=draw,
        )
    path = out / "model.safetensors"
    adapted.model.save(path)
    if adapted.match is not None:
        matched = adapted.match
        accuracy = (matched.before.accuracy, matched.after.accuracy)
        figure = draw_match(*matched.crops(), accuracy=accuracy, pixel_nm=matched.pixel_size_nm)
        write_atomically(out / "match.png", figure_png(figure))
        write_atomically(out / "match.yaml", adapted.match.recipe.to_yaml())
    facts = {"model": str(path), **adapted.summary()}
    write_run(out, {"adapted": model, "files": [str(file) for file in files], "seed": seed, **facts})
    if as_json:
        print_json(facts)
        return
    print_lines(adapted_lines(out, facts))


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
    from adatom.models.image_model import ImageModel
    from adatom.report.lines import figure_lines

    data = validation_part(open_training_set(store))
    loaded: Any = load(model)
    if not isinstance(loaded, ImageModel):
        raise typer.BadParameter(f"expected one that finds atoms, {model} is a {type(loaded).__name__}")
    with progress("evaluating", data.sizes["sample"]) as advance:
        figures = evaluate_model(loaded, data, on_image=lambda done: advance(done, ""))
    if as_json:
        print_json(figures)
        return
    print_lines(figure_lines(figures, loaded.classes_))
