"""Acquisitions against numerical integration, draws, and fronts that are known."""

import numpy as np
import pytest
from scipy import integrate, stats

from adatom.decide import Outlook, Posterior
from adatom.decide.acquisitions import acquisition_of
from adatom.decide.acquisitions.expected_improvement import log_expected_improvement
from adatom.decide.acquisitions.knowledge_gradient import log_expected_gain
from adatom.decide.acquisitions.target_value import log_expected_approach
from adatom.decide.conditioning import Conditioned, joint_draws
from adatom.decide.hypervolume import FreeSpace, hypervolume, pareto_front
from adatom.decide.route import route_length, short_route
from adatom.decide.worth import Constraint


def outlook(mean, std, known, weights=(1.0,), noise=0.1, covariance=None):
    mean, std = (np.reshape(each, (len(mean), -1)).astype(float) for each in (mean, std))
    joint = None if covariance is None else lambda which: covariance[which][:, which][None]
    places = np.random.default_rng(0).random((len(mean), 2))
    return Outlook(
        belief=Posterior(mean, std, np.full(mean.shape, noise), joint),
        weights=np.array(weights),
        known=np.reshape(known, (len(known), -1)).astype(float),
        places=places,
        inputs=places,
        taken_places=places[:0],
        taken_inputs=places[:0],
        numbers=np.arange(len(mean)),
        all_places=places,
        seed=0,
        rng=np.random.default_rng(0),
    )


MEANS, STDS = np.array([-3.0, -0.5, 0.0, 0.9, 2.0]), np.array([0.7, 2.0, 0.1, 0.5, 0.3])


def expected(function, mean, std):
    return integrate.quad(
        lambda z: function(mean + std * z) * stats.norm.pdf(z), -12, 12, epsabs=1e-14, limit=400, points=[-2, 0, 2]
    )[0]


def test_expected_improvement_and_its_probability_are_integrals():
    seen = outlook(MEANS, STDS, [0.2, 0.5])
    gain = np.exp(acquisition_of("expected_improvement")(seen))
    chance = np.exp(acquisition_of("probability_of_improvement", {"margin": 0.1})(seen))
    for mean, std, one, other in zip(MEANS, STDS, gain, chance, strict=True):
        assert one == pytest.approx(expected(lambda y: max(0, y - 0.5), mean, std), rel=1e-5, abs=1e-10)
        assert other == pytest.approx(stats.norm.sf(0.6, mean, std), rel=1e-9)


def test_the_logarithm_of_the_improvement_is_exact_where_the_improvement_is_not():
    z = -np.array([0.5, 0.999, 1.001, 5.0, 20.0, 900.0, 1100.0, 1e5])
    said = log_expected_improvement(z, np.ones(len(z)))
    assert (np.diff(said) < 0).all()
    assert np.isfinite(said).all()
    # far out it is phi(z) / z^2 (1 - 3 / z^2 + ...)
    asymptote = stats.norm.logpdf(z[5:]) - 2 * np.log(-z[5:])
    assert said[5:] == pytest.approx(asymptote, rel=1e-10)
    assert said[2] == pytest.approx(said[1], abs=0.01)
    assert np.exp(said[3]) == pytest.approx(expected(lambda y: max(0, y), -5.0, 1.0), rel=1e-3)


def test_the_way_to_a_target_is_an_integral():
    said = np.exp(log_expected_approach(MEANS, STDS, 0.8))
    for mean, std, one in zip(MEANS, STDS, said, strict=True):
        assert one == pytest.approx(expected(lambda y: max(0, 0.8 - abs(y)), mean, std), rel=1e-4, abs=1e-9)
    far = log_expected_approach(np.array([3.0, 30.0, 300.0]), np.full(3, 0.5), 0.8)
    assert np.isfinite(far).all() and (np.diff(far) < 0).all()


def test_knowledge_gradient_is_what_draws_say():
    rng = np.random.default_rng(1)
    mean, slope = rng.normal(size=30), rng.normal(size=30)
    z = rng.standard_normal(200_000)
    drawn = (mean + slope * z[:, None]).max(axis=1) - mean.max()
    error = drawn.std() / np.sqrt(len(z))
    assert np.exp(log_expected_gain(mean, slope)) == pytest.approx(drawn.mean(), abs=4 * error)
    # measuring what is certain, or moves all alike, brings nothing
    assert log_expected_gain(mean, np.zeros(30)) == -np.inf
    assert log_expected_gain(mean, np.ones(30)) == -np.inf


