"""Atoms that are brighter or dimmer than their sublattice."""

import numpy as np
import pytest

from adatom.analyse.odd_atoms import find_odd_atoms, judge_sublattices
from tests.unit.analyse.test_sublattices import honeycomb


def test_stated_probabilities_are_how_often_it_is_so() -> None:
    """Fluxes as in a dichalcogenide some of whose light columns hold a heavier atom."""
    rng = np.random.default_rng(1)
    positions, known = honeycomb(60)
    is_odd = rng.random(len(known)) < np.where(known == 1, 0.05, 0.01)
    flux = np.where(known == 0, 14.0, 6.0) + rng.normal(0, 1.2, len(known))
    flux[is_odd] += rng.uniform(1, 8, is_odd.sum())
    found = find_odd_atoms(positions, flux)
    assert found is not None
    inner = found.sublattice >= 0
    np.testing.assert_array_equal(found.sublattice[inner], known[inner])
    assert found.flux == pytest.approx([14, 6], abs=0.1)
    assert found.spread == pytest.approx([1.2, 1.2], rel=0.1)
    p, truth = found.probability[inner], is_odd[inner]
    assert p.sum() == pytest.approx(truth.sum(), rel=0.35)  # fluxes that are hardly odd cannot be told
    assert truth[p > 0.9].mean() > 0.9
    assert truth[(p > 0.3) & (p < 0.9)].mean() == pytest.approx(0.6, abs=0.25)
    assert p[truth & (flux > np.where(known == 0, 19, 11))[inner]].min() > 0.8


def test_where_nothing_is_odd_next_to_nothing_is_called_so() -> None:
    rng = np.random.default_rng(2)
    positions, known = honeycomb(40)
    found = find_odd_atoms(positions, np.where(known == 0, 9.0, 5.0) + rng.normal(0, 0.5, len(known)))
    assert found is not None
    assert np.nansum(found.probability > 0.5) <= 0.002 * len(known)


def test_summary_and_columns_say_the_same_and_unfitted_atoms_are_left_out() -> None:
    rng = np.random.default_rng(3)
    positions, known = honeycomb(20)
    flux = np.where(known == 0, 5.0, 9.0) + rng.normal(0, 0.3, len(known))  # the second sublattice is the brighter one
    middle = int(np.argmin(((positions - positions.mean(axis=0)) ** 2).sum(axis=1)))
    flux[middle] += 20.0
    refined = np.ones(len(known), dtype=bool)
    refined[:3] = False
    columns = {"x": positions[:, 0], "y": positions[:, 1], "flux": flux, "refined": refined}
    added, facts = judge_sublattices(columns)
    assert facts is not None
    assert set(added["sublattice"]) <= {"A", "B", ""}
    assert added["sublattice"][middle] == ("A" if known[middle] else "B")
    assert facts["A"]["flux"] == pytest.approx(9.0, abs=0.1)
    assert facts[added["sublattice"][middle]]["n_brighter"] == 1
    assert added["odd_probability"][middle] > 0.99
    assert np.isnan(added["odd_probability"][:3]).all()


def test_equal_fluxes_and_none_at_all_are_no_trouble() -> None:
    positions, known = honeycomb(10)
    found = find_odd_atoms(positions, np.where(known == 0, 2.0, 1.0))
    assert found is not None
    assert np.nanmax(found.probability) < 0.5
    assert find_odd_atoms(positions, np.full(len(known), np.nan)) is None
