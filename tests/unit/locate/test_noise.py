import numpy as np
import pytest

from adatom.locate.noise import estimate_noise

Y, X = np.mgrid[:160, :160]
SIGNAL = 1 + 40 * np.exp(-((X % 20 - 10.0) ** 2 + (Y % 20 - 10.0) ** 2) / 18)
EVERYWHERE = np.ones(SIGNAL.shape, dtype=bool)


@pytest.mark.parametrize(("gain", "read"), [(1.0, 0.0), (0.2, 0.0), (3.0, 5.0)])
def test_counts_and_read_noise_are_told_apart(gain, read):
    rng = np.random.default_rng(0)
    measured = gain * rng.poisson(SIGNAL / gain) + read * rng.normal(size=SIGNAL.shape)
    noise = estimate_noise(measured - SIGNAL, SIGNAL, EVERYWHERE)
    assert noise.gain == pytest.approx(gain, rel=0.1)
    assert noise.variance(np.array([5.0, 40.0])) == pytest.approx(gain * np.array([5, 40]) + read**2, rel=0.12)


def test_noise_that_knows_nothing_of_the_signal_is_constant():
    noise = estimate_noise(np.random.default_rng(0).normal(0, 3, SIGNAL.shape), SIGNAL, EVERYWHERE)
    assert noise.gain == 0
    assert noise.constant == pytest.approx(9, rel=0.05)


def test_what_was_not_modelled_and_what_was_not_measured_is_no_noise():
    rng = np.random.default_rng(0)
    left = rng.normal(size=SIGNAL.shape)
    left += 30 * np.exp(-((X - 60) ** 2 + (Y - 70) ** 2) / 32)  # a missed atom
    left[100, 100] = 500  # a hot pixel
    known = EVERYWHERE.copy()
    known[:, 120:] = False
    left[:, 120:] = 1e6
    assert estimate_noise(left, SIGNAL, known).constant == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("shape", [(2, 9), (3, 3), (30, 40)])
def test_an_image_without_noise_or_hardly_any_pixels_has_none(shape):
    noise = estimate_noise(np.zeros(shape), np.ones(shape), np.ones(shape, dtype=bool))
    assert noise.variance(np.ones(3)).tolist() == [0, 0, 0]
