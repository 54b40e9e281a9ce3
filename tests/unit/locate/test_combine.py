import numpy as np
import pytest

from adatom.locate import combine_positions
from adatom.locate.combine import _SHARE, MODEL_ERROR
from adatom.locate.refine import Refined


def fitted(x, std, converged=True):
    x, std = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(std, float))
    ok = np.full(len(x), converged)
    return Refined(
        x=x,
        y=np.zeros(len(x)),
        x_std=std,
        y_std=std,
        flux=np.ones(len(x)),
        converged=ok,
        empty=np.zeros(len(x), dtype=bool),
    )


def combine(fit, x=0.0, *, error=0.3, spacing=8.0, at_border=False):
    x, at_border = np.broadcast_to(x, len(fit.x)), np.full(len(fit.x), at_border)
    y = np.zeros(len(fit.x))
    return combine_positions(x, y, fit, network_error_px=error, spacing_px=spacing, at_border=at_border)


def test_two_opinions_are_weighed_by_their_variances():
    x, _, x_std, _ = combine(fitted(0.2, 0.1))
    variance = 0.1**2 + min(MODEL_ERROR * 8, _SHARE * 0.3) ** 2
    assert x == pytest.approx(0.2 * 0.3**2 / (0.3**2 + variance))
    assert x_std == pytest.approx((1 / 0.3**2 + 1 / variance) ** -0.5)


def test_a_precise_fit_is_believed_and_a_vague_one_is_not():
    x, *_ = combine(fitted([0.3, 0.3], [0.0, 3.0]), spacing=0.1)
    assert x[0] == pytest.approx(0.3, abs=0.01)
    assert x[1] == pytest.approx(0.0, abs=0.01)


def test_the_joint_deviation_is_below_both():
    _, _, x_std, y_std = combine(fitted(0.1, 0.5))
    assert 0 < x_std < 0.3 and 0 < y_std < 0.3


@pytest.mark.parametrize("fit", [fitted(3.0, 0.1), fitted(0.1, np.nan, converged=False)], ids=["far away", "failed"])
def test_a_fit_that_failed_or_found_something_else_leaves_the_network_alone(fit):
    x, y, x_std, y_std = combine(fit)
    assert (x, y) == (0, 0)
    assert (x_std, y_std) == (0.3, 0.3)


def opinions(n: int, fit_error: float, network_error: float) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the joint positions of n atoms and their stated deviations, where the network says 0.3 of itself."""
    fit, network = np.random.default_rng(0).normal(size=(2, 2, n)) * np.array([fit_error, network_error])[:, None, None]
    std = np.full(n, fit_error)
    fitted = Refined(
        x=fit[0],
        y=fit[1],
        x_std=std,
        y_std=std,
        flux=std,
        converged=np.ones(n, dtype=bool),
        empty=np.zeros(n, dtype=bool),
    )
    at_border = np.zeros(n, dtype=bool)
    x, y, x_std, y_std = combine_positions(*network, fitted, network_error_px=0.3, spacing_px=8.0, at_border=at_border)
    return np.array([x, y]), np.array([x_std, y_std])


@pytest.mark.parametrize("network_error", [0.1, 0.3])
@pytest.mark.parametrize("fit_error", [0.03, 0.1, 0.2])
def test_stated_deviations_cover_the_errors_also_where_the_network_is_better_than_its_average(fit_error, network_error):
    wrong, stated = opinions(1000, fit_error, network_error)
    assert wrong.std() < np.sqrt(network_error * fit_error)  # neither knows which of the two is the better one
    assert 0.5 < np.std(wrong / stated) < 1.1


def test_a_network_that_agrees_with_the_fits_is_surer_than_its_average():
    _, of_many = opinions(40, 0.02, 0.02)
    _, of_few = opinions(4, 0.02, 0.02)  # too few to say so
    assert of_many.max() < 0.05 and of_few.min() > 0.1


def test_where_the_border_cuts_an_atom_the_fit_says_more():
    inside, *_ = combine(fitted(0.5, 0.1))
    cut, *_ = combine(fitted(0.5, 0.1), at_border=True)
    assert 0 < inside < cut < 0.5
    alone, _, x_std, _ = combine(fitted(0.5, np.nan, converged=False), at_border=True)
    assert alone == 0 and x_std > 0.3
