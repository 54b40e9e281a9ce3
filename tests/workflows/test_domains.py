"""From a recipe of domains to a model that tells them apart, as a user would do it."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import adatom as ad
from adatom.cli import app

SMALL = (
    "network: {architecture: unet, width: 4, depth: 2}\ntraining: {steps: 12, batch_size: 4, validation_images: 4}\n"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store of domains, and a model trained on such images for a few steps."""
    folder = tmp_path_factory.mktemp("domains")
    written = CliRunner().invoke(app, ["recipe", "domains", "--out", str(folder / "mine.yaml")])
    assert written.exit_code == 0, written.output
    text = (folder / "mine.yaml").read_text()
    (folder / "mine.yaml").write_text(text[: text.index("network:")] + SMALL)
    for command in (
        ["simulate", str(folder / "mine.yaml"), "--n", "6", "--out", str(folder / "set.zarr")],
        ["train", str(folder / "mine.yaml"), "--out", str(folder / "run")],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    assert "IoU" in done.output and "F1" not in done.output
    return folder


def test_evaluation_counts_pixels_of_each_class(trained):
    done = CliRunner().invoke(
        app, ["evaluate", str(trained / "run" / "model.safetensors"), str(trained / "set.zarr"), "--json"]
    )
    assert done.exit_code == 0, done.output
    figures = json.loads(done.output)
    assert set(figures) == {"n_images", "iou_background", "iou_up", "iou_down", "iou_in_plane", "iou", "confusion"}
    assert np.sum(figures["confusion"]) == 6 * 128**2


def test_stored_set_is_learned_from(trained):
    done = CliRunner().invoke(
        app, ["train", str(trained / "mine.yaml"), "--data", str(trained / "set.zarr"), "--out", str(trained / "again")]
    )
    assert done.exit_code == 0, done.output
    assert ad.load(trained / "again" / "model.safetensors").is_of_regions


def test_maps_of_an_image_have_a_class_for_each_region(trained):
    model = ad.load(trained / "run" / "model.safetensors")
    image = ad.make_image(np.random.default_rng(0).normal(size=(90, 70)), pixel_size=8.0)
    maps = model.predict(image)
    assert list(maps["class"].to_numpy()) == ["background", "up", "down", "in_plane"]
    assert maps.sum("class").to_numpy() == pytest.approx(1, abs=1e-6)


def test_find_says_that_there_are_no_atoms_to_find(trained):
    image = ad.make_image(np.random.default_rng(0).normal(size=(90, 70)), pixel_size=8.0)
    with pytest.raises(ValueError, match="which tells regions apart"):
        ad.find(image, model=trained / "run" / "model.safetensors")
