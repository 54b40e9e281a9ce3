import numpy as np
import pytest
from scipy import ndimage

from benchmarks.two_atom_images import FAULTS, draw_image, resampled


def test_the_clean_image_is_highest_at_its_bright_atoms_at_every_scale():
    drawn = draw_image("clean", "test", 3)
    for factor in (0.4, 1.0, 3.0):
        changed = resampled(drawn, factor)
        values = ndimage.spline_filter(changed.values)
        x, y = changed.positions[changed.species == 0].T
        inner = (np.minimum(x, y) > changed.bond) & (np.maximum(x, y) < len(values) - changed.bond)
        here = ndimage.map_coordinates(values, [y[inner], x[inner]], prefilter=False)
        for shift in ((0, 0.2), (0.2, 0), (0, -0.2), (-0.2, 0)):
            place = [y[inner] + shift[0] * changed.bond, x[inner] + shift[1] * changed.bond]
            assert np.mean(here > ndimage.map_coordinates(values, place, prefilter=False)) > 0.95


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_image_keeps_its_known_atoms_on_measured_pixels(name):
    changed = FAULTS[name](draw_image("noisy", "test", 0), np.random.default_rng(0))
    y_nm, x_nm = changed.pixel_nm or (1.0, 1.0)
    row, column = np.round(changed.y / y_nm).astype(int), np.round(changed.x / x_nm).astype(int)
    inside = (row >= 0) & (column >= 0) & (row < changed.values.shape[0]) & (column < changed.values.shape[1])
    assert len(row) > 5 and inside.mean() > 0.95
    assert np.isfinite(changed.values[row[inside], column[inside]]).all()
    assert changed.image.shape == changed.values.shape


def test_an_image_is_a_function_of_its_number_and_streams_share_nothing():
    first = draw_image("noisy", "test", 5)
    assert np.array_equal(first.values, draw_image("noisy", "test", 5).values)
    assert draw_image("clean", "test", 5).bond == first.bond
    assert draw_image("noisy", "train", 5).bond != first.bond
