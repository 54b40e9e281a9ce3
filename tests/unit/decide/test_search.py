"""`Search`: asking and telling, whatever happens between."""

import json

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from adatom.decide import (
    ACQUISITIONS,
    Budget,
    Cost,
    Disc,
    NoImprovement,
    Polygon,
    Posterior,
    Rectangle,
    Search,
    UncertaintyBelow,
)
from adatom.decide.route import length_of, short_route
from adatom.errors import ArgumentError, ShapeError

SIDE = 16
PLACES = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 2) * 10.0


def hill(places: np.ndarray) -> np.ndarray:
    """One hill, at (110, 40) nm."""
    return np.exp(-((places[:, 0] - 110) ** 2 + (places[:, 1] - 40) ** 2) / (2 * 25**2))


class Fixed:
    """A process of fixed length and noise, by scikit-learn."""

    def fit(self, inputs, targets):
        kernel = RBF(25.0, "fixed") + WhiteKernel(1e-4, "fixed")
        self.model = GaussianProcessRegressor(kernel).fit(inputs, targets[:, 0])
        return self

    def posterior(self, inputs):
        mean, covariance = self.model.predict(inputs, return_cov=True)
        covariance = covariance - 1e-4 * np.eye(len(mean))
        std = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        noise = np.full((len(mean), 1), 1e-2)
        return Posterior(mean[:, None], std[:, None], noise, lambda which: covariance[np.ix_(which, which)][None])


def search(**settings) -> Search:
    return Search(PLACES, **{"surrogate": Fixed(), "random_state": 3, **settings})


def run(some: Search, n: int, batch: int = 1) -> list[int]:
    asked = []
    while len(asked) < n:
        which = some.ask(batch)
        some.tell(which, hill(PLACES[which]))
        asked += which.tolist()
    return asked


@pytest.mark.parametrize("name", sorted(set(ACQUISITIONS) - {"hypervolume", "target_value"}))
def test_no_policy_asks_twice(name: str) -> None:
    asked = run(search(acquisition=name), 24)
    assert len(set(asked)) == 24


@pytest.mark.parametrize(
    ("name", "n"), [("expected_improvement", 30), ("thompson", 40), ("upper_confidence_bound", 60)]
)
def test_the_hill_is_found_long_before_chance_would(name: str, n: int) -> None:
    some = search(acquisition=name)
    run(some, n)
    assert hill(PLACES)[some.best()[0]] == hill(PLACES).max()


def test_the_knowledge_gradient_knows_the_hill() -> None:
    some = search(acquisition="knowledge_gradient")
    run(some, 30)
    assert np.hypot(*(PLACES[some.belief().mean[:, 0].argmax()] - [110, 40])) <= 15


def test_the_least_is_found_as_well() -> None:
    some = search(acquisition="expected_improvement", minimise=True)
    asked = []
    for _ in range(30):
        which = some.ask()
        some.tell(which, -hill(PLACES[which]))
        asked += which.tolist()
    assert some.best()[1] == -hill(PLACES).max()


def test_a_batch_is_not_one_place_many_times() -> None:
    some = search(acquisition="upper_confidence_bound")
    run(some, 12)
    batch = some.ask(4)
    apart = np.hypot(*(PLACES[batch][:, None] - PLACES[batch]).transpose(2, 0, 1))
    assert apart[np.triu_indices(4, 1)].min() > 10
    assert some.pending == batch.tolist()
    assert not set(some.ask(4)) & set(batch)


@pytest.mark.parametrize("after", [0, 1, 5, 13])
@pytest.mark.parametrize("name", ["expected_improvement", "thompson", "random", "latin_hypercube"])
def test_a_search_that_was_cut_off_asks_what_it_would_have_asked(name: str, after: int) -> None:
    whole = search(acquisition=name)
    expected = run(whole, 18)
    first = search(acquisition=name)
    asked = run(first, after) if after else []
    state = json.loads(json.dumps(first.state()))
    again = Search.resume(state, PLACES, surrogate=Fixed(), acquisition=name)
    assert asked + run(again, 18 - after) == expected


