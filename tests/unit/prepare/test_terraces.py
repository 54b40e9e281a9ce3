"""A crystal on terraces: what stands on them is known, so what is left of the steps is."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

from adatom.data import make_image
from adatom.prepare import SquareImage, flatten_terraces, level_plane

Array = NDArray[np.float64]
SIZE = 192
Y, X = np.mgrid[:SIZE, :SIZE].astype(float)
SPACING = 11.0


def crystal(angle_deg: float = 12.0) -> Array:
    """Square lattice of atoms of height 1, with a little noise."""
    angle = np.deg2rad(angle_deg)
    along, across = X * np.cos(angle) + Y * np.sin(angle), Y * np.cos(angle) - X * np.sin(angle)
    dx, dy = ((a + SPACING / 2) % SPACING - SPACING / 2 for a in (along, across))
    return np.exp(-(dx**2 + dy**2) / (2 * (0.25 * SPACING) ** 2)) + np.random.default_rng(3).normal(0, 0.03, X.shape)


def oblique(angle_deg: float, at: float = 0.0) -> Array:
    """Distance from a straight edge [px]."""
    angle = np.deg2rad(angle_deg)
    return (X - SIZE / 2) * np.cos(angle) + (Y - SIZE / 2) * np.sin(angle) - at


def left_over(flat: Array, atoms: Array) -> Array:
    """What is left in a flattened image beside its atoms and slow waves: that is, of its steps."""
    rest = flat - atoms
    return rest - ndimage.gaussian_filter(rest, 20)


def flattened(values: Array) -> Array:
    return flatten_terraces(level_plane(values))


@pytest.mark.parametrize("height", [1.0, -3.0, 20.0])
@pytest.mark.parametrize("angle_deg", [0, 33, 90, 128])
def test_a_straight_step_goes_whatever_its_direction_and_height(angle_deg, height):
    atoms = crystal()
    flat = flattened(atoms + height * expit(oblique(angle_deg) / 1.2))
    assert left_over(flat, atoms).std() < 0.03


def test_bent_and_kinked_edges_are_followed():
    atoms = crystal()
    arc = np.hypot(X + 140, Y - SIZE / 2) - 240
    kinked = X - 80 - 14 * expit((Y - 100) / 6)
    for beyond in (arc, kinked):
        assert left_over(flattened(atoms + 3 * expit(beyond / 1.2)), atoms).std() < 0.08


@pytest.mark.parametrize("second", [3.0, -3.0])
def test_stairs_and_trenches_go(second):
    atoms = crystal()
    steps = 3 * expit(oblique(20, -35) / 1.2) + second * expit(oblique(20, 35) / 1.2)
    assert left_over(flattened(atoms + steps), atoms).std() < 0.03


def test_a_step_nearly_along_the_scan_leaves_tilt_and_line_offsets_to_levelling():
    atoms = crystal()
    offsets = np.random.default_rng(1).normal(0, 0.5, (SIZE, 1))
    image = atoms + offsets + 0.03 * X - 0.02 * Y + 5 * expit(oblique(80) / 1.2)
    flat = SquareImage.of(make_image(image)).values
    assert left_over(flat, atoms).std() < 0.1


def test_what_was_not_measured_stays_so_and_hides_no_step():
    atoms = crystal()
    image = np.where(np.hypot(X - 90, Y - 100) < 30, np.nan, atoms + 3 * expit(oblique(10) / 1.2))
    flat = flattened(image)
    assert np.array_equal(np.isnan(flat), np.isnan(image))
    assert np.nanstd(flat - atoms) < 0.1


@pytest.mark.parametrize("factor", [1e-12, 1e9])
def test_units_do_not_matter(factor):
    image = crystal() + 3 * expit(oblique(70) / 1.2)
    assert np.allclose(flattened(image * factor) / factor, flattened(image), atol=1e-6)


def waves() -> Array:
    return 3 * np.sin(2 * np.pi * (X + 0.3 * Y) / (1.5 * SIZE))


def contamination() -> Array:
    return 6 * np.clip(20 * ndimage.gaussian_filter(np.random.default_rng(0).normal(size=X.shape), 12), 0, 1)


def big_atoms() -> Array:
    return np.cos(2 * np.pi * X / 50) * np.cos(2 * np.pi * Y / 50)


UNSTEPPED = {
    "a crystal": crystal(),
    "a tilted one": crystal() + 0.3 * X,
    "waves": crystal() + waves(),
    "a smooth slope between two levels": crystal() + 3 * expit(oblique(30) / 15),
    "an island": crystal() + 3 * (np.hypot(X - 100, Y - 90) < 40),
    "a small island in the corner": crystal() + 3 * (np.hypot(X, Y) < 45),
    "contamination": crystal() + contamination(),
    "the border of a crystal": np.where(oblique(10) > 0, crystal() + 2, 0.05 * crystal()),
    "large atoms": big_atoms(),
    "large clipped atoms": np.clip(big_atoms(), -0.1, 0.1) + 0.01 * crystal(),
    "an atom on dark ground": 5 * np.exp(-((X - 60) ** 2 + (Y - 70) ** 2) / 50) + 0.1 * crystal(),
    "noise": np.random.default_rng(0).normal(size=X.shape),
    "a constant": np.ones(X.shape),
    "nothing measured": np.full(X.shape, np.nan),
    "a few pixels": crystal()[:9, :9],
}


@pytest.mark.parametrize("name", UNSTEPPED)
def test_what_is_no_step_stays_bit_for_bit(name):
    levelled = level_plane(UNSTEPPED[name])
    assert flatten_terraces(levelled) is levelled
