import numpy as np
import pytest

from adatom.files.luminance import luminance


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_stays_exactly_as_it_was(dtype: type) -> None:
    grey = np.arange(256).astype(dtype) * dtype(1 if dtype is np.uint8 else 257)
    np.testing.assert_array_equal(luminance(np.stack([grey] * 3, axis=-1)), grey)


def test_weights_of_the_eye() -> None:
    np.testing.assert_array_equal(luminance(np.eye(3, dtype=np.uint8) * np.uint8(100)), [30, 59, 11])
