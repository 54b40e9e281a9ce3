import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adatom.errors import ArgumentError, ShapeError
from adatom.locate import Peaks, find_blobs, match_positions

Array = NDArray[np.float64]
SHAPE = (80, 90)
SPACING = 9.0


def lattice_positions() -> Array:
    """Hexagonal lattice (n, 2), x and y, at 13 degrees, away from the border."""
    angle = np.deg2rad(13)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    vectors = SPACING * np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]]) @ turn
    cells = np.stack(np.meshgrid(np.arange(-20, 21), np.arange(-20, 21)), axis=-1).reshape(-1, 2)
    positions = cells @ vectors + [44.6, 40.3]
    return positions[((positions > 6) & (positions < [83, 73])).all(axis=1)]


def atoms_at(positions: Array, width: float = SPACING / 4) -> Array:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return sum(np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / width**2) for x, y in positions)


def found(peaks: Peaks) -> Array:
    return np.column_stack([peaks.x, peaks.y])


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("unit", [1.0, 1e-12, 1e6])
def test_every_atom_of_a_lattice_is_found_once(noise, unit):
    known = lattice_positions()
    image = atoms_at(known) + noise * np.random.default_rng(0).normal(size=SHAPE)
    match = match_positions(found(find_blobs(unit * image, spacing_px=SPACING)), known, tolerance=1.5)
    assert match.recall == 1
    assert match.precision > 0.98
    assert match.rms < 0.7


def test_vacancies_are_not_filled():
    known = np.delete(lattice_positions(), [10, 30, 31], axis=0)
    match = match_positions(found(find_blobs(atoms_at(known), spacing_px=SPACING)), known, tolerance=1.5)
    assert match.precision == match.recall == 1


def test_blobs_are_ranked_by_height_and_of_one_species():
    known = lattice_positions()
    image = atoms_at(known) + atoms_at(known[:1])
    peaks = find_blobs(image, spacing_px=SPACING)
    brightest = found(peaks)[peaks.probability.argmax()]
    assert np.hypot(*(brightest - known[0])) < 1
    assert peaks.probability.min() > 0
    assert peaks.probability.max() == 1
    assert not peaks.species.any()


def test_nothing_is_found_where_nothing_was_measured():
    image = atoms_at(lattice_positions())
    image[:, 45:] = np.nan
    peaks = find_blobs(image, spacing_px=SPACING)
    assert len(peaks.x) > 10
    assert peaks.x.max() < 45


@pytest.mark.parametrize("value", [0.0, 7.5, np.nan])
def test_constant_image_has_no_blobs(value):
    assert len(find_blobs(np.full(SHAPE, value), spacing_px=SPACING).x) == 0


def test_blobs_are_apart():
    image = np.random.default_rng(1).normal(size=SHAPE)
    peaks = find_blobs(image, spacing_px=SPACING)
    distance = np.hypot(peaks.x[:, None] - peaks.x, peaks.y[:, None] - peaks.y) + 1e9 * np.eye(len(peaks.x))
    assert distance.min() >= SPACING / 2


def test_mistakes_are_told():
    with pytest.raises(ShapeError, match=r"expected a \(y, x\) array"):
        find_blobs(np.zeros(5), spacing_px=3)
    with pytest.raises(ArgumentError, match="spacing_px: expected a positive number"):
        find_blobs(np.zeros((5, 5)), spacing_px=0)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([(1, 1), (1, 9), (9, 1), (3, 200), (13, 12)]),
    missing=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_any_size_and_any_gaps_are_searched(shape, missing, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape)
    image[rng.random(shape) < missing] = np.nan
    peaks = find_blobs(image, spacing_px=4)
    assert np.isfinite(image[peaks.y.astype(int), peaks.x.astype(int)]).all()
