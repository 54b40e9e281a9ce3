"""Atoms up to the border and of either contrast, by the finder that ships, on a crystal whose atoms are all known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import adatom as ad
from adatom.locate import match_positions
from tests.physics.conftest import Array, Crystal, draw_honeycomb


def find(values: Array, **options) -> Array:
    return ad.find(ad.make_image(values), **options)[["x", "y"]].to_numpy()


@pytest.mark.parametrize("angle", [0.0, 0.2, 0.5])
def test_all_atoms_on_the_image_are_found_and_none_whose_centre_is_outside(angle: float) -> None:
    """About a fifth of the atoms lie within a bond of the border, and as many again just beyond it."""
    crystal = draw_honeycomb(160, 160, angle=angle)
    found = find(crystal.values)
    assert crystal.f1(found) >= 0.99
    assert ((found >= -0.5) & (found < 159.5)).all()


def test_atoms_that_the_border_cuts_are_where_they_are(honeycomb: Crystal) -> None:
    found = find(honeycomb.values)
    match = match_positions(found, honeycomb.atoms[honeycomb.inside], tolerance=0.3 * honeycomb.bond)
    wrong = found[match.found] - honeycomb.atoms[honeycomb.inside][match.known]
    cut = (np.abs(found[match.found] - 79.5) > 79.5 - 4).any(axis=1)
    assert cut.sum() > 15
    assert np.sqrt((wrong[~cut] ** 2).mean()) < 0.1
    assert np.sqrt((wrong[cut] ** 2).mean()) < 0.4
    outwards = (wrong * np.sign(found[match.found] - 79.5))[cut]
    assert abs(outwards.mean()) < 0.2  # neither drawn in nor pushed out


def test_dark_atoms_are_found_as_bright_ones_in_the_negative(honeycomb: Crystal) -> None:
    bright, dark = find(honeycomb.values, contrast="bright"), find(-honeycomb.values, contrast="dark")
    np.testing.assert_allclose(dark, bright, atol=1e-6)
    assert honeycomb.f1(dark) >= 0.99


def test_what_is_bright_in_the_negative_is_not_where_the_atoms_are(honeycomb: Crystal) -> None:
    assert honeycomb.f1(find(-honeycomb.values, contrast="bright")) < 0.2


def test_without_a_word_the_atoms_of_a_bright_image_are_bright(honeycomb: Crystal) -> None:
    atoms = ad.find(ad.make_image(honeycomb.values))
    assert atoms.attrs["summary"]["contrast"] == "bright"
    np.testing.assert_array_equal(atoms[["x", "y"]], find(honeycomb.values, contrast="bright"))


def test_without_a_word_the_gaps_of_a_dark_honeycomb_are_not_its_atoms(honeycomb: Crystal) -> None:
    atoms = ad.find(ad.make_image(-honeycomb.values))
    assert atoms.attrs["summary"]["contrast"] == "dark"
    assert honeycomb.f1(atoms[["x", "y"]].to_numpy()) >= 0.99


@pytest.mark.parametrize("sign", [1, -1])
def test_without_a_word_lone_atoms_are_seen_whether_bright_or_dark(sign: int) -> None:
    rng = np.random.default_rng(0)
    grid = np.arange(15.0, 150, 16)
    known = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2) + rng.uniform(-2, 2, (len(grid) ** 2, 2))
    along_x, along_y = (np.exp(-0.5 * ((np.arange(160) - at[:, None]) / 2.0) ** 2) for at in known.T)
    lone = Crystal(sign * (along_y.T @ along_x + 0.05 * rng.normal(size=(160, 160))), known, 10.0)
    atoms = ad.find(ad.make_image(lone.values))
    assert atoms.attrs["summary"]["contrast"] == ("bright" if sign > 0 else "dark")
    assert lone.f1(atoms[["x", "y"]].to_numpy()) >= 0.95


def test_lone_atoms_far_apart_are_told_from_the_grains_of_noise_and_an_uneven_ground() -> None:
    """Forty atoms anywhere, noise of a quarter of their height, ground that varies by more than that; of ten such
    images one is seen too coarsely.
    """
    scores = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        places = np.stack(np.meshgrid(np.arange(20, 310, 27.0), np.arange(20, 310, 27.0)), axis=-1).reshape(-1, 2)
        known = rng.permutation(places)[:40] + rng.uniform(-6, 6, (40, 2))
        along_x, along_y = (np.exp(-0.5 * ((np.arange(320) - at[:, None]) / 2.5) ** 2) for at in known.T)
        image = (rng.uniform(0.7, 1.3, (40, 1)) * along_y).T @ along_x
        image += 10 * gaussian_filter(rng.normal(size=image.shape), 25) + 0.25 * rng.normal(size=image.shape)
        scores.append(Crystal(image, known, 10.0).f1(find(image)))
    assert np.mean(scores) >= 0.95
    assert min(scores) >= 0.85
