import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adatom.errors import ShapeError
from adatom.prepare import has_line_offsets, level_lines, level_plane

Array = NDArray[np.float64]
SHAPE = (96, 120)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
TILT = 0.05 * X - 0.03 * Y


def lattice(angle_deg: float, period: float = 9.0, skew: float = 0.0) -> Array:
    """Square lattice of atoms of height 1; with `skew` they rise faster than they fall, as a slow feedback draws."""
    angle = np.deg2rad(angle_deg)
    along, across = X * np.cos(angle) + Y * np.sin(angle), Y * np.cos(angle) - X * np.sin(angle)
    dx, dy = ((a + period / 2) % period - period / 2 for a in (along, across))
    width = np.where(dx < 0, 1 - skew, 1 + skew) * period / 4.5
    return np.exp(-0.5 * (dx / width) ** 2 - 0.5 * (dy / (period / 4.5)) ** 2)


def rise(values: Array) -> float:
    """Height that the best plane gains over the image, along the axis where it gains more."""
    slopes = [np.polyfit(np.arange(n), values.mean(axis=1 - k), 1)[0] * n for k, n in enumerate(SHAPE)]
    return float(np.abs(slopes).max())


@pytest.mark.parametrize("angle_deg", [0, 20, 45, 90])
def test_tilt_goes_exactly_and_the_step_stays(angle_deg):
    angle = np.deg2rad(angle_deg)
    terraces = 3.0 * ((X - 65) * np.cos(angle) + (Y - 50) * np.sin(angle) > 0)
    assert np.ptp(level_plane(terraces + TILT) - terraces) < 1e-9


@pytest.mark.parametrize("angle_deg", [0, 7, 30, 45])
def test_tilt_of_a_lattice_goes(angle_deg):
    atoms = lattice(angle_deg)
    assert rise(level_plane(atoms + TILT) - atoms) < 0.1


@pytest.mark.parametrize("angle_deg", [0, 7, 30, 45])
def test_skewed_atoms_leave_a_tilt_below_their_own_height(angle_deg):
    atoms = lattice(angle_deg, skew=0.5)
    assert rise(TILT) > 5
    assert rise(level_plane(atoms + TILT) - atoms) < 1.0


def test_result_has_zero_median_and_missing_pixels_stay_missing():
    image = lattice(7) + TILT + 1e3
    image[:20, :50] = np.nan
    levelled = level_lines(level_plane(image))
    assert np.array_equal(np.isnan(levelled), np.isnan(image))
    assert abs(np.nanmedian(levelled)) < 1e-9


@pytest.mark.parametrize("values", [np.zeros(5), np.zeros((2, 2, 2)), np.zeros((0, 4))])
@pytest.mark.parametrize("level", [level_plane, level_lines])
def test_what_is_no_image_is_told(level, values):
    with pytest.raises(ShapeError, match=r"expected a \(y, x\) array"):
        level(values)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("period", [5.0, 9.0, 25.0])
@pytest.mark.parametrize("angle_deg", [0, 0.5, 2, 30, 90])
def test_clean_lattice_is_left_alone_also_with_its_rows_along_the_scan(angle_deg, period, noise):
    image = lattice(angle_deg, period) + noise * np.random.default_rng(0).normal(size=SHAPE)
    assert not has_line_offsets(image)
    assert np.ptp(level_lines(image) - image) < 1e-12


@pytest.mark.parametrize("offset", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("angle_deg", [7, 15, 30, 80])
def test_offsets_of_lines_go(angle_deg, offset):
    rng = np.random.default_rng(1)
    image = lattice(angle_deg) + 0.05 * rng.normal(size=SHAPE)
    levelled = level_lines(image + offset * rng.normal(size=(SHAPE[0], 1)))
    left = (levelled - image).mean(axis=1)
    assert left.std() < 0.1


def test_offsets_go_where_rows_of_atoms_lie_along_the_scan():
    # Offsets and rows of atoms look alike there: the rows' own profile, 0.2 of an atom's height, may go with them.
    rng = np.random.default_rng(2)
    image = lattice(0)
    levelled = level_lines(image + rng.normal(size=(SHAPE[0], 1)))
    assert (levelled - image).mean(axis=1).std() < 0.25


def test_step_survives_the_levelling_of_lines():
    terraces = 3.0 * (X + 0.5 * Y > 80)
    image = terraces + 0.05 * np.random.default_rng(3).normal(size=SHAPE)
    assert np.std(level_lines(image) - terraces) < 0.1


def test_missing_lines_do_not_hide_offsets():
    rng = np.random.default_rng(4)
    image = lattice(15)
    noisy = image + rng.normal(size=(SHAPE[0], 1))
    noisy[40:45], noisy[80:, 60:] = np.nan, np.nan
    left = level_lines(noisy) - image
    rows = np.nanmean(left[np.isfinite(left).any(axis=1)], axis=1)
    assert np.std(rows[:40]) < 0.1
    assert np.std(rows[40:]) < 0.1


@pytest.mark.parametrize("missing", [[40], [40, 41, 42], range(0, 96, 6), [0, 1, 2], [93, 94, 95]])
def test_lines_on_both_sides_of_missing_ones_fit_together(missing):
    rng = np.random.default_rng(5)
    image = lattice(15) + 0.05 * rng.normal(size=SHAPE)
    measured = np.ones(SHAPE[0], dtype=bool)
    measured[list(missing)] = False
    noisy = np.where(measured[:, None], image + rng.normal(size=(SHAPE[0], 1)), np.nan)
    levelled = level_lines(noisy)
    assert np.array_equal(np.isfinite(levelled).all(axis=1), measured)
    left = (levelled - image)[measured].mean(axis=1)
    assert left.std() < 0.12


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([(1, 1), (1, 7), (7, 1), (2, 2), (3, 200), (200, 3), (11, 13), (24, 24), (25, 8)]),
    missing=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_any_size_and_any_gaps_are_levelled(shape, missing, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape)
    image[rng.random(shape) < missing] = np.nan
    for level in (level_plane, level_lines):
        levelled = level(image)
        assert np.array_equal(np.isfinite(levelled), np.isfinite(image))
