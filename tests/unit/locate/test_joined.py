"""Atoms of several models made one list."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from adatom.errors import ArgumentError
from adatom.locate import Peaks
from adatom.locate.joined import join_peaks


def peaks(positions, probability=0.9, std=0.1, of_species=None) -> Peaks:
    positions = np.asarray(positions, dtype=float).reshape(-1, 2)
    n = len(positions)
    of_species = np.ones((n, 1)) if of_species is None else np.asarray(of_species, dtype=float)
    species = of_species.argmax(axis=1)
    found = Peaks.at(positions[:, 0], positions[:, 1], species, np.broadcast_to(np.asarray(probability, float), (n,)))
    deviation = np.broadcast_to(np.asarray(std, float), (n,))
    return replace(found, x_std=deviation, y_std=deviation, flux=np.ones(n), of_species=of_species)


def lattice(n: int = 20, spacing: float = 8.0) -> np.ndarray:
    return np.column_stack([axis.ravel() for axis in np.mgrid[:n, :n]]).astype(float) * spacing


def test_one_model_alone_is_not_changed():
    one = peaks(lattice(), 0.8)
    joined = join_peaks([one], tolerance_px=2.8, n_species=1)
    order = np.lexsort((joined.y, joined.x))
    np.testing.assert_allclose(np.column_stack([joined.x, joined.y])[order], lattice(), atol=1e-9)
    np.testing.assert_allclose(joined.probability, 0.8)
    np.testing.assert_allclose(joined.x_std, 0.1)
    assert np.isnan(joined.x_std_model).all()
    np.testing.assert_allclose(joined.entropy_model, 0, atol=1e-9)


@pytest.mark.parametrize("scatter", [0.0, 0.1, 0.5, 1.0])
def test_what_all_models_see_is_one_atom_however_they_scatter_within_the_tolerance(scatter):
    rng = np.random.default_rng(0)
    members = [peaks(lattice() + rng.normal(size=(400, 2)) * scatter * 0.5) for _ in range(6)]
    joined = join_peaks(members, tolerance_px=2.8, n_species=1)
    assert len(joined.x) == 400
    assert (joined.n_members == 6).all()
    np.testing.assert_allclose(joined.probability, 0.9)


def test_an_atom_that_only_some_see_is_kept_with_the_mean_of_all():
    both, alone = [[10, 10]], [[10, 10], [30, 10]]
    joined = join_peaks([peaks(both), peaks(both), peaks(alone, [0.9, 0.6])], tolerance_px=3, n_species=1)
    lone = joined.x.argmax()
    assert len(joined.x) == 2 and joined.n_members[lone] == 1
    assert joined.probability[lone] == pytest.approx(0.2)
    assert joined.probability_std[lone] == pytest.approx(np.std([0, 0, 0.6]))


def test_two_atoms_of_a_model_near_one_of_another_stay_two():
    joined = join_peaks([peaks([[10, 10], [12.5, 10]]), peaks([[10.2, 10]])], tolerance_px=3, n_species=1)
    assert sorted(joined.n_members.tolist()) == [1, 2]


def test_the_order_of_the_models_has_no_say():
    rng = np.random.default_rng(1)
    members = [peaks(lattice(8) + rng.normal(size=(64, 2)), rng.uniform(0.1, 1, 64)) for _ in range(3)]
    results = []
    for order in itertools.permutations(members):
        joined = join_peaks(list(order), tolerance_px=2.8, n_species=1)
        table = np.column_stack([joined.x, joined.y, joined.probability, joined.n_members, joined.entropy_model])
        results.append(table[np.lexsort((table[:, 1], table[:, 0]))])
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0])


def test_positions_lean_to_the_surer_model():
    joined = join_peaks([peaks([[10, 10]], std=0.1), peaks([[11, 10]], std=0.3)], tolerance_px=3, n_species=1)
    assert joined.x[0] == pytest.approx(10 + 1 / 10)


def test_the_variance_is_that_of_the_data_and_that_of_the_models():
    members = [peaks([[10, 10]], std=0.3), peaks([[10.8, 10]], std=0.3), peaks([[9.2, 10]], std=0.3)]
    joined = join_peaks(members, tolerance_px=3, n_species=1)
    assert joined.x_std_data[0] == pytest.approx(0.3)
    assert joined.x_std_model[0] == pytest.approx(np.std([10, 10.8, 9.2], ddof=1))
    assert joined.y_std_model[0] == pytest.approx(0, abs=1e-9)
    assert joined.x_std[0] ** 2 == pytest.approx(joined.x_std_data[0] ** 2 + joined.x_std_model[0] ** 2)
    twice = joined.rescaled(2)
    assert twice.x_std[0] == 2 * joined.x_std[0] and twice.x_std_data[0] == 2 * joined.x_std_data[0]


def test_known_entropies():
    """Two models that are both undecided differ in nothing; two that are sure of the contrary differ in all."""
    undecided = join_peaks([peaks([[5, 5]], 0.5)] * 2, tolerance_px=3, n_species=1)
    assert undecided.entropy_data[0] == pytest.approx(np.log(2)) and undecided.entropy_model[0] == pytest.approx(
        0, abs=1e-9
    )
    contrary = join_peaks([peaks([[5, 5]], 1.0), peaks(np.zeros((0, 2)))], tolerance_px=3, n_species=1)
    assert contrary.entropy_data[0] == pytest.approx(0, abs=1e-9) and contrary.entropy_model[0] == pytest.approx(
        np.log(2)
    )
    species = [peaks([[5, 5]], 1.0, of_species=[row]) for row in ([1.0, 0.0], [0.0, 1.0])]
    joined = join_peaks(species, tolerance_px=3, n_species=2)
    assert joined.entropy_model[0] == pytest.approx(np.log(2)) and joined.entropy_data[0] == pytest.approx(0, abs=1e-9)


def test_a_model_for_which_there_is_no_atom_does_not_vote_on_its_species():
    members = [peaks([[5, 5]], p, of_species=[row]) for p, row in ((0.9, [0.8, 0.2]), (0.1, [0.0, 1.0]))]
    joined = join_peaks(members, tolerance_px=3, n_species=2)
    np.testing.assert_allclose(joined.of_species[0], [0.72, 0.28])
    assert joined.species[0] == 0 and joined.species_probability[0] == pytest.approx(0.72)


def test_nothing_found_by_any_is_nothing():
    joined = join_peaks([peaks(np.zeros((0, 2)))] * 3, tolerance_px=3, n_species=1)
    assert len(joined.x) == len(joined.n_members) == len(joined.of_species) == 0


def test_no_model_is_an_error():
    with pytest.raises(ArgumentError, match="at least one model"):
        join_peaks([], tolerance_px=3, n_species=1)
