"""Statistics of points that lie at random, cluster, or avoid each other."""

import numpy as np
import pytest
from crystals import square

from adatom.analyse.spatial_statistics import count_interval, pair_distribution, ripley_l, share_interval
from adatom.errors import ArgumentError

BOX = (0.0, 0.0, 10.0, 8.0)


def at_random(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(BOX[:2], BOX[2:], (n, 2))


def test_points_at_random_are_told_as_such():
    results = [ripley_l(at_random(120, seed), BOX, seed=seed + 1000) for seed in range(30)]
    assert np.mean([result.p_value < 0.1 for result in results]) < 0.3
    assert np.mean([result.value for result in results]) == pytest.approx(0, abs=0.02)
    density = [pair_distribution(at_random(300, seed), BOX, n_random=19).value[5:] for seed in range(10)]
    assert np.mean(density) == pytest.approx(1, abs=0.03)


def test_clusters_and_lattices_are_told_from_randomness():
    parents = at_random(15, 1)
    clustered = np.repeat(parents, 8, axis=0) + 0.2 * np.random.default_rng(2).standard_normal((120, 2))
    inside = ((clustered > BOX[:2]) & (clustered < BOX[2:])).all(axis=1)
    together = ripley_l(clustered[inside], BOX)
    assert together.p_value <= 0.01 and together.value[np.argmin(np.abs(together.distance - 0.5))] > 0.2
    lattice = square(11, 0.7) + 0.3
    apart = ripley_l(lattice, BOX)
    assert apart.p_value <= 0.01 and apart.value[apart.distance < 0.65].max() < 0


def test_border_takes_no_pairs_away():
    """g(r) of a lattice has its first peak's weight, 4 neighbours of 4, in spite of the atoms at the border."""
    lattice = square(16, 0.5) + 0.25
    box = (0.0, 0.0, 8.0, 8.0)
    found = pair_distribution(lattice, box, longest=0.6, n_bins=60, n_random=9)
    shell = np.pi * np.diff(np.linspace(0, 0.6, 61) ** 2)
    assert (found.value * shell)[found.distance > 0.4].sum() / 0.5**2 == pytest.approx(4, rel=0.02)


def test_intervals_of_counts_and_shares_are_the_exact_ones():
    assert count_interval(0) == pytest.approx((0, 3.689), abs=1e-3)
    assert count_interval(10) == pytest.approx((4.795, 18.390), abs=1e-3)
    assert share_interval(0, 20)[1] == pytest.approx(0.1684, abs=1e-4)
    assert share_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("points", "box", "told"),
    [(at_random(2, 0), BOX, "three points"), (at_random(9, 0), (1, 0, 0, 1), "left < right")],
)
def test_impossible_input_is_told(points, box, told):
    with pytest.raises(ArgumentError, match=told):
        ripley_l(points, box)
