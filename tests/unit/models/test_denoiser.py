"""Denoisers: what they learn from, what they keep of an image, and what they say of input that will not do."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import ndimage, signal

import adatom
from adatom.data import make_image
from adatom.errors import ArgumentError, ModelFileError, ShapeError
from adatom.models import Denoiser
from adatom.models.blind_spot import movie_shifts, noise_run_px
from adatom.models.classical_denoisers import CLASSICAL, denoise_classically
from adatom.models.noisy_pairs import HiddenPixels, NextFrames, SimulatedPairs, prepare

BRIEF = {"steps": 4, "batch_size": 2, "validate_every": 2, "validation_images": 2}


def lattice(shape=(48, 56), period=7):
    y, x = np.indices(shape)
    return 2 + np.cos(2 * np.pi * x / period) + np.cos(2 * np.pi * y / period)


def noisy(shape=(48, 56), seed=0):
    return lattice(shape) + np.random.default_rng(seed).normal(0, 0.5, shape)


def movie(n=4):
    frames = np.stack([noisy(seed=k) for k in range(n)])
    return make_image(frames, pixel_size=0.1, signal="height", units="pm", history=["read from a file"])


@pytest.fixture(scope="module")
def blind():
    return Denoiser(method="blind_spot", width=4, training=BRIEF).fit(make_image(noisy()))


# ---------------------------------------------------------------- networks


class Blur(torch.nn.Module):
    """A network that is not ours: one convolution."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(1, width, 5, padding=2), torch.nn.Conv2d(width, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


@pytest.mark.parametrize(("net", "again"), [(Blur, Blur(4)), (Blur(5), lambda: Blur(5))])
def test_a_network_of_your_own_denoises_too(net, again, tmp_path):
    image, path = make_image(noisy()), tmp_path / "m.safetensors"
    model = Denoiser(method="blind_spot", net=net, width=4, training=BRIEF).fit(image)
    model.save(path)
    with pytest.raises(ModelFileError, match="Blur alone, which is no registered network"):
        adatom.load(path)
    assert adatom.load(path, net=again).predict(image)["denoised"].equals(model.predict(image)["denoised"])


def test_a_network_that_gives_something_else_is_told():
    with pytest.raises(ShapeError, match=r"net: expected \(2, 1, .*one, the image without noise"):
        Denoiser(method="blind_spot", net=torch.nn.Conv2d(1, 2, 1), training=BRIEF).fit(make_image(noisy()))


# ---------------------------------------------------------------- what is learned from


