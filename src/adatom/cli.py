"""The command line: parses text, prints, and sets exit codes; everything it does is a call that Python users have too.

Exit codes: 0 done, 1 failed with one clear line on standard error, 2 wrong usage. Progress goes to standard error, and
only to a terminal. With ``--json`` standard output holds one JSON object and nothing else.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from adatom import __version__
from adatom.errors import AdatomError

app = typer.Typer(
    name="adatom",
    help="Microscope images into atoms. Start with: adatom demo --out demo-output",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_STOPPED = "stopped. With --resume, `adatom train` and `adatom simulate` go on with what was interrupted."

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results; made if missing.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Channel = Annotated[str | None, typer.Option(help="Channel to read; `adatom info FILE` lists them.")]
Frame = Annotated[int | None, typer.Option(help="Frame of a stack, from 0; by default all.")]
PixelSize = Annotated[float | None, typer.Option(metavar="NM", help="Size of a pixel [nm], where the file lacks it.")]


def main() -> None:
    """Run the command line; never shows a traceback unless ``--debug`` or ``ADATOM_DEBUG`` asks for it."""
    # Threads that spin while they wait for each other make training six times slower beside any other busy process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    debug = "--debug" in sys.argv or bool(os.environ.get("ADATOM_DEBUG"))
    try:
        app()
    except KeyboardInterrupt:
        _fail(_STOPPED)
    except SystemExit as end:
        if end.code == 130:  # what typer makes of Ctrl-C
            _fail(_STOPPED)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        _fail(_sentence(error))


def _sentence(error: BaseException) -> str:
    """One line that says what went wrong."""
    text = " ".join(str(error).split())
    if isinstance(error, AdatomError) and text:
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {text or 'no message'}. This is a fault of Adatom; --debug shows more."


def _fail(message: str) -> NoReturn:
    print(f"adatom: {message}", file=sys.stderr)
    sys.exit(1)


def _print_lines(lines: list[str]) -> None:
    print("\n".join(lines), flush=True)


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, ensure_ascii=False, allow_nan=False))


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A progress bar on standard error, none where that is no terminal; yields ``advance(done, note)``."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=total, note="")

        def advance(done: int, note: str) -> None:
            bar.update(task, completed=done, note=note)

        yield advance


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"adatom {__version__}")
        raise typer.Exit


@app.command(epilog="Example: adatom info scan.sxm")
def info(file: Annotated[Path, typer.Argument()], as_json: Json = False, debug: Debug = False) -> None:
    """Tell what a file holds: format, channels, shape, pixel size, units."""
    from adatom.files import info as describe
    from adatom.report.lines import contents_lines

    facts = describe(file)
    if as_json:
        _print_json(facts)
        return
    _print_lines(contents_lines(file.name, facts))


@app.command(epilog="Example: adatom convert scan.sxm --channel Z --out scan.tif")
def convert(
    file: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out", help="File to make: .tif, .h5 or .nxs (NeXus), or .zarr.")],
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a channel of a file as TIFF, HDF5 (NeXus) or zarr, with its calibration; the input is never replaced.

    A training set in AtomAI's layout (X_train, y_train, X_test, y_test in an .npz file) becomes a store, and a store
    becomes such a file: adatom convert set.npz --out set.zarr, adatom convert set.zarr --out set.npz.
    """
    from adatom.data import pixel_size_nm
    from adatom.errors import ArgumentError
    from adatom.files import read, write

    if out.exists() and file.exists() and out.resolve() == file.resolve():
        raise ArgumentError(f"out: expected another file than the input, got {str(out)!r}. Choose another name.")
    if channel is None and frame is None and _convert_training_set(file, out, pixel_size, as_json):
        return
    image = read(file, channel=channel, frame=frame, pixel_size=pixel_size)
    write(image, out, overwrite=force)
    size = pixel_size_nm(image)
    if as_json:
        told = {"out": str(out), "dims": list(image.dims), "shape": list(image.shape), "dtype": str(image.dtype)}
        _print_json({**told, "pixel_size": None if size is None else list(size), "units": image.attrs["units"]})
        return
    what = f"{image.attrs['signal']} " if image.attrs["signal"] else ""
    sides = "pixels of unknown size" if size is None else f"pixels of {size[1]:.6g} x {size[0]:.6g} nm (x, y)"
    dims = ", ".join(str(dim) for dim in image.dims)
    print(f"{out}: {what}{' x '.join(str(n) for n in image.shape)} ({dims}), {image.dtype}, {sides}")


