"""Any atoms in any arrangement: what the specimen of a recipe without a material is."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from adatom.models.recipe import load_recipe
from adatom.simulate import simulate_image


def images(recipe, n):
    return [simulate_image(recipe, seed=2, index=index) for index in range(n)]


def nearest(drawn) -> np.ndarray:
    positions = np.column_stack([drawn.x, drawn.y])
    return cKDTree(positions).query(positions, k=2)[0][:, 1]


def test_the_shipped_recipe_has_its_atoms_inside_and_each_on_its_label():
    recipe = load_recipe("any_atoms")
    size, n_atoms = recipe.microscope.image_size, []
    for drawn in images(recipe, 25):
        assert np.isfinite(drawn.image).all() and set(np.unique(drawn.label)) <= {0, 1}
        for at in (drawn.x, drawn.y):
            assert ((at >= -0.5) & (at < size - 0.5)).all()
        assert (drawn.label[np.round(drawn.y).astype(int), np.round(drawn.x).astype(int)] == 1).all()
        n_atoms.append(len(drawn.x))
    assert min(n_atoms) < 30 and max(n_atoms) > 200  # from a few atoms to a dense crystal


def test_the_truth_of_the_shipped_recipe_is_repeatable():
    recipe = load_recipe("any_atoms")
    for index in (3, 11):
        once, again = (simulate_image(recipe, seed=5, index=index) for _ in range(2))
        for name in ("image", "label", "x", "y", "species"):
            assert np.array_equal(getattr(once, name), getattr(again, name))


def test_distances_of_neighbours_are_those_asked_for(any_atoms):
    distances = [np.median(nearest(drawn)) for drawn in images(any_atoms(spacing_nm=(0.5, 1.2)), 40)]
    assert 5.0 <= min(distances) + 1e-6 < 6.0 and 10.0 < max(distances) <= 12.0 + 1e-6
    assert np.median(distances) == pytest.approx(np.sqrt(5 * 12), rel=0.12)  # even in the logarithm


def test_atoms_stand_as_wide_as_the_arrangement_says_within_what_the_microscope_can(any_atoms):
    """A lone Gaussian falls to exp(-1/2) a standard deviation from its top."""
    lone = {"arrangements": {"hexagonal": 1.0}, "spacing_nm": (2.4, 2.4)}
    for limits, width in (((0.05, 2.0), 24 * 0.15), ((0.05, 0.25), 2.5)):
        (drawn,) = images(any_atoms(**lone, peak_width=(0.15, 0.15), peak_width_nm=limits), 1)
        rows, columns = np.mgrid[:96, :96]
        apart = np.hypot(rows[..., None] - drawn.y, columns[..., None] - drawn.x).min(axis=2)
        ring = np.abs(apart - width) < 0.05
        assert drawn.image[8:-8, 8:-8][ring[8:-8, 8:-8]].mean() == pytest.approx(np.exp(-0.5), abs=0.03)


def test_grains_lie_at_different_angles_and_keep_apart(any_atoms):
    def angles(drawn):
        """Directions of the bonds from one sublattice, of which a single crystal has three."""
        positions = np.column_stack([drawn.x, drawn.y])
        pairs = cKDTree(positions).query_pairs(8.1, output_type="ndarray")
        turn = np.arctan2(*(positions[pairs[:, 0]] - positions[pairs[:, 1]]).T) % (np.pi / 3)
        return np.count_nonzero(np.histogram(turn, bins=60, range=(0, np.pi / 3))[0] > 8)

    turned = {"rotation_deg": (0.0, 360.0), "image_size": 128}
    single, grained = (images(any_atoms(grains_probability=share, **turned), 12) for share in (0.0, 1.0))
    assert max(angles(drawn) for drawn in single) <= 2
    assert np.mean([angles(drawn) >= 2 for drawn in grained]) > 0.7
    assert min(nearest(drawn).min() for drawn in grained) >= 0.65 * 8


def test_drift_shifts_the_lines_of_the_slow_scan_each_as_a_whole(any_atoms):
    straight, bent = (images(any_atoms(drift=(share, share)), 1)[0] for share in (0.0, 0.2))
    moved = np.column_stack([bent.x, bent.y])
    _, partner = cKDTree(np.column_stack([straight.x, straight.y])).query(moved)
    shift = moved - np.column_stack([straight.x, straight.y])[partner]
    inner = (np.abs(moved - 47.5) < 40).all(axis=1)
    order = np.argsort(straight.y[partner][inner])
    assert np.ptp(shift[inner], axis=0).max() > 1.0
    assert np.abs(np.diff(shift[inner][order], axis=0)).max() < 0.4


def test_an_arrangement_is_drawn_as_often_as_its_weight_says(any_atoms):
    weights = {"nothing": 1.0, "hexagonal": 3.0, "honeycomb": 0.0}
    empty = [len(drawn.x) == 0 for drawn in images(any_atoms(arrangements=weights, image_size=32), 120)]
    assert np.mean(empty) == pytest.approx(0.25, abs=0.1)
