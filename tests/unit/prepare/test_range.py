import numpy as np
import pytest

from adatom.errors import ShapeError
from adatom.prepare import scale_to_range


def test_an_image_ends_in_0_to_1_and_its_range_is_told():
    values = np.array([[2.0, np.nan], [6.0, 3.0]])
    scaled, span = scale_to_range(values)
    np.testing.assert_allclose(scaled, [[0, 0], [1, 0.25]])
    assert span == 4


@pytest.mark.parametrize("values", [np.full((3, 4), 7.0), np.full((3, 4), np.nan)])
def test_what_shows_nothing_is_zero(values):
    scaled, span = scale_to_range(values)
    assert not scaled.any() and span == 0


@pytest.mark.parametrize("shape", [(3,), (0, 4), (2, 3, 4)])
def test_a_wrong_shape_is_told(shape):
    with pytest.raises(ShapeError, match="expected a"):
        scale_to_range(np.zeros(shape))
