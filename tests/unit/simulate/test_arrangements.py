import numpy as np
import pytest
from scipy.spatial import cKDTree

from adatom.simulate.arrangements import ARRANGEMENTS, DIMMEST

RADIUS = 9.0
SEEDS = range(12)
CRYSTALS = ["honeycomb", "hexagonal", "square", "rectangular", "oblique", "si111_7x7"]
every_arrangement = pytest.mark.parametrize("name", ARRANGEMENTS)


def drawn(name: str, seed: int, radius: float = RADIUS) -> tuple[np.ndarray, np.ndarray]:
    return ARRANGEMENTS[name](np.random.default_rng(seed), radius)


def nearest(positions: np.ndarray) -> np.ndarray:
    return cKDTree(positions).query(positions, k=2)[0][:, 1]


@every_arrangement
def test_a_seed_is_always_the_same_arrangement(name):
    for seed in SEEDS:
        for once, again in zip(drawn(name, seed), drawn(name, seed), strict=True):
            assert np.array_equal(once, again)


@every_arrangement
def test_atoms_have_positions_in_the_disc_and_heights_above_zero(name):
    piece = 4.0 if name in ("moire", "molecules") else 0.0  # pieces and second layers may stand out
    for seed in SEEDS:
        positions, height = drawn(name, seed)
        assert positions.shape == (len(height), 2)
        assert (np.hypot(*positions.T) <= RADIUS + piece + 1e-9).all()
        assert (height > 0).all()


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_shortest_distance_in_a_crystal_is_one_and_no_atom_is_too_dim_to_see(name):
    for seed in SEEDS:
        positions, height = drawn(name, seed)
        assert nearest(positions).min() == pytest.approx(1)
        assert height.min() / height.max() >= DIMMEST


@pytest.mark.parametrize(("name", "closest"), [("moire", 0.6), ("molecules", 0.75), ("isolated", 1.0)])
def test_where_atoms_lie_at_random_none_are_on_top_of_each_other(name, closest):
    for seed in SEEDS:
        positions, _ = drawn(name, seed)
        assert len(positions) < 2 or nearest(positions).min() >= closest


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_crystal_fills_the_disc(name):
    """Around every inner point, within two cells of any of them, there is an atom."""
    grid = np.stack(np.meshgrid(*[np.linspace(-5, 5, 21)] * 2), axis=-1).reshape(-1, 2)
    for seed in SEEDS:
        assert cKDTree(drawn(name, seed)[0]).query(grid)[0].max() < 2.0


@pytest.mark.parametrize(("name", "n_neighbours"), [("honeycomb", 3), ("hexagonal", 6), ("square", 4)])
def test_inner_atoms_have_the_neighbours_of_their_lattice(name, n_neighbours):
    for seed in SEEDS:
        positions, _ = drawn(name, seed)
        inner = positions[np.hypot(*positions.T) < RADIUS - 1.5]
        tree = cKDTree(positions)
        assert {len(found) - 1 for found in tree.query_ball_point(inner, 1.01)} == {n_neighbours}


def test_the_two_atoms_of_a_honeycomb_differ_and_alternate():
    positions, height = drawn("honeycomb", 0)
    kinds = np.unique(height)
    assert len(kinds) == 2 and kinds[1] == 1
    pairs = cKDTree(positions).query_pairs(1.01, output_type="ndarray")
    assert (height[pairs[:, 0]] != height[pairs[:, 1]]).all()


def test_si111_has_twelve_adatoms_a_cell():
    positions, _ = drawn("si111_7x7", 0, radius=40.0)
    cell = (2.688 / 0.665) ** 2 * np.sqrt(0.75)  # its edge and its closest adatoms, on two sides of a domain wall [nm]
    assert len(positions) / (np.pi * 40**2) == pytest.approx(12 / cell, rel=0.02)


def test_moire_modulates_or_adds_a_layer():
    several = [drawn("moire", seed) for seed in range(30)]
    modulated = [height for _, height in several if np.ptp(height) > 0]
    assert len(modulated) > 20
    assert len({len(height) for _, height in several}) > 2


def test_molecules_leave_room_between_them():
    coverage = [len(drawn("molecules", seed)[0]) / (np.pi * RADIUS**2) for seed in range(20)]
    assert 0 < np.median(coverage) < 0.8 * len(drawn("honeycomb", 0)[0]) / (np.pi * RADIUS**2)


def test_nothing_is_empty():
    positions, height = drawn("nothing", 0)
    assert positions.shape == (0, 2) and height.shape == (0,)
