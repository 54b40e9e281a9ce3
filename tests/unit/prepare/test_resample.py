import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from adatom.errors import ArgumentError, ShapeError
from adatom.prepare import positions_back, resample
from adatom.prepare.resample import local_mean

Array = NDArray[np.float64]


def spot(y: float, x: float, shape: tuple[int, int] = (61, 83)) -> Array:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-0.5 * ((rows - y) ** 2 + (columns - x) ** 2) / 2.5**2)


def centre(image: Array) -> tuple[float, float]:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return float((image * rows).sum() / image.sum()), float((image * columns).sum() / image.sum())


@pytest.mark.parametrize(
    "factor",
    [(0.4, 0.4), (0.5, 0.5), (0.77, 0.77), (1, 1), (1.3, 1.3), (2, 2), (2.37, 2.37), (3, 3), (0.4, 3), (1, 0.7)],
)
def test_a_spot_comes_back_to_where_it_was(factor):
    rng = np.random.default_rng(0)
    for y, x in rng.uniform((20, 25), (40, 55), (10, 2)):
        resampled, true_factor = resample(spot(y, x), factor)
        there = centre(resampled)
        back = [float(positions_back(there[k], true_factor[k])) for k in (0, 1)]
        assert back == pytest.approx([y, x], abs=0.02)


@pytest.mark.parametrize("factor", [0.4, 0.77, 1.3, 3])
def test_size_is_the_nearest_whole_number_of_pixels(factor):
    resampled, true_factor = resample(np.zeros((61, 83)), (factor, factor))
    assert resampled.shape == (round(61 * factor), round(83 * factor))
    assert true_factor == pytest.approx((resampled.shape[0] / 61, resampled.shape[1] / 83))


def test_factor_one_changes_nothing_and_copies():
    image = spot(30, 40)
    same, factor = resample(image, (1, 1))
    assert factor == (1, 1)
    assert np.array_equal(same, image)
    assert same is not image


@pytest.mark.parametrize("factor", [0.4, 0.6, 1.7])
def test_values_keep_their_mean_and_noise_is_not_folded_back(factor):
    noise = 3 + np.random.default_rng(1).normal(size=(120, 120))
    resampled, _ = resample(noise, (factor, factor))
    assert resampled.mean() == pytest.approx(noise.mean(), abs=0.02)
    assert resampled.std() < 1.05 * min(1, 1.7 * factor)


@pytest.mark.parametrize("factor", [0.5, 1.5, 3])
def test_missing_pixels_stay_missing_and_spoil_no_others(factor):
    image = spot(30, 60)
    image[:, :20] = np.nan
    resampled, true_factor = resample(image, (factor, factor))
    missing = np.isnan(resampled)
    assert missing[:, : int(18 * true_factor[1])].all()
    assert not missing[:, int(22 * true_factor[1]) :].any()
    assert np.nanmax(resampled) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("factor", [0.6, 2.37])
@pytest.mark.parametrize(("unit", "offset"), [(1.0, 1e6), (1.0, -1e9), (1e-12, 1e-6), (1e12, 0.0)])
def test_neither_unit_nor_a_huge_offset_costs_digits(factor, unit, offset):
    plain, _ = resample(spot(30.3, 40.6), (factor, factor))
    again, _ = resample(unit * spot(30.3, 40.6) + offset, (factor, factor))
    assert np.abs((again - offset) / unit - plain).max() < 1e-6


@pytest.mark.parametrize("sigma_px", [1.0, 5.0, 9.0, 20.0, 45.0])
@pytest.mark.parametrize("shape", [(120, 150), (61, 260)])
def test_local_mean_is_that_of_a_gaussian(sigma_px, shape):
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = 2 + np.cos(0.7 * columns) * np.cos(0.6 * rows) + 0.3 * rng.normal(size=shape) + columns / shape[1]
    expected = ndimage.gaussian_filter(image, sigma_px, mode="reflect")
    assert np.abs(local_mean(image, sigma_px) / expected - 1).max() < 0.02


@pytest.mark.parametrize("factor", [(0, 1), (1, -2), (np.nan, 1), (1, np.inf)])
def test_factor_that_makes_no_sense_is_told(factor):
    with pytest.raises(ArgumentError, match="factor: expected positive numbers"):
        resample(np.zeros((5, 5)), factor)


def test_what_is_no_image_is_told():
    with pytest.raises(ShapeError, match=r"expected a \(y, x\) array"):
        resample(np.zeros(5), (1, 1))


@settings(max_examples=60, deadline=None)
@given(
    shape=st.sampled_from([(1, 1), (1, 7), (7, 1), (2, 2), (3, 200), (11, 13)]),
    factor=st.tuples(st.floats(0.05, 4), st.floats(0.05, 4)),
    missing=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_any_size_and_any_gaps_are_resampled(shape, factor, missing, seed):
    rng = np.random.default_rng(seed)
    image = rng.uniform(size=shape)
    image[rng.random(shape) < missing] = np.nan
    resampled, true_factor = resample(image, factor)
    assert min(resampled.shape) >= 1
    assert not np.isinf(resampled).any()
    first, last = (
        positions_back(np.array([-0.5, n - 0.5]), f) for n, f in zip(resampled.shape, true_factor, strict=True)
    )
    assert first == pytest.approx([-0.5, shape[0] - 0.5])
    assert last == pytest.approx([-0.5, shape[1] - 0.5])
