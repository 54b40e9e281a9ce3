"""Sets of species hold the right one as often as was asked for."""

import numpy as np
import pytest

from adatom.errors import ArgumentError
from adatom.models.conformal import Conformal, species_sets


def stated(n: int, seed: int, boast: float = 1.0):
    """Probabilities of three species that are right, or boast, and the true species."""
    rng = np.random.default_rng(seed)
    of_species = rng.dirichlet([0.5, 0.5, 0.5], n)
    true = (rng.random(n)[:, None] > of_species.cumsum(axis=1)).sum(axis=1).clip(max=2)
    sharp = of_species**boast
    return sharp / sharp.sum(axis=1, keepdims=True), true


@pytest.mark.parametrize("coverage", [0.7, 0.9, 0.97])
@pytest.mark.parametrize("boast", [1.0, 3.0])
def test_coverage_is_what_was_asked_for_whether_probabilities_are_right_or_not(coverage, boast):
    known = Conformal.of(*stated(5000, 0, boast))
    assert known.coverage(*stated(20000, 1, boast), coverage) == pytest.approx(coverage, abs=0.015)


def test_few_atoms_make_sets_wider_and_very_few_make_none():
    assert Conformal.of(*stated(10, 0)) is None
    few = Conformal.of(*stated(60, 0))
    assert few.holds(np.array([[0.0, 0.0, 1.0]]), 0.99).all()  # sixty cannot vouch for 99 %


def test_one_species_needs_no_set():
    assert Conformal.of(np.ones((100, 1)), np.zeros(100, np.int64)) is None


def test_sets_are_named_with_the_likeliest_first():
    known = Conformal(100, (0.0, 0.5, 0.9))
    sets = species_sets(known, np.array([[0.2, 0.7, 0.1], [0.0, 0.0, 1.0]]), ["Mo", "S2", "V_S"], 0.95)
    assert list(sets) == ["S2|Mo|V_S", "V_S"]


def test_it_comes_back_from_its_facts():
    known = Conformal.of(*stated(500, 0))
    assert Conformal.from_dict(known.as_dict()) == known
    assert Conformal.from_dict(None) is None


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1, 1.5, float("nan")])
def test_coverages_that_make_no_sense_are_errors(coverage):
    with pytest.raises(ArgumentError, match="coverage: expected a number between 0 and 1"):
        Conformal(100, (0.0, 0.5)).limit(coverage)


def test_a_model_that_does_not_know_says_so():
    with pytest.raises(ArgumentError, match=r"coverage: .* Train it anew\."):
        species_sets(None, None, ["A", "B"], 0.9)
