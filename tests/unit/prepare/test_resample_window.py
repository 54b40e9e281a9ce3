"""Parts of a resampled image are what resampling the whole gives, whichever part they are made from."""

import numpy as np
import pytest

from adatom.prepare import resample, resample_window, source_pixels


@pytest.mark.parametrize("factor", [0.48, 0.9, 1.7])
def test_a_window_is_a_part_of_the_whole(factor):
    values = np.random.default_rng(0).normal(size=(151, 203))
    values[60:64, 70:90] = np.nan
    whole, true = resample(values, (factor, factor))
    rows, columns = (20, 50), (10, 70)
    made = []
    for more in (0, 7):
        spans = [source_pixels(*span, true[k], values.shape[k]) for k, span in enumerate((rows, columns))]
        spans = [(max(0, low - more), high + more) for low, high in spans]
        part = values[slice(*spans[0]), slice(*spans[1])]
        made.append(resample_window(part, (spans[0][0], spans[1][0]), values.shape, true, rows, columns))
    np.testing.assert_array_equal(*made)
    expected = whole[slice(*rows), slice(*columns)]
    known = np.isfinite(expected) & np.isfinite(made[0])
    far = known & ~np.isnan(whole[slice(*rows), slice(*columns)])
    assert np.isnan(made[0]).any() == np.isnan(expected).any()
    clean = resample(np.nan_to_num(values), (factor, factor))[0][slice(*rows), slice(*columns)]
    apart = far & (np.abs(expected - clean) < 1e-5)
    np.testing.assert_allclose(made[0][apart], clean[apart], atol=1e-5)