def test_knowledge_gradient_is_what_a_measurement_brings():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(6, 3))
    covariance, mean = root @ root.T, rng.normal(size=6)
    scores = acquisition_of("knowledge_gradient")(
        outlook(mean, np.sqrt(np.diag(covariance)), [0.0], covariance=covariance, noise=0.5)
    )
    true = rng.multivariate_normal(mean, covariance, size=200_000, method="svd")
    for each in range(6):
        measured = true[:, each] + 0.5 * rng.standard_normal(len(true))
        gain = covariance[:, each] / (covariance[each, each] + 0.25)
        later = mean + (measured - mean[each])[:, None] * gain
        assert np.exp(scores[each]) == pytest.approx((later.max(axis=1) - mean.max()).mean(), abs=0.01)


def test_a_draw_has_the_covariance():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T
    posterior = outlook(np.arange(4), np.sqrt(np.diag(covariance)), [0], covariance=covariance).posterior
    drawn = joint_draws(posterior, np.arange(4), 40_000, rng)[:, :, 0]
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.15)
    assert drawn.mean(axis=0) == pytest.approx(np.arange(4), abs=0.06)


def test_conditioning_is_that_of_a_gaussian_process():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    covariance = root @ root.T
    posterior = outlook(np.zeros(6), np.sqrt(np.diag(covariance)), [0], covariance=covariance, noise=0.3).posterior
    conditioned = Conditioned(posterior, np.arange(6))
    for each in (1, 4):
        conditioned.measure(each)
    seen = [1, 4]
    gain = covariance[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)] + 0.09 * np.eye(2))
    wanted = covariance - gain @ covariance[seen]
    assert conditioned.posterior(np.arange(6)).covariance(np.arange(6))[0] == pytest.approx(wanted, abs=1e-9)
    assert conditioned.posterior(np.array([5])).std[0, 0] ** 2 == pytest.approx(wanted[5, 5])


def test_volumes_of_known_fronts():
    assert hypervolume(np.array([[1.0, 3], [2, 2], [3, 1], [1, 1]]), np.zeros(2)) == pytest.approx(6)
    assert hypervolume(np.array([[2.0, 1, 1], [1, 2, 1], [1, 1, 2]]), np.zeros(3)) == pytest.approx(4)
    assert hypervolume(np.array([[-1.0, 5]]), np.zeros(2)) == 0
    assert pareto_front(np.array([[1, 3], [2, 2], [2, 2], [1, 2]])).tolist() == [True, True, True, False]


@pytest.mark.parametrize("k", [2, 3])
def test_a_gain_is_the_difference_of_two_volumes(k):
    rng = np.random.default_rng(k)
    front, points = rng.random((12, k)), 1.3 * rng.random((30, k)) - 0.1
    gains = FreeSpace(front, np.full(k, 0.1)).gain(points)
    before = hypervolume(front, np.full(k, 0.1))
    after = [hypervolume(np.vstack([front, point]), np.full(k, 0.1)) for point in points]
    assert gains == pytest.approx(np.array(after) - before, abs=1e-12)
    drawn = rng.uniform(0.1, 1, size=(100_000, k))
    share = (drawn[:, None] <= front).all(axis=2).any(axis=1).mean()
    assert before == pytest.approx(share * 0.9**k, abs=0.005)


def test_expected_volume_of_a_certain_place_is_its_volume():
    known = np.array([[1.0, 3], [3, 1]])
    seen = outlook([[2, 2], [0, 0]], np.zeros((2, 2)), known, weights=(1, 1))
    scores = acquisition_of("expected_hypervolume_improvement", {"reference": [0, 0]})(seen)
    assert scores == pytest.approx([1, 0])


def test_a_constraint_is_met_as_often_as_it_says():
    belief = outlook(MEANS, STDS, [0.0]).posterior
    said = np.exp(Constraint(0, at_least=-1, at_most=0.5).log_probability(belief))
    assert said == pytest.approx(
        stats.norm.cdf(0.5, MEANS, STDS) - stats.norm.cdf(-1, MEANS, STDS), rel=1e-9, abs=1e-12
    )
    assert np.isfinite(Constraint(0, at_least=40).log_probability(belief)).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_route_is_never_longer_than_to_the_nearest_each_time(seed):
    places = np.random.default_rng(seed).random((25, 2))
    start = np.array([0.5, 0.5])
    here, left, nearest = start, list(range(25)), []
    while left:
        nearest.append(min(left, key=lambda each: np.hypot(*(places[each] - here))))
        left.remove(nearest[-1])
        here = places[nearest[-1]]
    order = short_route(places, start)
    assert sorted(order) == list(range(25))
    assert route_length(places, order, start) <= route_length(places, np.array(nearest), start) + 1e-12
    assert short_route(places[:1], start).tolist() == [0]
