"""The command line: parses text, prints, and sets exit codes; everything it does is a call that Python users have too.

Exit codes: 0 done, 1 failed with one clear line on standard error, 2 wrong usage. Progress goes to standard error, and
only to a terminal. With ``--json`` standard output holds one JSON object and nothing else. The commands themselves are
in `adatom.commands`.
"""

import os
import sys
from typing import Annotated, NoReturn

import typer

from adatom import __version__
from adatom.commands import (  # noqa: F401  each adds its commands to app
    analyse,
    demo,
    denoise,
    experiment,
    explore,
    files,
    find,
    learning,
    models,
    spectra,
    structure,
    training_data,
    unmix,
)
from adatom.commands.terminal import app, sentence

_STOPPED = (
    "stopped. `adatom find` goes on when it is given again; with --resume, `adatom train`, `explore` and `simulate` go "
    "on with what was interrupted; an experiment with `adatom experiment resume DIR`."
)


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
        _fail(sentence(error))


def _fail(message: str) -> NoReturn:
    print(f"adatom: {message}", file=sys.stderr)
    sys.exit(1)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"adatom {__version__}")
        raise typer.Exit
