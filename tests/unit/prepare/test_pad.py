import numpy as np
import pytest

from adatom.prepare import pad_to_multiple


@pytest.mark.parametrize("multiple", [1, 2, 8])
@pytest.mark.parametrize("shape", [(1, 1), (8, 16), (2, 3, 9, 15)])
def test_sides_become_multiples_and_the_image_can_be_cut_back(shape, multiple):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    padded = pad_to_multiple(image, multiple)
    rows, columns = shape[-2:]
    assert padded.shape[:-2] == shape[:-2]
    assert padded.shape[-2] % multiple == padded.shape[-1] % multiple == 0
    assert padded.shape[-2] - rows < multiple
    assert padded.shape[-1] - columns < multiple
    assert np.array_equal(padded[..., :rows, :columns], image)
    assert not padded[..., rows:, :].any()
    assert not padded[..., columns:].any()
