import numpy as np
import pytest

from adatom.locate import Peaks
from adatom.models.symmetry import SYMMETRIES


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_what_is_turned_comes_back_pixels_and_atoms_alike(symmetry):
    image = np.random.default_rng(0).random((5, 8))
    turned = symmetry.turned(image)
    np.testing.assert_array_equal(symmetry.turned_back(turned), image)
    row, column = (axis.ravel() for axis in np.indices(turned.shape))
    found = Peaks.at(column.astype(float), row.astype(float), np.zeros(40, np.int64), np.ones(40))
    back = symmetry.peaks_back(found, image.shape)
    np.testing.assert_array_equal(image[back.y.astype(int), back.x.astype(int)], turned.ravel())


def test_all_eight_differ():
    image = np.arange(9).reshape(3, 3)
    assert len({symmetry.turned(image).tobytes() for symmetry in SYMMETRIES}) == 8
