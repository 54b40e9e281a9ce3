"""What all commands share: their options, the progress bar, what is printed, and the record of a run."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

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

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results; made if missing.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Channel = Annotated[str | None, typer.Option(help="Channel to read; `adatom info FILE` lists them.")]
Frame = Annotated[int | None, typer.Option(help="Frame of a stack, from 0; by default all.")]
PixelSize = Annotated[float | None, typer.Option(metavar="NM", help="Size of a pixel [nm], where the file lacks it.")]

Device = Annotated[str, typer.Option(help="auto (ADATOM_DEVICE, else a GPU, else cpu), cpu, cuda, cuda:1, mps.")]


def sentence(error: BaseException) -> str:
    """One line that says what went wrong."""
    text = " ".join(str(error).split())
    if isinstance(error, AdatomError) and text:
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {text or 'no message'}. This is a fault of Adatom; --debug shows more."


def print_lines(lines: list[str]) -> None:
    """Lines on standard output, at once."""
    print("\n".join(lines), flush=True)


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(content, ensure_ascii=False, allow_nan=False))


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[..., None]]:
    """A progress bar on standard error, none where that is no terminal; yields ``advance(done, note,
    total)``, the total only where it changes.
    """
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
        disable=not sys.stderr.isatty(),  # FORCE_COLOR makes none of a pipe
    ) as bar:
        task = bar.add_task(what, total=total, note="")

        def advance(done: int, note: str, total: int | None = None) -> None:
            bar.update(task, completed=done, note=note, total=total)

        yield advance


def write_run(out: Path, facts: dict[str, Any]) -> None:
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


def command_line() -> str:
    """The command as it was given."""
    import shlex

    return shlex.join(["adatom", *sys.argv[1:]])