def _convert_training_set(file: Path, out: Path, pixel_size: float | None, as_json: bool) -> bool:
    """Convert a training set from or to AtomAI's layout; False if `file` is none."""
    from adatom.data.training_set import VALIDATION, open_training_set
    from adatom.data.training_store import is_training_store, store_training_set
    from adatom.files.atomai_npz import is_atomai_set, read_atomai_set, write_atomai_set

    if out.suffix == ".zarr" and is_atomai_set(file):
        data = read_atomai_set(file, pixel_size_nm=pixel_size)
        store_training_set(data, out)
    elif out.suffix == ".npz" and is_training_store(file):
        data = open_training_set(file)
        write_atomai_set(data, out)
    else:
        return False
    told = {"out": str(out), "n_images": data.sizes["sample"], "n_atoms": data.sizes["atom"]}
    if "split" in data:
        told["n_validation"] = int((data["split"] == VALIDATION).sum())
    if as_json:
        _print_json(told)
    else:
        kept = f", {told['n_validation']} of them for validation" if "n_validation" in told else ""
        print(f"{out}: training set of {told['n_images']} images with {told['n_atoms']} known atoms{kept}")
    return True


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
        )
        finding.summary["file"] = file.name
        return finding

    def write(folder: Path, finding: Finding) -> dict[str, Any]:
        write_results(folder, finding.image, finding.atoms, finding.maps, finding.summary)
        return finding.summary

    def tell(file: Path, folder: Path, written: Future[dict[str, Any]]) -> None:
        try:
            summary = written.result()
        except Exception as error:  # one bad file must not stop the others
            if debug:
                raise
            failed.append({"file": str(file), "error": _sentence(error)})
            print(f"adatom: {file}: {_sentence(error)}", file=sys.stderr)
            return
        results.append({**summary, "out": str(folder)})
        if not as_json:
            _print_lines(finding_lines(file.name, summary, folder))

    # the results of a file are drawn and written while the atoms of the next are looked for
    with _progress("finding atoms", len(files)) as advance, ThreadPoolExecutor(max_workers=1) as pool:
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
    _write_run(out, {"files": [str(file) for file in files], "failed": failed, "n_done": len(results)})
    if as_json:
        _print_json({"results": results, "failed": failed})
    if failed:
        if len(files) > 1:
            print(f"adatom: {len(failed)} of {len(files)} files failed.", file=sys.stderr)
        raise typer.Exit(1)


def _write_run(out: Path, facts: dict[str, Any]) -> None:
    """``run.json``: what was done here, with which command and versions."""
    import platform
    from datetime import UTC, datetime

    import numpy
    import torch

    from adatom.data.atomic_file import write_atomically

    run = {
        "command": ["adatom", *sys.argv[1:]],
        "versions": {
            "adatom": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
        },
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }
    write_atomically(out / "run.json", json.dumps(run, indent=2))


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
            _print_lines(match_lines(like.name, facts["match"], out.parent))
    with _progress("simulating", n) as advance:
        n_atoms = write_simulated_set(
            chosen,
            out,
            n=n,
            seed=seed,
            jobs=jobs or os.cpu_count() or 1,
            resume=resume,
            command=_command(),
            on_image=lambda done: advance(done, ""),
        )
    sheet = _draw_contact_sheet(out)
    if as_json:
        told = {"store": str(out), "sheet": str(sheet), "n_images": n, "n_atoms": n_atoms, "seed": seed}
        _print_json({**told, **facts})
    else:
        print(f"{out}: {n} images with {n_atoms} known atoms (seed {seed}); see {sheet}")


