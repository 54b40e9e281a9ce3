import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adatom.errors import ShapeError
from adatom.prepare import normalise, subtract_background, tame_outliers

Array = NDArray[np.float64]
Y, X = np.mgrid[:80, :90].astype(float)
ATOMS = np.cos(0.7 * X + 0.1 * Y) + np.cos(0.7 * Y - 0.1 * X) + 0.1 * np.random.default_rng(0).normal(size=X.shape)
ELSEWHERE = np.ones(ATOMS.shape, dtype=bool)
ELSEWHERE[40, 50] = False


def with_pixel(value: float) -> Array:
    return np.where(ELSEWHERE, ATOMS, value)


def test_median_is_zero_and_spread_is_one():
    image = normalise(5 + 3 * ATOMS, background_px=18)
    assert abs(np.median(image)) < 1e-9
    assert 1.4826 * np.median(np.abs(image)) == pytest.approx(1)


@pytest.mark.parametrize("hot", [1e6, -1e6, 1e12, 3.4e38])
def test_one_hot_pixel_changes_no_other(hot):
    image = normalise(with_pixel(hot), background_px=18)
    assert image[40, 50] == 5 * np.sign(hot)
    assert np.abs(image - normalise(ATOMS, background_px=18))[ELSEWHERE].max() < 0.05


@pytest.mark.parametrize("image", [ATOMS + 1e6, ATOMS - 1e6, ATOMS * 1e-12, ATOMS * 1e12, (ATOMS + 100) * 1e-12])
def test_offset_and_unit_do_not_matter(image):
    assert np.allclose(normalise(image, background_px=18), normalise(ATOMS, background_px=18), atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e6 + 0.1, -3e-12, 1e300, np.nan])
def test_constant_image_becomes_zeros(value):
    assert not normalise(np.full((30, 40), value), background_px=8).any()


def test_missing_pixels_become_zero_and_change_little_around_them():
    image = ATOMS.copy()
    image[30:50, 20:60] = np.nan
    normalised = normalise(image, background_px=18)
    assert not normalised[30:50, 20:60].any()
    far = np.abs(normalised - normalise(ATOMS, background_px=18))[:, 65:]
    assert far.max() < 0.2


@pytest.mark.parametrize("clip", [2.0, 5.0])
def test_bright_things_are_cut(clip):
    assert np.abs(normalise(with_pixel(30.0), background_px=18, clip=clip)).max() == clip


def test_slow_background_goes_and_atoms_stay():
    hill = 4 * np.exp(-((X - 40) ** 2 + (Y - 40) ** 2) / 60**2)
    left = subtract_background(ATOMS + hill, sigma_px=9) - subtract_background(ATOMS, sigma_px=9)
    assert left.std() < 0.25 * hill.std()
    assert np.corrcoef(subtract_background(ATOMS, sigma_px=9).ravel(), ATOMS.ravel())[0, 1] > 0.99


def test_hot_pixel_digs_no_hole_into_the_background():
    left = subtract_background(with_pixel(1e6), sigma_px=9) - subtract_background(ATOMS, sigma_px=9)
    assert np.abs(left[ELSEWHERE]).max() < 0.1


def test_background_keeps_missing_pixels_missing():
    image = ATOMS.copy()
    image[:10] = np.nan
    assert np.array_equal(np.isnan(subtract_background(image, sigma_px=9)), np.isnan(image))
    assert np.isnan(subtract_background(np.full((5, 5), np.nan), sigma_px=9)).all()


def test_what_is_no_image_is_told():
    with pytest.raises(ShapeError, match=r"expected a \(y, x\) array"):
        normalise(np.zeros(5), background_px=3)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([(1, 1), (1, 7), (7, 1), (2, 2), (3, 200), (200, 3), (11, 13)]),
    missing=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_any_size_and_any_gaps_give_numbers_within_the_clip(shape, missing, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape)
    image[rng.random(shape) < missing] = np.nan
    assert np.abs(normalise(image, background_px=20)).max() <= 5


def test_tamed_outliers_leave_the_rest_as_it_is():
    tamed = tame_outliers(with_pixel(1e6))
    assert tamed.max() < 100
    assert (tamed != with_pixel(1e6)).sum() == 1


def test_atoms_amid_padding_or_far_apart_are_no_outliers():
    padded = np.pad(ATOMS, 90, constant_values=0.1)
    assert np.array_equal(tame_outliers(padded), padded)
    lonely = 0.005 * np.random.default_rng(1).normal(size=X.shape)
    for x, y in ((20, 20), (60, 30), (30, 60), (75, 65)):
        lonely += np.exp(-0.5 * ((X - x) ** 2 + (Y - y) ** 2) / 2.0**2)
    assert np.array_equal(tame_outliers(lonely), lonely)