def test_a_simulated_pair_is_an_image_and_what_it_is_without_noise(tiny_recipe):
    source = SimulatedPairs(tiny_recipe, batch_size=3, seed=1, background_px=20)
    shown, wanted = source.batch(2)
    assert shown.shape == (3, 1, 48, 48) and wanted.shape == (3, 2, 48, 48)
    again = source.batch(2)
    assert all((one == other).all() for one, other in zip((shown, wanted), again, strict=True))
    difference = (shown[:, 0] - wanted[:, 0]).numpy()
    assert 0 < difference.std() < 0.4  # noise, in units of the contrast
    assert abs(np.corrcoef(difference.ravel(), wanted[:, 0].numpy().ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("run", [0, 2])
def test_pixels_that_are_asked_for_are_hidden_and_so_is_their_run(run):
    image = prepare(noisy(), background_px=20)
    shown, wanted = HiddenPixels([image], run=run, side=40, batch_size=4, seed=0).batch(1)
    asked = wanted[:, 1].numpy() > 0
    hidden = shown[:, 0].numpy() != wanted[:, 0].numpy()
    assert 0.01 < asked.mean() < 0.08 and hidden.mean() < 0.15
    assert (hidden | ~asked).all()
    for shift in range(1, run + 1):
        assert (hidden[..., shift:] | ~asked[..., :-shift]).all()


def test_noise_that_repeats_along_the_lines_is_told_from_white_noise_and_from_a_lattice():
    rng = np.random.default_rng(0)
    white = rng.normal(size=(128, 128))
    assert noise_run_px(white) == 0
    assert noise_run_px(lattice((128, 128)) + 0.5 * white) == 0
    assert noise_run_px(lattice((128, 128)) + signal.lfilter([0.5], [1, -0.5], white, axis=1)) in (1, 2, 3)


def test_frames_are_laid_over_each_other():
    rng = np.random.default_rng(1)
    whole = ndimage.gaussian_filter(rng.normal(size=(80, 80)), 2)
    frames = [prepare(whole[10 + 2 * k : 60 + 2 * k, 20 - k : 70 - k], background_px=20) for k in range(3)]
    shifts = movie_shifts([frame.values for frame in frames], largest=10)
    assert shifts == [(-2, 1), (-2, 1)]
    shown, wanted = NextFrames(frames, shifts, side=24, batch_size=4, seed=0).batch(1)
    assert np.corrcoef(shown.numpy().ravel(), wanted[:, 0].numpy().ravel())[0, 1] > 0.98


@pytest.mark.parametrize(
    ("method", "data", "said"),
    [
        ("simulated", make_image(noisy()), "data: expected a Recipe or the name of one, got DataArray"),
        ("blind_spot", "MoS2", "data: expected an image"),
        ("frames", make_image(noisy()), "expected at least 2 frames, got 1"),
        ("blind_spot", make_image(np.ones((32, 32))), "got a constant one"),
        ("blind_spot", make_image(np.full((32, 32), np.nan)), "got none that is a number"),
        ("blind_spot", make_image(np.ones((9, 32))), "at least 16 pixels a side"),
        ("noise2void", make_image(noisy()), "method: expected one of simulated, blind_spot, frames"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(method, data, said):
    with pytest.raises((ArgumentError, ShapeError), match=said):
        Denoiser(method=method).fit(data)


# ---------------------------------------------------------------- what is given back


def test_units_coordinates_history_and_unmeasured_pixels_are_kept(blind):
    image = movie(2)
    image[0, :3] = np.nan
    result = blind.predict(image)
    for name in ("denoised", "risk"):
        made = result[name]
        assert made.dims == image.dims and made.dtype == image.dtype
        xr.testing.assert_identical(made["x"], image["x"])
        assert made.attrs["units"] == "pm"
        assert made.attrs["history"][0] == "read from a file" and "blind_spot" in made.attrs["history"][1]
        assert (np.isnan(made.values) == np.isnan(image.values)).all()
    assert (result["risk"].values[1] > 0).all()


def test_a_large_image_is_denoised_by_tiles_that_do_not_show(blind, monkeypatch):
    image = make_image(noisy((200, 210)))
    whole = blind.predict(image)["denoised"].values
    monkeypatch.setattr("adatom.models.denoiser._TILE_PX", 64)
    np.testing.assert_allclose(blind.predict(image)["denoised"].values, whole, atol=1e-5)


def test_an_offset_and_a_factor_pass_through(blind):
    values = noisy()
    one, other = (blind.predict(make_image(v))["denoised"].values for v in (values, 1e-12 * values + 5e-9))
    np.testing.assert_allclose((other - 5e-9) * 1e12, one, atol=1e-3)


def test_a_file_says_what_it_is(blind, tmp_path):
    blind.save(tmp_path / "d.safetensors", half=True)
    loaded = adatom.load(tmp_path / "d.safetensors")
    assert loaded.method == "blind_spot" and loaded.hidden_run_ == blind.hidden_run_
    whole = bytearray((tmp_path / "d.safetensors").read_bytes())
    whole[-5] ^= 1
    (tmp_path / "d.safetensors").write_bytes(whole)
    with pytest.raises(ModelFileError, match="damaged"):
        adatom.load(tmp_path / "d.safetensors")


@pytest.mark.parametrize("method", CLASSICAL)
def test_classical_references_come_nearer_to_the_truth(method):
    if method == "wavelet":
        pytest.importorskip("pywt")
    truth = 3 * lattice((64, 64), period=14)
    counts = np.random.default_rng(0).poisson(truth).astype(float)
    result = denoise_classically(make_image(counts), method)
    error = np.sqrt(np.mean((result["denoised"].values - truth) ** 2))
    assert error < 0.8 * np.sqrt(np.mean((counts - truth) ** 2))
    assert 0.3 * error < np.sqrt(np.mean(result["risk"].values ** 2)) < 2 * error
