"""Run the tutorials, and write them and the table of contents as HTML into ``site/``.

    python docs/build.py            execute every notebook in docs/tutorials, write site/
    python docs/build.py --check    only execute them
    python docs/build.py --store    execute them, and keep the new outputs in the notebooks themselves

Names after these choose lessons, as ``06_counting_defects``.

A notebook is executed in a temporary copy, so that what it writes leaves no trace here. Needs the extra ``docs``.
ADATOM_TUTORIAL_STEPS=20 makes the trainings short.
"""

import argparse
import base64
import io
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook

DOCS = Path(__file__).resolve().parent
SITE = DOCS.parent / "site"
CELL_TIMEOUT_S = 3600


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tutorials and write them as HTML into site/.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="only execute the notebooks")
    choice.add_argument("--store", action="store_true", help="keep the new outputs in the notebooks; write no HTML")
    parser.add_argument("names", nargs="*", help="of the lessons, as 06_counting_defects; by default all")
    arguments = parser.parse_args()

    every = {path.stem: path for path in sorted((DOCS / "tutorials").glob("*.ipynb"))}
    unknown = [name for name in arguments.names if name not in every]
    if unknown:
        parser.error(f"expected some of {', '.join(every)}, got {unknown[0]}")
    notebooks = [every[name] for name in arguments.names or every]
    executed = {}
    for path in notebooks:
        started = time.monotonic()
        print(f"{path.relative_to(DOCS.parent)}: executing", flush=True)
        try:
            executed[path] = execute(path)
        except CellExecutionError as error:
            print(f"{path.relative_to(DOCS.parent)}: failed\n{error}", file=sys.stderr)
            return 1
        print(f"{path.relative_to(DOCS.parent)}: executed in {time.monotonic() - started:.0f} s", flush=True)
        if arguments.store:
            store(executed[path], path)
            print(f"{path.relative_to(DOCS.parent)}: stored, {path.stat().st_size / 1e6:.1f} MB")
    if not (arguments.check or arguments.store):
        shutil.copytree(DOCS / "images", SITE / "images", dirs_exist_ok=True)
        pages = {"index": "Adatom", "gallery": "Gallery", "from_atomai": "From AtomAI", "clusters": "On a cluster"}
        for name, title in pages.items():
            text = (
                (DOCS / f"{name}.md").read_text(encoding="utf-8").replace(".ipynb)", ".html)").replace(".md)", ".html)")
            )
            write_page(new_notebook(cells=[new_markdown_cell(text)]), SITE / f"{name}.html", title=title)
        for path, notebook in executed.items():
            title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
            write_page(notebook, SITE / path.relative_to(DOCS).with_suffix(".html"), title=title)
    return 0


def execute(path: Path) -> NotebookNode:
    """The notebook with the outputs of a run from top to bottom; the file stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        notebook = nbformat.read(copy, as_version=4)
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT_S,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            record_timing=False,
        )
        client.execute()
    return notebook


def write_page(notebook: NotebookNode, file: Path, *, title: str) -> None:
    """Write a notebook as one HTML file that loads nothing from elsewhere."""
    from nbconvert import HTMLExporter  # needed here only: --check runs without it

    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", mermaid_js_url="")
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")
    print(f"{file.relative_to(DOCS.parent)}: written, {file.stat().st_size / 1e6:.1f} MB")


def store(notebook: NotebookNode, path: Path) -> None:
    """Write the executed notebook in place, its pictures reduced to 256 colours, which halves the file."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _reduce(output.data["image/png"])
    nbformat.write(notebook, path)


def _reduce(picture: str) -> str:
    from PIL import Image

    stream = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(stream, format="png", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


if __name__ == "__main__":
    sys.exit(main())
