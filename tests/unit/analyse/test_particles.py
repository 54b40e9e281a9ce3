import numpy as np
import pytest
from scipy import ndimage

from adatom.analyse.particles import is_dark, segment_by_maps, segment_by_threshold
from adatom.errors import ArgumentError, ShapeError


def discs(*places, shape=(120, 140), blur=1.0, noise=0.05, seed=0) -> np.ndarray:
    """Discs (y, x, radius) of height 1, blurred, in noise."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for row, column, radius in places:
        image = np.maximum(image, np.hypot(y - row, x - column) <= radius)
    return ndimage.gaussian_filter(image, blur) + noise * np.random.default_rng(seed).normal(size=shape)


THREE = ((30, 30, 12), (30, 100, 8), (85, 70, 20))


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.4])
def test_discs_have_their_areas(noise):
    found = segment_by_threshold(discs(*THREE, noise=noise))
    assert found.n_particles == 3
    diameter = 2 * np.sqrt(np.bincount(found.instances.ravel())[1:] / np.pi)
    assert diameter == pytest.approx([24, 16, 40], rel=0.1)


def test_touching_ones_are_split_and_can_be_left_together():
    image = discs((50, 40, 15), (50, 68, 15), (50, 92, 11))
    assert segment_by_threshold(image).n_particles == 3
    assert segment_by_threshold(image, split=False).n_particles == 1


def test_one_long_particle_stays_one():
    y, x = np.mgrid[:100, :120]
    rod = (np.hypot((y - 50) / 12, (x - 60) / 22) <= 1) + 0.05 * np.random.default_rng(0).normal(size=(100, 120))
    assert segment_by_threshold(rod).n_particles == 1


def test_dim_particles_are_not_smaller_than_bright_ones():
    image = discs((40, 40, 15), noise=0.02) + 0.45 * discs((40, 100, 15), noise=0.0)
    area = np.bincount(segment_by_threshold(image).instances.ravel())[1:]
    assert area[0] == pytest.approx(area[1], rel=0.05)


def test_a_bent_ground_is_no_particle():
    y, x = np.mgrid[:120, :140]
    bent = 0.8 * ((x - 70) / 70) ** 2 + 0.6 * y / 120
    assert segment_by_threshold(discs(*THREE) + bent).n_particles == 3


def test_a_lattice_inside_is_not_an_outline():
    y, x = np.mgrid[:600, :600]
    disc = ndimage.gaussian_filter((np.hypot(y - 300, x - 280) < 180).astype(float), 3)
    lattice = disc * (1 + 0.3 * np.cos(x / 4) * np.cos(y / 4)) + 0.1 * np.random.default_rng(0).normal(size=x.shape)
    found = segment_by_threshold(lattice)
    assert found.n_particles == 1
    assert found.instances.sum() == pytest.approx(np.pi * 180**2, rel=0.05)


def test_dark_particles_and_which_phase_is_made_of_them():
    image = discs(*THREE)
    assert not is_dark(image) and is_dark(-image)
    assert segment_by_threshold(-image, dark=True).n_particles == 3
    dense = discs(*((row, column, 14) for row in range(18, 120, 34) for column in range(18, 140, 34)))
    assert not is_dark(dense) and is_dark(-dense)


def test_noise_holds_no_particles():
    for seed in range(5):
        assert segment_by_threshold(np.random.default_rng(seed).normal(size=(90, 90))).n_particles == 0


def test_unmeasured_pixels_belong_to_nothing():
    image = discs(*THREE)
    image[:, 100:] = np.nan
    found = segment_by_threshold(image)
    assert found.n_particles == 3
    assert not found.instances[:, 100:].any()


@pytest.mark.parametrize(
    "values", [np.zeros((30, 30)), np.full((30, 30), np.nan), np.ones((4, 200)), np.eye(40) * 1e300]
)
def test_hostile_images_are_no_error(values):
    found = segment_by_threshold(values)
    assert found.instances.shape == values.shape and len(found.probability) == found.instances.max()


def test_particles_of_one_pixel_are_too_small_unless_asked_for():
    image = np.zeros((40, 40))
    image[5::10, 5::10] = 1.0
    assert segment_by_threshold(image).n_particles == 0
    assert segment_by_threshold(image, smallest_diameter_px=1.0).n_particles == 16


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan])
def test_sizes_that_make_no_sense(size):
    with pytest.raises(ArgumentError, match="smallest diameter"):
        segment_by_threshold(discs(*THREE), smallest_diameter_px=size)


def test_what_is_no_image_is_refused():
    for wrong in (np.zeros(5), np.zeros((2, 9)), np.zeros((3, 9, 9))):
        with pytest.raises(ShapeError, match="image"):
            segment_by_threshold(wrong)


def test_boundaries_of_maps_part_particles():
    particle, boundary = np.full((50, 60), 0.02), np.zeros((50, 60))
    particle[10:40, 10:50] = 0.96
    particle[10:40, 28:31], boundary[10:40, 28:31] = 0.1, 0.88
    found = segment_by_maps(particle, boundary)
    assert found.n_particles == 2
    assert (found.instances > 0).sum() == 30 * 40  # the boundary belongs to one or the other
    assert found.probability == pytest.approx(0.97, abs=0.02)


def test_maps_of_nothing_and_of_nothing_else():
    nothing, all_of_it = np.zeros((20, 30)), np.ones((20, 30))
    assert segment_by_maps(nothing, nothing).n_particles == 0
    assert segment_by_maps(all_of_it, nothing).n_particles == 1
    assert segment_by_maps(nothing, all_of_it).n_particles == 1
    assert segment_by_maps(nothing * np.nan, nothing).n_particles == 0
    with pytest.raises(ShapeError, match="one shape"):
        segment_by_maps(nothing, nothing[:10])