def _command() -> str:
    import shlex

    return shlex.join(["adatom", *sys.argv[1:]])


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
    with _progress("cutting", n) as advance:
        labelled = write_labelled_set(
            images,
            tables,
            out,
            cropping=cropping,
            classes=[name.strip() for name in classes.split(",")] if classes else None,
            force=force,
            command=_command(),
            on_image=lambda done: advance(done, ""),
        )
    sheet = _draw_contact_sheet(out)
    if as_json:
        _print_json({"store": str(out), "sheet": str(sheet), **labelled.as_dict()})
    else:
        _print_lines(labelled_lines(out, sheet, labelled.as_dict()))


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
    with _progress(f"training {chosen.name}", chosen.training.steps) as advance:

        def show(record: dict[str, Any]) -> None:
            advance(record["step"], f"loss {record['loss']:.3f}")
            if "val_loss" in record and not as_json:
                print(progress_line(record), flush=True)

        model = train_model(chosen, out, data=data, resume=resume, device=device, on_record=show)
    _draw_training(out, model)
    learned_from = {} if data is None else {"data": str(data)}
    _write_run(out, {"recipe": chosen.name, **learned_from, "seed": chosen.training.seed, "figures": model.figures_})
    if as_json:
        _print_json({"model": str(out / "model.safetensors"), "figures": model.figures_})
    else:
        f1 = model.figures_["val_f1"]
        print(f"{out}/model.safetensors: F1 {f1:.3f} on validation images; see loss.png, samples.png")


def _draw_training(out: Path, model: Any) -> None:
    from adatom.data.atomic_file import write_atomically
    from adatom.report import draw_loss, draw_samples, figure_png

    images, labels = model.training_samples(6)
    write_atomically(out / "loss.png", figure_png(draw_loss(model.history_)))
    write_atomically(out / "samples.png", figure_png(draw_samples(images, labels, model.classes_)))


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
    with _progress("adapting", steps) as advance:
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
    _write_run(out, {"adapted": model, "files": [str(file) for file in files], "seed": seed, **facts})
    if as_json:
        _print_json(facts)
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
    with _progress("evaluating", data.sizes["sample"]) as advance:
        loaded = load(model)
        figures = evaluate_model(loaded, data, on_image=lambda done: advance(done, ""))
    if as_json:
        _print_json(figures)
        return
    _print_lines(figure_lines(figures, loaded.classes_))


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
        _print_json({"models": rows})
        return
    for row in rows:
        figures = row["figures"]
        print(f"{row['name']} ({row['megabytes']} MB, {row['licence']}): {row['description']}")
        print(
            f"  {row['kind']}, classes {', '.join(row['classes'])}; on simulated validation images F1 "
            f"{figures['val_f1']:.3f}, position error {figures['val_position_rms_px']:.2f} working px"
        )


@app.command(epilog="Example: adatom demo --out demo-output")
def demo(
    out: Out = Path("demo-output"),
    steps: Annotated[int, typer.Option(min=1, help="Training steps; 300 take about two minutes on two cores.")] = 300,
    debug: Debug = False,
) -> None:
    """The whole way in a few minutes: simulate, train from scratch, and find the atoms of a real STM image."""
    import time
    from importlib import resources

    from adatom.files import read
    from adatom.finder import search
    from adatom.models.recipe import load_recipe
    from adatom.models.training_run import change_training, train_model
    from adatom.report import write_results
    from adatom.report.lines import finding_lines, progress_line

    started = time.monotonic()
    recipe = change_training(load_recipe("si111_7x7"), steps=steps, seed=None)
    print("1. Simulate: images of Si(111)-7x7 with known atoms, made on the fly and never shown twice.")
    print(f"2. Train a U-Net on them from scratch, {steps} steps:", flush=True)
    with _progress("training", steps) as advance:

        def show(record: dict[str, Any]) -> None:
            advance(record["step"], f"loss {record['loss']:.3f}")
            if "val_loss" in record:
                print(progress_line(record), flush=True)

        model = train_model(recipe, out / "training", resume=False, device="auto", on_record=show)
    _draw_training(out / "training", model)
    print("3. Find the adatoms of a real image, Si(111)-7x7 with defects (STM), which the network has never seen:")
    with resources.as_file(resources.files("adatom") / "examples" / "image_with_defects.dat") as file:
        finding = search(read(file), model=out / "training" / "model.safetensors")
        finding.summary["file"] = file.name
        write_results(out / file.stem, finding.image, finding.atoms, finding.maps, finding.summary)
        _print_lines(finding_lines(file.name, finding.summary, out / file.stem))
    _write_run(out, {"seed": recipe.training.seed, "n_atoms": finding.summary["n_atoms"]})
    print(f"Look at {out / file.stem}/overlay.png, {out}/training/loss.png and {out}/training/samples.png.")
    print(f"Done in {time.monotonic() - started:.0f} s. Next: adatom find YOUR_FILE --out results")
