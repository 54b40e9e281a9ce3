from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adatom.errors import ShapeError
from adatom.prepare import image_periods

Array = NDArray[np.float64]
SHAPE = (128, 140)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
HEXAGON = np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]])


class Pattern(NamedTuple):
    """A lattice of unit nearest-neighbour distance, and its longest period in these distances."""

    vectors: Array
    basis: Array
    period: float


PATTERNS = {
    "hexagonal": Pattern(HEXAGON, np.zeros((1, 2)), np.sqrt(3) / 2),
    "square": Pattern(np.eye(2), np.zeros((1, 2)), 1.0),
    "honeycomb": Pattern(np.sqrt(3) * HEXAGON, np.array([[0, 0], [1 / 3, 1 / 3]]), 1.5),
}


def lattice(pattern: Pattern, distance: float, angle_deg: float) -> Array:
    angle = np.deg2rad(angle_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    vectors = distance * pattern.vectors @ turn
    cells = np.stack(np.meshgrid(np.arange(-60, 61), np.arange(-60, 61)), axis=-1).reshape(-1, 1, 2)
    x, y = ((cells + pattern.basis).reshape(-1, 2) @ vectors + (70, 64)).T
    near = (np.abs(x - 70) < 90) & (np.abs(y - 64) < 84)
    along_y, along_x = (
        np.exp(-0.5 * ((axis[:, None] - at[near]) / (0.25 * distance)) ** 2) for axis, at in ((Y[:, 0], y), (X[0], x))
    )
    return along_y @ along_x.T


def some_noise(seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=SHAPE)


@pytest.mark.parametrize("angle_deg", [0, 7, 15, 30, 41])
@pytest.mark.parametrize("distance", [5.0, 8.0, 12.0])
@pytest.mark.parametrize("name", PATTERNS)
def test_strongest_period_is_that_of_the_lattice(name, distance, angle_deg):
    image = lattice(PATTERNS[name], distance, angle_deg) + 0.3 * some_noise()
    period, share = image_periods(image)[0]
    assert period == pytest.approx(PATTERNS[name].period * distance, rel=0.05)
    assert 0.2 < share <= 1


@pytest.mark.parametrize("angle_deg", [0, 15, 41])
@pytest.mark.parametrize("name", PATTERNS)
def test_tilt_does_not_change_the_period(name, angle_deg):
    image = lattice(PATTERNS[name], 8.0, angle_deg) + 0.5 * X - 0.2 * Y
    assert image_periods(image)[0][0] == pytest.approx(PATTERNS[name].period * 8, rel=0.05)


@pytest.mark.parametrize("angle_deg", [0, 15, 41])
@pytest.mark.parametrize("name", PATTERNS)
def test_period_is_among_the_answers_also_with_a_step(name, angle_deg):
    image = lattice(PATTERNS[name], 8.0, angle_deg) + 3.0 * (X + 0.3 * Y > 80)
    wanted = PATTERNS[name].period * 8
    assert any(abs(period / wanted - 1) < 0.05 for period, _ in image_periods(image))


@pytest.mark.parametrize("value", [0.0, 3.3, 1e6, np.nan])
def test_constant_image_has_no_period(value):
    assert image_periods(np.full(SHAPE, value)) == []


def test_noise_seldom_has_a_period():
    found = [bool(image_periods(some_noise(seed))) for seed in range(25)]
    assert sum(found) <= 3


@pytest.mark.parametrize("name", PATTERNS)
def test_period_shows_through_noise_as_high_as_the_atoms(name):
    image = lattice(PATTERNS[name], 8.0, 15)
    for seed in range(5):
        period, _ = image_periods(image + some_noise(seed))[0]
        assert period == pytest.approx(PATTERNS[name].period * 8, rel=0.05)


def test_a_single_step_has_no_period():
    assert image_periods(4.0 * (X > 60)) == []


@pytest.mark.parametrize("factor", [1e-12, 1e6])
def test_unit_of_the_values_does_not_matter(factor):
    image = lattice(PATTERNS["square"], 8.0, 15) + 0.1 * some_noise()
    assert image_periods(factor * image)[0] == pytest.approx(image_periods(image)[0])


def test_number_and_shortest_period_are_obeyed():
    image = lattice(PATTERNS["square"], 8.0, 15)
    assert len(image_periods(image, n=1)) == 1
    assert all(period > 6 for period, _ in image_periods(image, shortest=6))


def test_missing_pixels_do_not_hide_the_period():
    image = lattice(PATTERNS["hexagonal"], 8.0, 15) + 0.1 * some_noise()
    image[100:, :] = np.nan
    image[20:40, 30:60] = np.nan
    assert image_periods(image)[0][0] == pytest.approx(np.sqrt(3) / 2 * 8, rel=0.05)


def test_what_is_no_image_is_told():
    with pytest.raises(ShapeError, match=r"expected a \(y, x\) array"):
        image_periods(np.zeros(5))


@settings(max_examples=30, deadline=None)
@given(
    shape=st.sampled_from([(1, 1), (1, 40), (3, 200), (11, 300), (12, 12), (13, 40), (31, 33)]),
    missing=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_any_size_and_any_gaps_are_answered(shape, missing, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape)
    image[rng.random(shape) < missing] = np.nan
    assert all(3 <= period <= max(shape) and 0 < share <= 1 for period, share in image_periods(image))
