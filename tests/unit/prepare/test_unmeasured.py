"""Constant borders are not measured."""

import numpy as np
import pytest

from adatom.prepare import blank_padding

NOISE = np.random.default_rng(0).normal(size=(40, 50))


@pytest.mark.parametrize("fill", [0.0, -3.0, 1e6, np.nan])
def test_lines_of_one_value_at_the_border_become_nan(fill):
    padded = np.full((60, 80), fill)
    padded[5:45, 10:60] = NOISE
    blanked = blank_padding(padded)
    assert np.array_equal(blanked[5:45, 10:60], NOISE)
    assert np.isfinite(blanked).sum() == NOISE.size


def test_measured_lines_stay():
    dead = NOISE.copy()
    dead[20] = 0.0  # inside, not at the border
    assert np.array_equal(blank_padding(dead), dead)


@pytest.mark.parametrize("values", [np.zeros((8, 9)), np.full((8, 9), np.nan)], ids=["constant", "unknown"])
def test_nothing_measured_stays_as_it_is(values):
    assert np.array_equal(blank_padding(values), values, equal_nan=True)


@pytest.mark.parametrize("axis", [0, 1])
def test_stripes_are_no_padding(axis):
    stripes = np.repeat(np.array([0.0] * 10 + [1.0] * 10)[:, None], 30, axis=1)
    stripes = stripes if axis == 0 else stripes.T
    assert np.array_equal(blank_padding(stripes), stripes)
