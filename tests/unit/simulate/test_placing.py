"""Atoms between pixels: exactly where, and exactly as bright, as a direct sum has them."""

import numpy as np
import pytest

from adatom.simulate.placing import PointImage, oversampling_for, place_atoms

SIZE = 64


def gaussian(width_px: float) -> PointImage:
    """An atom that is nothing but its blur, with as much room around it as that takes."""
    fine = oversampling_for(0.7 / width_px)  # where its transform is 6e-5
    half = int(np.ceil(5 * width_px * fine))
    values = np.zeros((2 * half, 2 * half))
    values[half, half] = 1.0
    return PointImage(values, width_px, fine)


def direct_sum(x, y, height, width_px, row_shift) -> np.ndarray:
    along = np.arange(SIZE)
    dx = along[None, None, :] - x[:, None, None] - row_shift[None, :, None]
    dy = along[None, :, None] - y[:, None, None]
    return (height[:, None, None] * np.exp(-0.5 * (dx**2 + dy**2) / width_px**2)).sum(axis=0)


@pytest.mark.parametrize("width_px", [0.8, 1.5, 3.0])
def test_images_add_up_as_in_a_direct_sum_with_shifted_lines(width_px):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-6, SIZE + 6, (2, 80))
    height, row_shift = rng.uniform(0.2, 2.0, 80), rng.normal(0, 0.4, SIZE)
    one = gaussian(width_px)
    placed = place_atoms(x, y, height, SIZE, one, row_shift) / one.peak()
    assert placed == pytest.approx(direct_sum(x, y, height, width_px, row_shift), abs=2e-3)


def test_centre_of_gravity_is_the_position_to_a_thousandth_of_a_pixel():
    rng = np.random.default_rng(1)
    one = gaussian(1.3)
    for x, y in rng.uniform(25, 38, (30, 2)):
        image = place_atoms(np.array([x]), np.array([y]), np.ones(1), SIZE, one)
        assert image.sum(axis=0) @ np.arange(SIZE) / image.sum() == pytest.approx(x, abs=1e-3)
        assert image.sum(axis=1) @ np.arange(SIZE) / image.sum() == pytest.approx(y, abs=1e-3)


def test_nothing_comes_round_from_the_other_side():
    one = gaussian(2.0)
    x, y = np.array([-3.0, SIZE + 3.0]), np.array([SIZE + 2.0, -2.0])
    image = place_atoms(x, y, np.ones(2), SIZE, one) / one.peak()
    assert image[20:44, 20:44] == pytest.approx(0, abs=1e-5)
    assert image[:5, :5] == pytest.approx(0, abs=1e-5) and image[-5:, -5:] == pytest.approx(0, abs=1e-5)


def test_no_atom_is_an_empty_image():
    none = np.zeros(0)
    assert not place_atoms(none, none, none, SIZE, gaussian(2.0)).any()


def test_width_of_a_gaussian_is_its_own_and_its_peak_that_of_one():
    one = gaussian(1.7)
    assert one.gaussian_width_px() == pytest.approx(1.7, rel=1e-3)
    image = place_atoms(np.array([30.0]), np.array([31.0]), np.ones(1), SIZE, one)
    assert image[31, 30] == pytest.approx(one.peak(), rel=1e-4)
