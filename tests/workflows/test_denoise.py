"""`adatom denoise` as a user would run it, and `adatom.denoise` in Python."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import adatom as ad
from adatom.cli import app
from adatom.data import make_image
from adatom.errors import ArgumentError
from adatom.files import write
from adatom.models import load_recipe
from adatom.noise_remover import remove_noise
from adatom.simulate import simulate_image


def run(*arguments, code=0):
    done = CliRunner().invoke(app, ["denoise", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done


def counts(n_frames=None, seed=0):
    y, x = np.indices((64, 72))
    truth = 10 + 4 * np.cos(2 * np.pi * x / 9) + 4 * np.cos(2 * np.pi * y / 9)
    rng = np.random.default_rng(seed)
    return rng.poisson(truth if n_frames is None else np.repeat(truth[None], n_frames, axis=0)).astype(np.float32)


def test_a_still_learns_from_itself_and_the_model_that_was_kept_does_the_next_one(tmp_path):
    write(make_image(counts(), pixel_size=0.02, units="counts"), tmp_path / "raw.tif")
    out, kept = tmp_path / "clean.tif", tmp_path / "kept.safetensors"
    told = json.loads(run(tmp_path / "raw.tif", "--out", out, "--steps", 40, "--keep-model", kept, "--json").stdout)
    assert told["method"] == "blind_spot" and told["noise_after"] < told["noise_before"]
    clean, risk = ad.read(out), ad.read(tmp_path / "clean_risk.tif")
    assert clean.shape == risk.shape == (64, 72) and clean.attrs["units"] == "counts"
    assert abs(float(clean["x"][1]) - 0.02) < 1e-6
    assert (tmp_path / "clean_denoising.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "clean_denoising.json").read_text())["residual"] == told["residual"]

    printed = run(tmp_path / "raw.tif", "--model", kept, "--out", tmp_path / "again.zarr").stdout
    assert "noise" in printed and "lattice's amplitude" in printed
    np.testing.assert_allclose(ad.read(tmp_path / "again.zarr").values, clean.values, atol=1e-3)
    again = run(tmp_path / "raw.tif", "--model", kept, "--out", out, code=1)
    assert isinstance(again.exception, ArgumentError) and "which exists. Use --force." in str(again.exception)


def test_a_movie_learns_from_its_frames(tmp_path):
    write(make_image(counts(8)), tmp_path / "raw.tif")
    told = json.loads(run(tmp_path / "raw.tif", "--out", tmp_path / "clean.tif", "--steps", 24, "--json").stdout)
    assert told["method"] == "frames" and told["image_shape"] == [8, 64, 72]
    assert ad.read(tmp_path / "clean.tif").shape == (8, 64, 72)


def test_a_frame_that_was_not_measured_stays_empty():
    image = make_image(counts(3))
    image[1] = np.nan
    result = ad.denoise(image, method="gaussian")
    assert np.isnan(result["denoised"][1]).all() and np.isfinite(result["denoised"][2]).all()
    assert result.attrs["summary"]["residual"]["n_frames"] == 2


def test_smoothing_away_a_lattice_is_said(tmp_path):
    y, x = np.indices((96, 96))
    truth = 40 + 40 * np.cos(2 * np.pi * x / 4) * np.cos(2 * np.pi * y / 4)
    image = make_image(np.random.default_rng(0).poisson(truth).astype(float))
    result = ad.denoise(image, method="gaussian")
    (warning,) = [each for each in result.attrs["summary"]["warnings"] if "holds structure" in each]
    assert "% of the lattice's amplitude was taken out with the noise" in warning
    assert ad.denoise(image, method="gaussian").equals(result)


def test_a_recipe_is_matched_to_the_image_and_learned_from(monkeypatch):
    recipe = load_recipe("hexagonal_two_atoms")
    drawn = simulate_image(recipe, seed=5, index=1)
    image = make_image(drawn.image, pixel_size=recipe.microscope.pixel_size_nm)
    content = recipe.model_dump(mode="json") | {"name": "matched"}
    content["microscope"] |= {"coarse_probability": 1.0, "coarseness": [2.0, 2.0]}  # measured on pixels twice as large
    matched = SimpleNamespace(recipe=type(recipe).model_validate(content))
    asked = []
    monkeypatch.setattr("adatom.matching.match", lambda *given: asked.append(given) or matched)
    cleaning = remove_noise(image, recipe=recipe, steps=8)
    assert asked[0][0].identical(image)
    learned_from = cleaning.model.recipe_
    assert cleaning.summary["method"] == "simulated" and learned_from.name == "matched"
    assert learned_from.microscope.pixel_size_nm == 2 * recipe.microscope.pixel_size_nm


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full((32, 32), np.nan), "got none that is a number"),
        (np.full((32, 32), 7.0), "got a constant"),
        (np.random.default_rng(0).normal(size=(8, 300)), "at least 16 pixels a side"),
    ],
)
@pytest.mark.parametrize("method", ["blind_spot", "gaussian"])
def test_hopeless_images_get_one_clear_error(values, said, method):
    with pytest.raises(ValueError, match=said):
        ad.denoise(make_image(values), method=method)


def test_wrong_methods_say_what_was_expected(tmp_path):
    write(make_image(counts()), tmp_path / "raw.tif")
    assert (
        "expected one of" in run(tmp_path / "raw.tif", "--out", tmp_path / "o.tif", "--method", "magic", code=2).stderr
    )
    wrong = run(tmp_path / "raw.tif", "--out", tmp_path / "o.tif", "--method", "gaussian", "--recipe", "MoS2", code=2)
    assert "is not for the method gaussian" in wrong.stderr
    with pytest.raises(ArgumentError, match="model: expected a Denoiser, got a Localizer"):
        ad.denoise(make_image(counts()), model="any_atoms")
