"""Particles of images, as a user would look for them."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

import adatom as ad
from adatom.cli import app
from adatom.errors import ArgumentError, ShapeError
from tests.unit.analyse.test_particles import THREE, discs

SMALL = (
    "network: {architecture: unet, width: 4, depth: 2}\ntraining: {steps: 12, batch_size: 4, validation_images: 4}\n"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of particles that was trained for a few steps."""
    folder = tmp_path_factory.mktemp("particles")
    written = CliRunner().invoke(app, ["recipe", "nanoparticles", "--out", str(folder / "mine.yaml")])
    assert written.exit_code == 0, written.output
    text = (folder / "mine.yaml").read_text()
    (folder / "mine.yaml").write_text(text[: text.index("network:")] + SMALL)
    done = CliRunner().invoke(app, ["train", str(folder / "mine.yaml"), "--out", str(folder / "run")])
    assert done.exit_code == 0, done.output
    return folder


def test_command_line_writes_table_mask_and_pictures(tmp_path):
    tifffile.imwrite(tmp_path / "three.tif", (1000 * (discs(*THREE) + 1)).astype(np.uint16))
    done = CliRunner().invoke(
        app,
        [
            "find",
            str(tmp_path / "three.tif"),
            "--what",
            "particles",
            "--pixel-size",
            "0.5",
            "--out",
            str(tmp_path / "out"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "3 particles, 0 of them cut by the border" in done.output
    folder = tmp_path / "out" / "three"
    assert {file.name for file in folder.iterdir()} == {
        "particles.csv",
        "particles.parquet",
        "instances.tif",
        "overlay.png",
        "histogram.png",
        "summary.json",
    }
    table, summary = pd.read_csv(folder / "particles.csv"), json.loads((folder / "summary.json").read_text())
    assert table["diameter"].to_numpy() == pytest.approx([12, 8, 20], rel=0.08)
    assert table[["x", "y"]].to_numpy() == pytest.approx(np.array([[15, 15], [50, 15], [35, 42.5]]), abs=0.3)
    assert summary["units"] == "nm" and summary["n_particles"] == 3
    assert summary["diameter_interval"][0] < summary["diameter"] < summary["diameter_interval"][1]
    assert tifffile.imread(folder / "instances.tif").max() == 3


@pytest.mark.parametrize(
    "wrong",
    [
        ["--what", "cats"],
        ["--what", "particles", "--spacing", "0.3"],
        ["--what", "particles", "--no-refine"],
        ["--min-diameter", "3"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(tmp_path, wrong):
    done = CliRunner().invoke(app, ["find", "nothing.tif", *wrong, "--out", str(tmp_path)])
    assert done.exit_code == 2


def test_a_model_tells_how_probable_particles_are(trained):
    model = ad.load(trained / "run" / "model.safetensors")
    found = ad.find_particles(ad.make_image(discs(*THREE)), model=model)
    assert found.instances.shape == (120, 140)
    assert found.particles["probability"].between(0.5, 1).all()
    assert found.summary["model"] == "nanoparticles"


def test_the_model_that_ships_splits_particles_that_touch_in_noise():
    rng = np.random.default_rng(0)
    places = [(30, 30, 12), (52, 30, 11), (90, 40, 14), (40, 85, 10), (60, 85, 11), (100, 95, 13), (20, 115, 9)]
    noisy = rng.poisson(6 * (0.3 + discs(*places))).astype(float)
    found = ad.find_particles(ad.make_image(noisy), model="nanoparticles")
    assert len(found.particles) == len(places)
    true = np.sort([2 * radius for *_, radius in places])
    assert np.sort(found.particles["diameter"]) == pytest.approx(true, rel=0.12)


def test_simulated_sets_hold_instances(trained):
    store = trained / "set.zarr"
    done = CliRunner().invoke(app, ["simulate", str(trained / "mine.yaml"), "--n", "4", "--out", str(store)])
    assert done.exit_code == 0, done.output
    import zarr

    assert zarr.open(store, mode="r")["instance"][:].max() > 1


def test_models_of_something_else_are_refused():
    with pytest.raises(ArgumentError, match="classes particle and boundary"):
        ad.find_particles(ad.make_image(discs(*THREE)), model="any_atoms")


def test_movies_oblong_pixels_and_heights():
    movie = np.stack([discs(*THREE), discs(*THREE[:2])])
    found = ad.find_particles(ad.make_image(movie, pixel_size=0.5))
    assert found.particles.groupby("frame").size().to_dict() == {0: 3, 1: 2}
    oblong = ad.make_image(discs(*THREE)[::2] * 1e-9, pixel_size=(1.0, 0.5), units="m")
    table = ad.find_particles(oblong).particles
    assert table["diameter"].to_numpy() == pytest.approx([12, 8, 20], rel=0.1)
    assert table["height"].to_numpy() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("values", [np.zeros((30, 30)), np.full((30, 30), np.nan), np.ones((8, 50))])
@pytest.mark.parametrize("with_model", [False, True])
def test_images_of_nothing_have_no_particles(values, with_model, trained, tmp_path):
    model = trained / "run" / "model.safetensors" if with_model else None
    found = ad.find_particles(ad.make_image(values), model=model)
    if not with_model:
        assert found.summary["n_particles"] == 0 and found.summary["diameter"] is None
    from adatom.report import write_particle_results

    write_particle_results(tmp_path, found.image, found.particles, found.instances, found.sizes, found.summary)


def test_borders_that_were_not_measured_cut():
    image = discs(*THREE)
    image[:, 105:] = np.nan
    image[:25] = np.nan
    found = ad.find_particles(ad.make_image(image))
    assert list(found.particles["touches_border"]) == [True, True, False]


def test_wrong_arguments_are_named():
    image = ad.make_image(discs(*THREE))
    with pytest.raises(ArgumentError, match="contrast"):
        ad.find_particles(image, contrast="grey")
    with pytest.raises(ArgumentError, match="pixel size"):
        ad.find_particles(image, min_diameter_nm=3.0)
    with pytest.raises(ArgumentError, match="min_diameter_nm"):
        ad.find_particles(ad.make_image(discs(*THREE), pixel_size=0.5), min_diameter_nm=-3.0)
    with pytest.raises(ShapeError, match="8 pixels"):
        ad.find_particles(ad.make_image(np.ones((5, 90))))
