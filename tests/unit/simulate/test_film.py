"""The amorphous film: its spectrum and its edge are those that a recipe states."""

import numpy as np
import pytest

from adatom.models.recipe import load_recipe
from adatom.simulate import simulate_image
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.film import draw_film
from adatom.simulate.recipe import Film
from adatom.simulate.render import render_atoms

PX_PER_NM = 20.0


def film(**values) -> Film:
    plain = {
        "level": (5.0, 5.0),
        "roughness_nm2": (1e-9, 1e-9),
        "roughness_exponent": (2.5, 2.5),
        "grain_nm2": (1e-9, 1e-9),
        "edge_probability": 0.0,
        "edge_width_nm": (0.2, 0.2),
    }
    return Film(**(plain | values))


def spectral_density(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers [1/nm], and the spectral density [nm^2] of `signal` at them."""
    size = len(signal)
    window = np.hanning(size)[:, None] * np.hanning(size)
    power = np.abs(np.fft.fft2((signal - signal.mean()) * window)) ** 2 / (window**2).sum() / PX_PER_NM**2
    frequency = np.fft.fftfreq(size) * PX_PER_NM
    return np.hypot(frequency[:, None], frequency), power


def mean_density(settings: Film, low: float, high: float, *, width_px: float = 0.01) -> float:
    """Of the relative signal, over a band of wave numbers and 30 films."""
    found = []
    for seed in range(30):
        signal = draw_film(settings, 128, PX_PER_NM, width_px, np.random.default_rng(seed)).signal
        wave_number, power = spectral_density(np.log(signal / 5.0))
        found.append(power[(wave_number > low) & (wave_number < high)].mean())
    return float(np.mean(found))


def test_the_films_own_atoms_are_white_noise_of_the_stated_density():
    assert mean_density(film(grain_nm2=(1e-6, 1e-6)), 1.0, 9.0) == pytest.approx(1e-6, rel=0.05)


def test_after_the_probe_they_are_spots_as_wide_as_it():
    """What is left of white noise is the square of the probe's transfer, exp(-(2 pi q sigma)^2)."""
    settings = film(grain_nm2=(1e-6, 1e-6))
    for low, high in ((1.4, 1.6), (2.1, 2.3)):
        transfer = np.exp(-((np.pi * (low + high) * 2.0 / PX_PER_NM) ** 2))
        assert mean_density(settings, low, high, width_px=2.0) == pytest.approx(1e-6 * transfer, rel=0.12)


def test_roughness_grows_with_the_wavelength_as_stated():
    settings = film(roughness_nm2=(1e-3, 1e-3), roughness_exponent=(2.5, 2.5))
    assert mean_density(settings, 0.47, 0.53) == pytest.approx(1e-3, rel=0.15)
    assert mean_density(settings, 1.9, 2.1) == pytest.approx(1e-3 / 4**2.5, rel=0.25)


def test_a_film_ends_at_an_edge_beyond_which_it_holds_nothing():
    ended = [
        draw_film(film(edge_probability=1.0), 96, PX_PER_NM, 1.0, np.random.default_rng(seed)) for seed in range(9)
    ]
    assert 0.2 < np.mean([drawn.holds.mean() for drawn in ended]) < 0.95
    for drawn in ended:
        if not drawn.holds.all():
            assert drawn.signal[~drawn.holds].mean() < 0.2 * drawn.signal[drawn.holds].max()
    whole = draw_film(film(), 96, PX_PER_NM, 1.0, np.random.default_rng(0))
    assert whole.holds.all() and whole.signal.mean() == pytest.approx(5.0, rel=0.01)


def test_single_atoms_lie_on_the_film_as_densely_as_stated_and_some_in_pairs():
    recipe = load_recipe("single_atoms")
    content = recipe.model_dump()
    content["material"] |= {"density_per_nm2": (0.4, 0.4), "pair_share": (0.5, 0.5), "pair_distance_nm": (0.2, 0.21)}
    content["film"] |= {"edge_probability": 0.0}
    even = type(recipe).model_validate(content)
    drawn = [simulate_image(even, seed=1, index=index) for index in range(30)]
    area = np.mean([(even.microscope.image_size * even.microscope.pixel_size_nm / one.scale) ** 2 for one in drawn])
    assert np.mean([len(one.x) for one in drawn]) == pytest.approx(1.5 * 0.4 * area, rel=0.07)
    apart = np.concatenate([nearest_nm(one, even.microscope.pixel_size_nm) for one in drawn])
    assert np.mean(apart < 0.22) == pytest.approx(2 * 0.5 / 1.5, abs=0.07)


def nearest_nm(drawn, pixel_size_nm: float) -> np.ndarray:
    positions = np.column_stack([drawn.x, drawn.y]) * pixel_size_nm / drawn.scale
    distance = np.hypot(*(positions[:, None] - positions[None]).transpose(2, 0, 1))
    return (distance + np.diag(np.full(len(distance), np.inf))).min(axis=1)


def test_an_unsteady_beam_makes_lines_brighter_and_darker_by_a_share_of_the_signal():
    recipe = load_recipe("single_atoms")
    content = recipe.model_dump()
    content["film"] |= {"edge_probability": 0.0, "roughness_nm2": (1e-9, 1e-9), "grain_nm2": (1e-9, 1e-9)}
    content["material"] |= {"density_per_nm2": (1e-6, 1e-6)}
    content["microscope"] |= {"counts_per_peak": (1e5, 1e5), "noise": (0.0, 0.0), "dark_level": (1e-3, 1e-3)}
    spread = []
    for flicker in (0.0, 0.02):
        content["microscope"] |= {"beam_flicker": (flicker, flicker)}
        image = simulate_image(type(recipe).model_validate(content), seed=1, index=0).image
        lines = image[:, 60:68].mean(axis=1)
        spread.append(np.std(lines) / np.mean(lines))
    assert spread[0] < 1e-3 and spread[1] == pytest.approx(0.02, rel=0.2)


def test_atoms_out_of_focus_are_wider_and_dimmer_with_the_same_flux():
    one = {"species": np.zeros(1, dtype=np.int64), "height": np.ones(1), "px_per_nm": 10.0}
    sharp, wide = (
        render_atoms(
            Specimen(x=np.array([30.2]), y=np.array([29.7]), width=np.array([width]), **one),
            60,
            np.eye(2) / 2.0**2,
            np.zeros(60),
        )
        for width in (1.0, 1.5)
    )
    assert wide.sum() == pytest.approx(sharp.sum(), rel=0.01) == pytest.approx(2 * np.pi * 2.0**2, rel=0.01)
    assert wide.max() == pytest.approx(sharp.max() / 1.5**2, rel=0.03)
