"""Probabilities that mean what they say, and error bars that are as wide as the errors."""

import numpy as np
import pytest

from adatom.models.calibration import Calibration, Curve, expected_calibration_error, fit_curve, fit_std_factor


def finds(n: int = 40_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure of themselves, and which finds are right."""
    rng = np.random.default_rng(seed)
    true = rng.beta(0.6, 0.4, n)
    stated = true**2 / (true**2 + (1 - true) ** 2)
    return stated, rng.random(n) < true


def test_probabilities_become_shares_of_right_finds():
    stated, is_right = finds()
    curve = fit_curve(stated, is_right)
    held_back, truth = finds(seed=1)
    assert expected_calibration_error(held_back, truth) > 0.05
    assert expected_calibration_error(curve(held_back), truth) < 0.01
    assert (curve.low, curve.high) == pytest.approx((0.5, 0.5), abs=0.05)


def test_a_calibration_keeps_the_order():
    stated, is_right = finds(2000)
    calibrated = fit_curve(stated, is_right)(np.linspace(0, 1, 101))
    assert (np.diff(calibrated) >= 0).all() and calibrated.min() >= 0 and calibrated.max() <= 1


def test_probabilities_that_run_the_wrong_way_are_never_turned_round():
    stated, is_right = finds(5000)
    calibrated = fit_curve(stated, ~is_right)(np.linspace(0, 1, 11))
    assert (np.diff(calibrated) >= 0).all()


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_error_bars_become_as_wide_as_the_errors(factor):
    rng = np.random.default_rng(0)
    std = rng.uniform(0.1, 0.5, 5000)
    error = factor * std * rng.normal(size=5000)
    error[:10] = 50.0  # of other atoms
    assert fit_std_factor(error, std) == pytest.approx(factor, rel=0.05)


def test_a_few_finds_calibrate_nothing():
    assert fit_curve(np.ones(5), np.ones(5, bool)) == Curve() and fit_std_factor(np.ones(5), np.ones(5)) == 1.0
    assert np.allclose(Curve()(np.array([0.1, 0.5, 0.9])), [0.1, 0.5, 0.9])


def test_few_wrong_finds_move_all_probabilities_together():
    stated, is_right = np.full(400, 0.7), np.arange(400) < 392
    curve = fit_curve(stated, is_right)
    assert (curve.low, curve.high) == (1.0, 1.0)
    assert curve(np.array([0.7]))[0] == pytest.approx(392.5 / 401, abs=1e-6)
    assert fit_curve(stated, np.ones(400, bool))(np.array([0.7]))[0] < 1 - 1e-3


def test_a_calibration_comes_back_from_what_a_file_holds():
    calibration = Calibration(Curve(0.5, 0.7, -1.0), Curve(1.0, 2.0, 0.1), 1.3)
    assert Calibration.from_dict(calibration.as_dict()) == calibration


def test_the_calibration_error_of_no_finds_is_none():
    assert expected_calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0
    assert expected_calibration_error(np.full(10, 0.7), np.arange(10) < 7) == pytest.approx(0.0)
    assert expected_calibration_error(np.full(10, 0.7), np.zeros(10, bool)) == pytest.approx(0.7)
