"""Order parameters on the command line: a still, a movie, and what goes wrong."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import adatom as ad
from adatom.cli import app
from adatom.files import write

STEPS = ["--steps", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A still of a square lattice every other atom of which is twice as bright, and a movie in which some change."""
    folder = tmp_path_factory.mktemp("explore")
    grid = np.arange(112)
    rng = np.random.default_rng(0)

    def image(bright, shift):
        values = np.full((112, 112), 0.1)
        for row, y in enumerate(range(8, 112, 12)):
            for column, x in enumerate(range(8, 112, 12)):
                height = 1 + bright[row, column]
                down, across = (np.exp(-0.5 * ((grid - at - shift) / 2.2) ** 2) for at in (y, x))
                values += height * np.outer(down, across)
        return rng.poisson(60 * values) / 60

    bright = rng.random((9, 9)) < 0.5
    write(ad.make_image(image(bright, 0.0), pixel_size=0.02), folder / "still.tif")
    later = bright ^ (rng.random((9, 9)) < 0.15)
    frames = [image(bright if frame < 2 else later, 0.4 * frame) for frame in range(3)]
    write(ad.make_image(np.stack(frames), pixel_size=0.02), folder / "movie.tif")
    return folder


def explore(*arguments):
    return CliRunner().invoke(app, ["explore", *map(str, arguments)])


def test_a_movie_goes_the_whole_way_to_a_page(folder):
    out = folder / "movie"
    done = explore(folder / "movie.tif", "--pixel-size", 0.02, "--invariant", "rotation", "translation", "--latent", 2,
                   "--frame-time", 0.1, *STEPS, "--out", out, "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["invariances"] == ["rotation", "translation"]
    assert summary["movie"]["n_frames"] == 3 and summary["movie"]["frame_time_s"] == 0.1
    assert 75 <= summary["movie"]["n_tracks"] <= 100  # 81, and what the border cuts
    assert summary["movie"]["drift"] == pytest.approx(2 * 0.4 * 0.02, abs=0.004)
    names = {path.name for path in out.iterdir()}
    assert {"atoms.csv", "atoms.parquet", "tracks.csv", "transitions.csv", "lifetimes.csv", "hops.csv"} <= names
    assert {"model.safetensors", "traversal.gif", "manifold.png", "run.json", "task.json"} <= names
    table = pd.read_csv(out / "atoms.csv")
    assert {"z1", "z2", "state", "track", "x_undrifted"} <= set(table)
    page = (out / "report.html").read_text()
    assert "https://" not in page and "http://" not in page and "<script" not in page and "data:image/gif" in page


def test_resume_takes_what_is_there_and_refuses_other_settings(folder):
    out = folder / "again"
    arguments = [folder / "still.tif", "--invariant", "none", *STEPS, "--out", out]
    done = explore(*arguments)
    assert done.exit_code == 0, done.output
    model = (out / "model.safetensors").read_bytes()
    (out / "summary.json").unlink()
    done = explore(*arguments, "--resume")
    assert done.exit_code == 0 and (out / "summary.json").exists(), done.output
    assert (out / "model.safetensors").read_bytes() == model
    assert json.loads((out / "summary.json").read_text())["invariances"] == []
    other = explore(*arguments, "--latent", 3, "--resume")
    assert other.exit_code != 0 and "Start in a new folder" in str(other.exception)


def test_atoms_of_a_table_are_explored_with_their_image_by_a_model_that_is_there(folder):
    model = folder / "again" / "model.safetensors"
    if not model.exists():
        assert explore(folder / "still.tif", "--invariant", "none", *STEPS, "--out", folder / "again").exit_code == 0
    found = CliRunner().invoke(app, ["find", str(folder / "still.tif"), "--out", str(folder / "found")])
    assert found.exit_code == 0, found.output
    table = folder / "found" / "still"
    done = explore(table, "--image", folder / "still.tif", "--model", model, "--out", folder / "known", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["latent"] == 2
    alone = explore(table, "--out", folder / "no")
    assert alone.exit_code == 2 and "--image" in alone.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--states", "many"], "whole number"),
        (["--invariant", "colour"], "rotation"),
        (["--invariant", "none", "rotation"], "alone"),
    ],
)
def test_wrong_options_are_wrong_usage(folder, options, told):
    done = explore(folder / "still.tif", *options, "--out", folder / "no")
    assert done.exit_code == 2 and told in done.output
