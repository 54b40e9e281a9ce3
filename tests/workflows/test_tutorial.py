"""The first lesson runs from top to bottom, and the notebook in the repository holds the outputs of such a run."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

LESSONS = Path(__file__).parents[2] / "docs" / "tutorials"
# name -> number of pictures at least, and files that it writes
EXPECTED: dict[str, tuple[int, set[str]]] = {
    "01_first_lesson": (10, {"atoms.csv", "si111.safetensors"}),
    "02_how_far_to_trust_an_atom": (5, set()),
    "03_your_own_labelled_image": (5, set()),
    "04_from_a_cif_to_a_trained_model": (2, {"srtio3.safetensors"}),
    "05_image_to_spectrum": (3, set()),
    "06_counting_defects": (5, set()),
    "07_from_an_image_to_a_simulation": (2, {"flake.xyz"}),
    "08_distortion_domains": (6, set()),
    "09_elit": (5, set()),
    "10_rotated_digits": (5, set()),
    "11_an_atomic_movie": (6, set()),
    "12_your_own_denoiser": (4, {"mos2_denoiser.safetensors"}),
    "13_loss_gradient_optimiser": (4, {"mine.safetensors"}),
    "14_an_automated_experiment": (3, set()),
    "15_a_gigapixel_montage": (3, set()),
}


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def pictures(notebook: NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


@pytest.fixture(scope="module", params=EXPECTED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lesson(name: str) -> NotebookNode:
    return nbformat.read(LESSONS / f"{name}.ipynb", as_version=4)


def test_every_lesson_is_tested() -> None:
    assert {path.stem for path in LESSONS.glob("*.ipynb")} == set(EXPECTED)


def test_the_stored_lesson_shows_the_outputs_of_one_run_without_errors(name: str, lesson: NotebookNode) -> None:
    nbformat.validate(lesson)
    assert lesson.metadata.kernelspec.name == "python3"
    counts = [cell.execution_count for cell in code_cells(lesson)]
    assert counts == list(range(1, len(counts) + 1))
    assert not [output for output in outputs(lesson) if output.output_type == "error"]
    assert not [output for output in outputs(lesson) if output.get("name") == "stderr"]
    assert pictures(lesson) >= EXPECTED[name][0]
    assert (LESSONS / f"{name}.ipynb").stat().st_size < 3e6


def test_the_lesson_runs_from_top_to_bottom(
    name: str, lesson: NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADATOM_TUTORIAL_STEPS", "8")  # nothing is learned, but every cell has to cope with that
    copy = nbformat.from_dict(lesson)
    NotebookClient(copy, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert pictures(copy) == pictures(lesson)
    assert {path.name for path in tmp_path.rglob("*.*") if path.is_file()} >= EXPECTED[name][1]
