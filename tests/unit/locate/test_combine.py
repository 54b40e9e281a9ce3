import numpy as np
import pytest

from adatom.locate import combine_positions
from adatom.locate.combine import MODEL_ERROR
from adatom.locate.refine import Refined


def fitted(x, std, converged=True):
    x, std = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(std, float))
    ok = np.full(len(x), converged)
    return Refined(x=x, y=np.zeros(len(x)), x_std=std, y_std=std, flux=np.ones(len(x)), converged=ok)


def combine(fit, x=0.0, *, error=0.3, spacing=8.0):
    x = np.full(len(fit.x), x)
    return combine_positions(x, np.zeros(len(fit.x)), fit, network_error_px=error, spacing_px=spacing)


def test_two_opinions_are_weighed_by_their_variances():
    x, _, x_std, _ = combine(fitted(0.2, 0.1))
    variance = 0.1**2 + (MODEL_ERROR * 8) ** 2
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
