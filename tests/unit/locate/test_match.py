import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adatom.locate import match_positions

Array = NDArray[np.float64]


def closest_first(found: Array, known: Array, tolerance: float) -> set[tuple[int, int]]:
    """The same by looking at every pair again and again."""
    distance = np.hypot(*(found[:, None] - known[None]).transpose(2, 0, 1))
    pairs = set()
    while distance.size and distance.min() <= tolerance:
        i, j = np.unravel_index(distance.argmin(), distance.shape)
        pairs.add((int(i), int(j)))
        distance[i, :] = distance[:, j] = np.inf
    return pairs


@settings(max_examples=60, deadline=None)
@given(n_found=st.integers(0, 25), n_known=st.integers(0, 25), tolerance=st.floats(0.01, 3), seed=st.integers(0, 99))
def test_pairs_are_one_to_one_and_the_closest_first(n_found, n_known, tolerance, seed):
    rng = np.random.default_rng(seed)
    found, known = rng.uniform(0, 5, (n_found, 2)), rng.uniform(0, 5, (n_known, 2))
    match = match_positions(found, known, tolerance=tolerance)
    assert set(zip(match.found.tolist(), match.known.tolist(), strict=True)) == closest_first(found, known, tolerance)
    assert np.allclose(match.distance, np.hypot(*(found[match.found] - known[match.known]).T))


def test_the_same_positions_match_themselves():
    positions = np.random.default_rng(0).uniform(0, 50, (40, 2))
    match = match_positions(positions, positions[::-1], tolerance=1e-6)
    assert np.array_equal(np.sort(match.found), np.arange(40))
    assert np.array_equal(match.known, 39 - match.found)
    assert match.rms == 0


def test_figures_of_a_matching():
    match = match_positions([[0, 0], [10, 0], [20, 0]], [[0, 3], [10, 4], [40, 0], [50, 0]], tolerance=5)
    assert match.precision == pytest.approx(2 / 3)
    assert match.recall == pytest.approx(2 / 4)
    assert match.f1 == pytest.approx(2 * 2 / 7)
    assert match.rms == pytest.approx(np.sqrt((9 + 16) / 2))


@pytest.mark.parametrize(
    ("found", "known", "precision", "recall", "f1"),
    [([], [], 1, 1, 1), ([], [[0, 0]], 1, 0, 0), ([[0, 0]], [], 0, 1, 0), ([[0, 0]], [[9, 9]], 0, 0, 0)],
)
def test_figures_without_pairs(found, known, precision, recall, f1):
    match = match_positions(found, known, tolerance=1)
    assert (match.precision, match.recall, match.f1) == (precision, recall, f1)
    assert np.isnan(match.rms)


def test_one_known_atom_explains_only_one_found():
    match = match_positions([[0.4, 0], [0.1, 0], [-0.2, 0]], [[0, 0]], tolerance=1)
    assert match.found.tolist() == [1]
