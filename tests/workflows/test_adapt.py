"""`adatom adapt` as a user meets it: an image, a table of marks, and afterwards a model that `find` takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adatom.models import Localizer, Segmenter
from adatom.simulate import simulate_image


def adatom(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "200"}
    command = [sys.executable, "-m", "adatom", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


@pytest.fixture(scope="module")
def folder(brief_recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image, its marks as ImageJ writes them, a localizer, and a model that is none."""
    folder = tmp_path_factory.mktemp("adapt")
    drawn = simulate_image(brief_recipe, seed=7, index=0)
    np.save(folder / "image.npy", drawn.image)
    rows = [f"{k},{x:.0f},{y:.0f}" for k, (x, y) in enumerate(zip(drawn.x, drawn.y, strict=True))]
    (folder / "marks.csv").write_text("\n".join([" ,X,Y", *rows[:5]]))
    Localizer().fit(brief_recipe).save(folder / "localizer.safetensors")
    Segmenter().fit(brief_recipe).save(folder / "segmenter.safetensors")
    return folder


def test_a_model_learns_an_image_and_finds_atoms_with_it(folder: Path) -> None:
    image, out = folder / "image.npy", folder / "mine"
    arguments = ["--atoms", folder / "marks.csv", "--pixel-size", 0.1, "--steps", 2, "--out", out, "--json"]
    done = adatom("adapt", folder / "localizer.safetensors", image, *arguments)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["n_marks"] == 5 and len(told["completeness"]) == 1
    assert json.loads((out / "run.json").read_text())["model"] == told["model"]
    found = adatom("find", image, "--model", told["model"], "--pixel-size", 0.1, "--out", folder / "found")
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    ("model", "extra", "code", "said"),
    [
        ("segmenter", ["--pixel-size", 0.1], 2, "expected a Localizer"),
        ("localizer", ["--pixel-size", 0.1, "--atoms", "more.csv"], 2, "one table for each of 1 files"),
        ("localizer", ["--pixel-size", 0.1, "--in-nm"], 1, "Are they in another unit"),
        ("localizer", ["--channel", "none"], 1, "channel"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(folder: Path, model: str, extra: list, code: int, said: str) -> None:
    arguments = ["--atoms", folder / "marks.csv", "--out", folder / "none", "--steps", 1, *extra]
    done = adatom("adapt", folder / f"{model}.safetensors", folder / "image.npy", *arguments)
    assert done.returncode == code and said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr and not (folder / "none").exists()


def test_a_model_learns_an_image_without_any_mark(folder: Path) -> None:
    image, out = folder / "image.npy", folder / "alone"
    arguments = ["--pixel-size", 0.1, "--steps", 2, "--rounds", 1, "--out", out, "--json"]
    done = adatom("adapt", folder / "localizer.safetensors", image, *arguments)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["rounds"][0]["way"] == "as it was" and told["rounds"][0]["is_kept"]
    assert (out / "round0.png").exists()
    found = adatom("find", image, "--model", told["model"], "--pixel-size", 0.1, "--out", folder / "found_alone")
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    ("model", "extra", "said"),
    [("segmenter", [], "expected a Localizer"), ("localizer", ["--how", "guess"], "findings")],
)
def test_adapting_to_images_says_what_is_wrong(folder: Path, model: str, extra: list[object], said: str) -> None:
    done = adatom("adapt", folder / f"{model}.safetensors", folder / "image.npy", *extra, "--out", folder / "no")
    assert done.returncode == 2 and said in done.stderr
