import json

import numpy as np
import pytest
from plain_gp import PlainGP

from adatom.decide import Constraint, Costs, Disc, Region, Search
from adatom.errors import ArgumentError, ExperimentError, ShapeError

SIDE = 15


def square(side=SIDE):
    y, x = np.mgrid[:side, :side]
    return np.column_stack([x.ravel(), y.ravel()]) / (side - 1)


def branin(places):
    """Negated, so that its three minima are maxima; x and y of the unit square."""
    x, y = 15 * places[:, 0] - 5, 15 * places[:, 1]
    return -((y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


def go_on(search, truth, n, batch=1):
    asked = []
    for _ in range(n):
        which = search.ask(batch)
        search.tell(which, truth[which])
        asked += which.tolist()
    return asked


def test_a_model_needs_fewer_measurements_than_chance():
    places = square(30)
    truth = branin(places)
    top = np.sort(truth)[-5]
    needed = {"expected_improvement": [], "random": []}
    for name, numbers in needed.items():
        for seed in range(3):
            search = Search(places, surrogate=PlainGP(), acquisition=name, n_initial=5, random_state=seed)
            asked = go_on(search, truth, 60)
            found = np.flatnonzero(truth[asked] >= top)
            numbers.append(found[0] if len(found) else len(asked))
    assert max(needed["expected_improvement"]) < 40
    assert np.mean(needed["expected_improvement"]) < 0.7 * np.mean(needed["random"])


@pytest.mark.parametrize(
    "name", ["expected_improvement", "thompson", "knowledge_gradient", "random", "latin_hypercube"]
)
@pytest.mark.parametrize("killed", [1, 4, 7])
def test_a_killed_search_goes_on_as_if_nothing_had_been(name, killed):
    places, truth = square(), branin(square())
    settings = {"acquisition": name, "n_initial": 4, "random_state": 3, "region": Region([Disc(0.5, 0.5, 0.2)])}
    whole = go_on(Search(places, surrogate=PlainGP(), **settings), truth, 9, batch=2)
    search = Search(places, surrogate=PlainGP(), **settings)
    first = go_on(search, truth, killed, batch=2)
    waiting = search.ask(2)
    state = json.loads(json.dumps(search.state(), allow_nan=False))
    search = Search.resume(state, places, surrogate=PlainGP())
    assert search.pending.tolist() == waiting.tolist()
    search.tell(waiting, truth[waiting])
    assert first + waiting.tolist() + go_on(search, truth, 8 - killed, batch=2) == whole


def test_other_candidates_are_refused():
    state = Search(square(), surrogate=PlainGP()).state()
    with pytest.raises(ExperimentError, match="places: expected the candidates"):
        Search.resume(state, square() + 1e-6, surrogate=PlainGP())
    with pytest.raises(ExperimentError, match="places: expected the candidates"):
        Search.resume(state, square(), inputs=2 * square(), surrogate=PlainGP())


def test_a_function_of_ones_own_has_to_be_given_again():
    def rightmost(outlook):
        return outlook.places[:, 0]

    truth = branin(square())
    search = Search(square(), surrogate=PlainGP(), acquisition=rightmost, n_initial=2)
    go_on(search, truth, 2)
    assert square()[search.ask()[0], 0] == 1
    with pytest.raises(ExperimentError, match="acquisition: expected"):
        Search.resume(search.state(), square(), surrogate=PlainGP())
    assert Search.resume(search.state(), square(), surrogate=PlainGP(), acquisition=rightmost).ask(1).size == 1


def test_nothing_is_asked_twice_and_nothing_forbidden():
    places = square(8)
    region = Region([Disc(0, 0, 0.4)], margin_nm=0.1)
    allowed = region.allows(places)
    search = Search(places, surrogate=PlainGP(), region=region, n_initial=5)
    asked = []
    while len(which := search.ask(3)):
        values = branin(places[which])
        values[which % 5 == 0] = np.nan  # these fail
        search.tell(which, values)
        asked += which.tolist()
    assert sorted(asked) == np.flatnonzero(allowed).tolist()
    assert sorted([*search.failed, *search.measured]) == sorted(asked)
    assert len(search.failed) == sum(each % 5 == 0 for each in asked)
    assert not len(search.ask())


@pytest.mark.parametrize("batch", ["conditioning", "penalise"])
@pytest.mark.parametrize("name", ["expected_improvement", "upper_confidence_bound", "maximum_uncertainty"])
def test_places_of_a_batch_keep_apart(name, batch):
    places = square()
    search = Search(places, surrogate=PlainGP(), acquisition=name, batch=batch, n_initial=8)
    go_on(search, branin(places), 8)
    ranked = np.argsort(-search._worth_of(search._acquisition, search.belief(), np.arange(len(places)), []))
    greedy = np.hypot(*(places[ranked[0]] - places[ranked[1]]))
    first, second = places[search.ask(2)]
    away = np.hypot(*(first - second))
    # near the expected best place, which is nearly the best known, the penalty reaches no farther than one candidate
    assert away > greedy or (batch == "penalise" and name == "expected_improvement" and away == greedy)


def test_what_is_pending_counts_as_if_it_turned_out_as_expected():
    places = square()
    together = Search(places, surrogate=PlainGP(), n_initial=8)
    apart = Search(places, surrogate=PlainGP(), n_initial=8)
    for search in (together, apart):
        go_on(search, branin(places), 8)
    assert together.ask(3).tolist() == [apart.ask()[0] for _ in range(3)]


def test_costs_keep_the_probe_near():
    places = 100 * square()
    truth = branin(square())
    ways = []
    for costs in (None, Costs(speed_nm_per_s=1, measure_s=1)):
        search = Search(places, surrogate=PlainGP(25), acquisition="maximum_uncertainty", costs=costs, n_initial=4)
        asked = go_on(search, truth, 30)
        ways.append(np.hypot(*np.diff(places[asked[4:]], axis=0).T).sum())
    assert ways[1] < 0.6 * ways[0]


def test_the_best_place_meets_the_constraints():
    places = square()
    values = np.column_stack([places[:, 0], places[:, 0] + places[:, 1]])
    limit = Constraint(1, at_most=0.6)
    search = Search(places, surrogate=PlainGP(0.5), weights=(1, 0), constraints=[limit], n_initial=5)
    go_on(search, values, 20)
    number, best = search.best()
    assert best[1] <= 0.6 and best[0] > 0.55 and places[number, 1] < 0.06


def test_several_objectives_fill_the_front():
    places = square()
    values = np.column_stack([places[:, 0], -places[:, 0] - (places[:, 1] - 0.5) ** 2])
    search = Search(places, surrogate=PlainGP(0.5), acquisition="expected_hypervolume_improvement", n_initial=6)
    asked = go_on(search, values, 16)
    on_front = np.isclose(places[asked[6:], 1], 0.5)
    assert on_front.sum() >= 6  # the front is the line y = 0.5
    assert np.unique(places[asked[6:]][on_front, 0]).size >= 6


def test_faults_are_told():
    search = Search(square(), surrogate=PlainGP())
    with pytest.raises(ArgumentError, match="which: expected numbers of candidates"):
        search.tell([SIDE**2], [1.0])
    with pytest.raises(ShapeError, match="values: expected"):
        search.tell([0, 1], [1.0])
    search.tell([0], [1.0])
    with pytest.raises(ShapeError, match="expected 1 a candidate, got 2"):
        search.tell([1], [[1.0, 2.0]])
    assert search.measured.tolist() == [0]
    with pytest.raises(ArgumentError, match="surrogate: expected a model"):
        Search(square(), surrogate=None)
    with pytest.raises(ArgumentError, match="acquisition: expected one of expected_improvement"):
        Search(square(), surrogate=None, acquisition="expected_improvment")
    with pytest.raises(ArgumentError, match="places, inputs: expected finite"):
        Search(np.full((3, 2), np.nan), surrogate=PlainGP())
