"""Held-out patches share no pixel with those of the training."""

import numpy as np
import pytest

from adatom.data import make_image
from adatom.errors import ArgumentError
from adatom.prepare.spatial_folds import LeakageWarning, blocked_folds, random_folds, shares_pixels
from adatom.prepare.spectrum_pairs import pair_up


def numbered_pairs(side=5, border="leave out", shape=(30, 26)):
    """Each pixel of the image holds its own number, so patches say which pixels they are made of."""
    image = make_image(np.arange(float(shape[0] * shape[1])).reshape(shape))
    rng = np.random.default_rng(0)
    bias = {"bias": (np.arange(4.0), "V")}
    spectra = make_image(rng.normal(size=(*shape, 4)), dims=("y", "x", "bias"), coordinates=bias)
    return pair_up(image, spectra, patch_size_px=side, border=border, clean=False)


def pixels(pairs, which):
    return set(pairs.patches[which].astype(int).ravel())


@pytest.mark.parametrize("border", ["leave out", "mirror"])
@pytest.mark.parametrize("side", [1, 3, 4, 5])
def test_no_pixel_is_shared(side, border):
    pairs = numbered_pairs(side, border)
    folds = blocked_folds(pairs, 4)
    for fold in folds:
        assert not pixels(pairs, fold.train) & pixels(pairs, fold.test)
        assert len(fold.train) > 0
    assert np.array_equal(np.sort(np.concatenate([fold.test for fold in folds])), np.arange(len(pairs)))


def test_the_gap_is_no_wider_than_it_has_to_be():
    pairs = numbered_pairs(5)
    fold = blocked_folds(pairs, 2)[0]
    left_out = np.setdiff1d(np.arange(len(pairs)), np.concatenate([fold.train, fold.test]))
    assert all(pixels(pairs, [number]) & pixels(pairs, fold.test) for number in left_out)


def test_blocks_are_compact_and_alike():
    pairs = numbered_pairs(1, shape=(40, 50))
    sizes = []
    for fold in blocked_folds(pairs, 5):
        extent = (np.ptp(pairs.row[fold.test]) + 1) * (np.ptp(pairs.column[fold.test]) + 1)
        assert len(fold.test) > 0.9 * extent
        sizes.append(len(fold.test))
    assert max(sizes) - min(sizes) <= 0.05 * max(sizes)


def test_a_random_split_warns_and_does_share_pixels():
    pairs = numbered_pairs(5)
    with pytest.warns(LeakageWarning, match="a random split leaks"):
        folds = random_folds(pairs, 4)
    assert pixels(pairs, folds[0].train) & pixels(pairs, folds[0].test)
    assert shares_pixels(pairs, folds[0].test).all()


def test_too_few_pairs_say_so():
    pairs = numbered_pairs(5)
    with pytest.raises(ArgumentError, match="Measure more spectra"):
        blocked_folds(pairs.take(np.arange(5)), 5)
    with pytest.raises(ArgumentError, match="Take a smaller patch"):
        blocked_folds(numbered_pairs(13, shape=(16, 16)), 2)
