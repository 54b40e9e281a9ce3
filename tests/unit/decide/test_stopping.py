import numpy as np
import pytest
from plain_gp import PlainGP

from adatom.decide import Search
from adatom.decide.stopping import Budget, NoMoreImprovement, UncertaintyBelow
from adatom.errors import ArgumentError


def measured(n, length=0.5):
    places = np.random.default_rng(0).random((200, 2))
    search = Search(places, surrogate=PlainGP(length, noise=0.01), acquisition="expected_improvement", n_initial=10)
    for _ in range(n):
        which = search.ask()
        search.tell(which, -((places[which] - 0.5) ** 2).sum(axis=1))
    return search


def test_a_budget_ends():
    search = measured(12)
    assert Budget(points=13)(search) is None
    assert Budget(points=12)(search) == "The budget of 12 measurements is spent."
    assert Budget(seconds=60)(search, elapsed_s=59) is None
    assert "60 s is spent, after 12 measurements" in Budget(seconds=60)(search, elapsed_s=60)
    assert "All candidates" in Budget()(measured(200))


def test_a_map_that_is_known_ends_a_search():
    rule = UncertaintyBelow(std=0.02)
    assert rule(measured(5)) is None
    assert "below 0.02" in rule(measured(40))
    assert rule(measured(40, length=0.02)) is None  # a model that knows nothing between its points
    with pytest.raises(ArgumentError, match="std above 0"):
        UncertaintyBelow(std=0)


def test_a_search_that_finds_nothing_better_ends():
    rule = NoMoreImprovement(regret=0.01)
    assert rule(measured(20)) is None
    assert "brought nothing better" in rule(measured(60))
    assert rule(measured(60, length=0.02)) is None