def test_a_search_among_others_is_not_resumed() -> None:
    with pytest.raises(ArgumentError, match="among these places"):
        Search.resume(search().state(), PLACES + 1, surrogate=Fixed())


def test_forbidden_places_are_never_asked() -> None:
    zones = [
        Disc(110, 40, 30),
        Rectangle((0, 30), (100, 150)),
        Polygon([(50, 50), (90, 50), (90, 90), (50, 90)]),
    ]
    some = search(forbidden=zones, margin_nm=10, acquisition="upper_confidence_bound")
    asked = PLACES[run(some, 40)]
    assert (np.hypot(asked[:, 0] - 110, asked[:, 1] - 40) > 30).all()
    assert ((asked >= 10) & (asked <= 140)).all()
    assert not ((asked >= 50) & (asked <= 90)).all(axis=1).any()
    with pytest.raises(ArgumentError, match="leave some places"):
        search(forbidden=[Rectangle((-1, 1e3), (-1, 1e3))])


def test_what_failed_is_not_asked_again_and_teaches_nothing() -> None:
    some = search()
    first = some.ask()
    some.tell(first, [np.nan])
    assert some.failed == first.tolist() and some.measured == []
    assert first[0] not in run(some, 30)


def test_measurements_that_nobody_asked_for_are_welcome() -> None:
    some = search()
    some.tell([5, 9], hill(PLACES[[5, 9]]))
    assert some.measured == [5, 9] and not {5, 9} & set(run(some, 20))


def test_a_gain_is_weighed_by_its_time() -> None:
    near, far = search(cost=Cost(speed_nm_per_s=1.0, measuring_s=1.0)), search()
    ways = [length_of(PLACES, np.array(run(each, 25))) for each in (near, far)]
    assert ways[0] < ways[1]
    with pytest.raises(ArgumentError, match="score is a gain"):
        search(acquisition="thompson", cost=Cost(1, 1))


def test_when_all_are_measured_nothing_is_asked() -> None:
    some = Search(PLACES[:5], surrogate=Fixed())
    assert sorted(some.ask(9)) == [0, 1, 2, 3, 4]
    assert len(some.ask()) == 0


@pytest.mark.parametrize(
    ("which", "values", "error"),
    [
        ([3], [np.inf], ArgumentError),
        ([999], [1.0], ArgumentError),
        ([-1], [1.0], ArgumentError),
        ([1, 1], [1.0, 2.0], ArgumentError),
        ([0], [1.0], ArgumentError),
        ([3.0], [1.0], ShapeError),
        ([3, 4], [1.0], ShapeError),
        ([3], [[1.0, 2.0]], ShapeError),
    ],
)
def test_nonsense_is_told_apart(which, values, error) -> None:
    some = search()
    some.tell([0], [1.0])
    with pytest.raises(error):
        some.tell(which, values)
    assert some.measured == [0]


def test_a_route_is_no_longer_than_going_to_the_nearest() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 25):
        places, start = rng.random((n, 2)), rng.random(2)
        order = short_route(places, start)
        assert sorted(order) == list(range(n))
        left, at, nearest = list(range(n)), start, []
        while left:
            nearest.append(min(left, key=lambda k: np.hypot(*(places[k] - at))))
            left.remove(nearest[-1])
            at = places[nearest[-1]]
        assert length_of(places, order, start) <= length_of(places, np.array(nearest), start) + 1e-12


def test_rules_say_why() -> None:
    some = search(acquisition="expected_improvement")
    assert Budget(points=5)(some, 0) is None
    run(some, 45)
    assert "45" in (Budget(points=45)(some, 0) or "")
    assert "time" in (Budget(seconds=10)(some, 11) or "")
    assert "likely to be better" in (NoImprovement(share=0.05)(some, 0) or "")
    assert UncertaintyBelow(share=1e-6)(some, 0) is None
    assert "known" in (UncertaintyBelow(share=10)(some, 0) or "")
