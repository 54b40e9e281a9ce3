"""Acquisitions: what every one of them promises, and known answers."""

import numpy as np
import pytest
from scipy.stats import norm

from adatom.decide import ACQUISITIONS, Posterior, Situation
from adatom.decide.acquisition import make_acquisition
from adatom.decide.expected_improvement import log_of_improvement
from adatom.decide.hypervolume import gains, hypervolume, pareto_front
from adatom.decide.knowledge_gradient import expected_maximum
from adatom.decide.pending import after
from adatom.errors import ArgumentError

SETTINGS = {"target_value": {"value": 0.3}}


def situation(n: int = 60, k: int = 1, seed: int = 0) -> Situation:
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 100, (n, 2))
    apart = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    prior = np.exp(-0.5 * (apart / 20) ** 2)
    measured = np.arange(6)
    gain = prior[:, measured] @ np.linalg.inv(prior[np.ix_(measured, measured)] + 0.01 * np.eye(6))
    values = rng.normal(size=(6, k))
    covariance = prior - gain @ prior[measured]
    std = np.repeat(np.sqrt(np.maximum(np.diag(covariance), 0))[:, None], k, axis=1)
    posterior = Posterior(
        gain @ values, std, np.full((n, k), 0.1), lambda which: np.stack([covariance[np.ix_(which, which)]] * k)
    )
    free = np.ones(n, bool)
    free[measured] = False
    return Situation(posterior, places, places, measured, values, free, np.random.default_rng(1))


@pytest.mark.parametrize("name", ACQUISITIONS)
@pytest.mark.parametrize("k", [1, 2])
def test_every_one_scores_every_candidate(name: str, k: int) -> None:
    acquisition = make_acquisition(name, SETTINGS.get(name, {}))
    score = acquisition(situation(k=k))
    assert score.shape == (60,)
    assert np.isfinite(score[situation().free]).any() and not np.isnan(score).any()
    assert (acquisition(situation(k=k)) == score).all()


@pytest.mark.parametrize(
    "name", [name for name in ACQUISITIONS if not make_acquisition(name, SETTINGS.get(name, {})).needs_model]
)
def test_designs_need_no_model(name: str) -> None:
    given = situation()
    bare = Situation(None, given.places, given.inputs, given.measured[:0], given.values[:0], given.free, given.rng)
    assert make_acquisition(name, {})(bare).shape == (60,)


@pytest.mark.parametrize("z", [-1e5, -40.0, -5.0, -1.0, 0.0, 2.0, 30.0])
def test_expected_improvement_keeps_its_digits(z: float) -> None:
    got = log_of_improvement(np.array([z]))[0]
    if z > -30:
        assert got == pytest.approx(np.log(norm.pdf(z) + z * norm.cdf(z)), rel=1e-6)
    else:  # the known asymptote
        assert got == pytest.approx(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - 2 * np.log(-z), rel=1e-4)


def test_expected_improvement_is_the_mean_of_what_is_gained() -> None:
    given = situation()
    mean, std = given.believed.mean[:, 0], given.believed.std[:, 0]
    best = mean[given.measured].max()
    draws = np.random.default_rng(2).standard_normal(200_000)
    for candidate in (10, 30, 50):
        mc = np.maximum(mean[candidate] + std[candidate] * draws - best, 0).mean()
        assert np.exp(make_acquisition("expected_improvement", {})(given)[candidate]) == pytest.approx(mc, rel=0.03)


def test_a_value_is_searched_by_how_much_nearer_a_place_comes() -> None:
    given = situation()
    mean, std = given.believed.mean[:, 0], given.believed.std[:, 0]
    reach = np.abs(mean[given.measured] - 0.3).min()
    draws = np.random.default_rng(3).standard_normal(400_000)
    score = make_acquisition("target_value", {"value": 0.3})(given)
    for candidate in (10, 30, 50):
        mc = np.maximum(reach - np.abs(mean[candidate] + std[candidate] * draws - 0.3), 0).mean()
        assert np.exp(score[candidate]) == pytest.approx(mc, rel=0.05)


def test_the_knowledge_gradient_is_the_mean_of_the_next_best() -> None:
    rng = np.random.default_rng(4)
    level, slope = rng.normal(size=30), rng.normal(size=30)
    z = np.random.default_rng(5).standard_normal(200_000)
    mc = (level[:, None] + slope[:, None] * z).max(axis=0).mean()
    assert expected_maximum(level, slope) == pytest.approx(mc, rel=0.01)
    assert expected_maximum(np.array([1.0, 1.0]), np.array([0.0, 0.0])) == pytest.approx(1.0)


def test_what_was_chosen_tells_its_neighbours() -> None:
    given = situation().believed
    changed = after(given, [20, 40])
    whole = given.covariance(np.arange(60))[0]
    which = np.array([20, 40])
    taken = whole[:, which] @ np.linalg.inv(whole[np.ix_(which, which)] + 0.01 * np.eye(2)) @ whole[which]
    np.testing.assert_allclose(changed.covariance(np.arange(60))[0], whole - taken, atol=1e-8)
    np.testing.assert_allclose(changed.std[:, 0], np.sqrt(np.maximum(np.diag(whole - taken), 0)), atol=1e-5)
    assert (changed.mean == given.mean).all()


def test_known_volumes() -> None:
    assert hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros(2)) == pytest.approx(3.0)
    assert hypervolume(np.array([[1.0, 1.0, 1.0], [2.0, 0.5, 0.5]]), np.zeros(3)) == pytest.approx(1.25)
    assert hypervolume(np.array([[-1.0, 5.0]]), np.zeros(2)) == 0
    values = np.array([[1.0, 2.0], [2.0, 1.0], [0.5, 0.5], [1.0, 2.0]])
    assert pareto_front(values).tolist() == [[1.0, 2.0], [2.0, 1.0]]
    assert gains(np.array([[2.0, 2.0], [0.5, 0.5]]), pareto_front(values), np.zeros(2)).tolist() == [1.0, 0.0]


def test_in_three_dimensions_the_volume_is_that_of_many_points() -> None:
    rng = np.random.default_rng(6)
    front = rng.random((12, 3))
    points = rng.random((200_000, 3))
    share = (front[:, None] >= points[None, :20_000]).all(axis=2).any(axis=0).mean()
    assert hypervolume(front, np.zeros(3)) == pytest.approx(share, abs=0.02)


def test_an_unknown_name_or_setting_says_which_there_are() -> None:
    with pytest.raises(ArgumentError, match=r"expected one of coarse_to_fine, .*got 'ei'"):
        make_acquisition("ei", {})
    with pytest.raises(ArgumentError, match="settings: expected those of thompson"):
        make_acquisition("thompson", {"mots": 3})
    with pytest.raises(ArgumentError, match="value: expected the value"):
        make_acquisition("target_value", {})
