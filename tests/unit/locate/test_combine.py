import numpy as np
import pytest

from adatom.locate import combine_positions
from adatom.locate.refine import Refined


def fitted(x, std, converged=True, is_ideal=True):
    x, std = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(std, float))
    ones = np.ones(len(x))
    return Refined(
        x=x,
        y=np.zeros(len(x)),
        x_std=std,
        y_std=std,
        flux=ones,
        converged=np.full(len(x), converged),
        empty=np.zeros(len(x), dtype=bool),
        misfit=ones,
        is_ideal=is_ideal,
    )


def combine(fit, x=0.0, *, error=0.3, spacing=8.0, at_border=False):
    n = len(fit.x)
    errors = error * (1 + 1e-9 * np.arange(2 * n).reshape(2, n))  # each its own
    return combine_positions(
        np.broadcast_to(x, n),
        np.zeros(n),
        *errors,
        fit,
        spacing_px=spacing,
        at_border=np.full(n, at_border),
    )


def test_a_surer_fit_wins_with_its_own_deviation():
    x, _, x_std, _, refined = combine(fitted(0.2, 0.1))
    assert (x, x_std) == (0.2, 0.1)
    assert refined.all()


def test_a_vague_fit_hardly_moves_the_network():
    x, _, x_std, _, _ = combine(fitted(0.3, 3.0))
    assert x == pytest.approx(0.0, abs=0.01)
    assert x_std == pytest.approx(0.3)


def test_where_both_are_as_sure_nothing_jumps():
    (below, *_), (above, *_) = (combine(fitted(0.2, 0.3 + step)) for step in (-1e-6, 1e-6))
    assert below == pytest.approx(above, abs=1e-5)


@pytest.mark.parametrize("fit", [fitted(3.0, 0.1), fitted(0.1, np.nan, converged=False)], ids=["far away", "failed"])
def test_a_fit_that_failed_or_found_something_else_leaves_the_network_alone_and_says_so(fit):
    x, y, x_std, y_std, refined = combine(fit)
    assert (x, y) == (0, 0)
    assert (x_std, y_std) == pytest.approx((0.3, 0.3))
    assert not refined.any()


def opinions(
    fit_error: float, network_error: float, stated_fit: float, is_ideal: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of 1000 joint positions and their stated deviations."""
    fit, network = (
        np.random.default_rng(0).normal(size=(2, 2, 1000)) * np.array([fit_error, network_error])[:, None, None]
    )
    says = fitted(fit[0], np.full(1000, stated_fit), is_ideal=is_ideal)
    says = Refined(**{**vars(says), "y": fit[1]})
    errors = network_error * np.random.default_rng(1).uniform(0.99, 1.01, (2, 1000))
    x, y, x_std, y_std, _ = combine_positions(
        *network, *errors, says, spacing_px=8.0, at_border=np.zeros(1000, dtype=bool)
    )
    return np.array([x, y]), np.array([x_std, y_std])


@pytest.mark.parametrize("network_error", [0.1, 0.3])
@pytest.mark.parametrize("fit_error", [0.02, 0.1, 0.2])
def test_stated_deviations_are_those_of_the_errors(fit_error, network_error):
    wrong, stated = opinions(fit_error, network_error, fit_error)
    assert 0.7 < np.std(wrong / stated) < 1.1


def test_a_fit_that_leaves_more_than_noise_and_disagrees_with_the_network_is_believed_less():
    wrong, stated = opinions(0.3, 0.1, stated_fit=0.02, is_ideal=False)
    assert stated.min() > 0.05
    assert np.std(wrong / stated) < 3  # 15 without


def test_the_border_makes_the_network_less_sure():
    _, _, inside, _, _ = combine(fitted(0.5, np.nan, converged=False))
    _, _, cut, _, _ = combine(fitted(0.5, np.nan, converged=False), at_border=True)
    assert cut > 2 * inside


def test_a_network_that_states_no_deviation_is_asked_only_whether_the_fit_is_near():
    x, _, x_std, _, refined = combine(fitted([0.2, 7.0], 0.1), error=np.nan)
    assert x.tolist() == [0.2, 0.0]
    assert x_std[0] == 0.1
    assert refined.tolist() == [True, False]


@pytest.mark.parametrize(("fit_error", "network_error"), [(0.02, 0.2), (0.1, 0.1), (0.2, 0.03)])
def test_a_network_that_knows_only_its_average_is_measured_by_the_fit(fit_error, network_error):
    fit, network = np.random.default_rng(0).normal(size=(2, 500)) * np.array([[fit_error], [network_error]])
    says, average = fitted(fit, np.full(500, fit_error)), np.full(500, 0.5)
    x, _, x_std, _, _ = combine_positions(
        network, np.zeros(500), average, average, says, spacing_px=8.0, at_border=np.zeros(500, dtype=bool)
    )
    assert x.std() < 1.05 * max(fit_error, network_error)
    assert x_std.max() < 1.5 * max(fit_error, network_error)
