"""Order parameters: what the surroundings of the atoms of an image or movie have in common, and how they change."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

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

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_INVARIANCES = ("rotation", "translation", "scale")
_NOTHING = "none"
_TABLES = (".csv", ".parquet")
_LEAST = 0.5  # probability of an atom that is found here


class _SeveralWords(TyperCommand):
    """A command whose option ``--invariant`` takes all names of invariances that follow it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        is_open = False
        for word in args:
            if is_open and word in (*_INVARIANCES, _NOTHING) and spread[-1] != "--invariant":
                spread.append("--invariant")
            elif word.startswith("-"):
                is_open = word == "--invariant"
            elif spread[-1:] != ["--invariant"]:
                is_open = False
            spread.append(word)
        return super().parse_args(ctx, spread)


@app.command(
    cls=_SeveralWords,
    epilog="Example: adatom explore movie.tif --invariant rotation translation --latent 2 --out order",
)
def explore(
    source: Annotated[
        Path, typer.Argument(metavar="FILE|ATOMS", help="Image or movie; or the atoms of --image, as find left them.")
    ],
    out: Out,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Image or movie of ATOMS, where these are given.")
    ] = None,
    invariant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="What latent numbers do not depend on: rotation, translation, scale, or none. "
            "By default rotation translation.",
        ),
    ] = None,
    latent: Annotated[int, typer.Option(min=1, max=32, help="Latent numbers.")] = 2,
    window: Annotated[
        float | None,
        typer.Option(metavar="NM", help="Side of the square around an atom; by default 3 distances of neighbours."),
    ] = None,
    of: Annotated[
        str | None, typer.Option(help="Look only at atoms of this species or brightness (bright, dim).")
    ] = None,
    brighter_than: Annotated[
        float | None, typer.Option(metavar="X", help="Look only at atoms more than X times as bright as the median.")
    ] = None,
    standardise: Annotated[
        bool, typer.Option("--standardise", help="Brightness and contrast of a window play no part.")
    ] = False,
    maps: Annotated[
        bool, typer.Option("--maps", help="Windows of the finder's probability maps instead of the image.")
    ] = False,
    states: Annotated[
        str, typer.Option(metavar="N|auto", help="How many states; auto: those that valleys separate.")
    ] = "auto",
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="model.safetensors of an earlier exploration, instead of a training."),
    ] = None,
    finder: Annotated[str | None, typer.Option(help="Model that finds the atoms of FILE, see find --model.")] = None,
    frame_time: Annotated[
        float | None, typer.Option(metavar="S", help="From one frame to the next [s], where the file lacks it.")
    ] = None,
    reach: Annotated[
        float | None,
        typer.Option(metavar="NM", help="An atom goes no farther in a frame; by default 0.45 distances of neighbours."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the training, at most.")] = None,
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same result.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an exploration that was stopped.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Order parameters of windows around atoms by a variational autoencoder: latent maps, manifold, states; of movies
    tracks, transitions, lifetimes and diffusion too.
    """
    from adatom.explorer import explore_atoms
    from adatom.models.variational_autoencoder import TRAINING
    from adatom.report import write_exploration
    from adatom.report.lines import exploration_lines

    number: int | Literal["auto"]
    try:
        number = "auto" if states == "auto" else int(states)
    except ValueError:
        raise typer.BadParameter("expected a whole number or auto", param_hint="--states") from None
    invariances = _invariances(invariant)
    atoms_given = source.suffix.lower() in _TABLES or source.is_dir()
    if atoms_given == (image is None):
        told = "the image of these atoms beside them" if atoms_given else "atoms (CSV, parquet, a folder) beside it"
        raise typer.BadParameter(f"expected {told}", param_hint="--image")
    task = {
        "source": str(source),
        "image": None if image is None else str(image),
        "invariances": list(invariances),
        "latent": latent,
        "window": window,
        "of": of,
        "brighter_than": brighter_than,
        "standardise": standardise,
        "maps": maps,
        "finder": finder,
        "channel": channel,
        "frame": frame,
        "pixel_size": pixel_size,
        "steps": steps,
        "seed": seed,
    }
    _begin(out, task, resume=resume)
    picture, atoms = _read(source, image, out, channel, frame, pixel_size, finder, resume=resume)
    if maps:
        picture = _probability(picture, finder)
    trained = out / "model.safetensors"
    known = model if model is not None else trained if resume and trained.exists() else None
    training = {} if steps is None else {"steps": steps, "validate_every": min(100, max(1, steps // 4))}
    usual: Any = TRAINING["steps"]
    with progress("learning windows", steps or usual) as advance:
        found = explore_atoms(
            atoms,
            picture,
            of=of,
            brighter_than=brighter_than,
            window=window,
            invariances=invariances,
            latent=latent,
            states=number,
            standardise=standardise,
            level=not maps,
            model=known,
            training=training,
            frame_time_s=frame_time,
            reach=reach,
            random_state=seed,
            checkpoint=out / "checkpoint.safetensors",
            resume=resume,
            on_record=lambda record: advance(int(record["step"]), f"loss {record['loss']:.3f}"),
        )
    found.summary["file"] = (image or source).name
    if known is None:
        found.model.save(trained)  # type: ignore[attr-defined]
    (out / "checkpoint.safetensors").unlink(missing_ok=True)
    write_exploration(out, found, title=source.name)
    write_run(out, task)
    if as_json:
        print_json(found.summary)
        return
    print_lines(exploration_lines(source.name, found.summary, out))


def _invariances(asked: list[str] | None) -> tuple[str, ...]:
    if asked is None:
        return ("rotation", "translation")
    if asked == [_NOTHING]:
        return ()
    for name in asked:
        if name not in _INVARIANCES:
            raise typer.BadParameter(
                f"expected some of {', '.join(_INVARIANCES)}, or {_NOTHING} alone, got {name}", param_hint="--invariant"
            )
    return tuple(dict.fromkeys(asked))


def _begin(out: Path, task: dict[str, Any], *, resume: bool) -> None:
    """Keep what is to be done; without `resume` forget what was."""
    import json

    from adatom.data.atomic_file import write_json
    from adatom.errors import TrainingError

    kept = out / "task.json"
    if resume and kept.exists() and json.loads(kept.read_text(encoding="utf-8")) != task:
        raise TrainingError(f"resume: expected the settings of {kept}, got others. Start in a new folder.")
    if not resume:
        for name in ("checkpoint.safetensors", "model.safetensors", "found.parquet"):
            (out / name).unlink(missing_ok=True)
    write_json(kept, task)


def _read(
    source: Path,
    image: Path | None,
    out: Path,
    channel: str | None,
    frame: int | None,
    pixel_size: float | None,
    finder: str | None,
    *,
    resume: bool,
) -> "tuple[xr.DataArray, pd.DataFrame]":
    """The image, and its atoms: given, found before, or found now."""
    import io

    from adatom.data.atomic_file import write_atomically
    from adatom.files import read
    from adatom.files.atom_table import read_atoms
    from adatom.finder import search

    if image is not None:
        atoms = read_atoms(source, pixel_size_nm=pixel_size)
        size = atoms.attrs["pixel_size"]
        stated = pixel_size or (size[1] if size is not None and abs(size[0] / size[1] - 1) < 1e-6 else None)
        picture = read(image, channel=channel, frame=frame, pixel_size=stated)
        likely = atoms[~(atoms["probability"] < _LEAST)]
        if frame is not None:
            likely = likely[likely["frame"] == frame].assign(frame=0)
        likely.attrs = atoms.attrs
        return picture, likely.reset_index(drop=True)
    picture = read(source, channel=channel, frame=frame, pixel_size=pixel_size)
    kept = out / "found.parquet"
    if resume and kept.exists():
        return picture, read_atoms(kept)
    # of a movie drift and tracks ask for places in all frames, which the network gives well enough and 10 times faster
    finding = search(picture, model=finder, refine="frame" not in picture.dims)
    stream = io.BytesIO()
    finding.atoms.to_parquet(stream)
    write_atomically(kept, stream.getvalue())
    return picture, finding.atoms


def _probability(picture: "xr.DataArray", finder: str | None) -> "xr.DataArray":
    """Of an atom, whatever its species, at each pixel of each frame."""
    from adatom.finder import search

    seen = search(picture, model=finder, refine=False, all_maps=True).maps
    if seen is None:
        from adatom.errors import ArgumentError

        raise ArgumentError("maps: expected an image that shows something, got a constant one.")
    atoms = seen.sel({"class": [name for name in seen["class"].to_numpy() if name != "background"]})
    summed = atoms.sum("class").transpose(*picture.dims).assign_attrs(picture.attrs)
    # a model sees at a scale of its own: back to the pixels of the image
    return summed.interp(y=picture["y"], x=picture["x"]).fillna(0.0).assign_coords(picture.coords)
