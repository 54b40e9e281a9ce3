"""A test that tells samples apart if they differ, and does not if they do not."""

import numpy as np
import pytest
from scipy import ndimage

from adatom.errors import ArgumentError
from adatom.matching.two_sample import Crops, cut_crops, tell_apart


def crops_of(smoothing: float, *, n_images: int, side: int, seed: int) -> Crops:
    rng = np.random.default_rng(seed)
    return cut_crops([ndimage.gaussian_filter(rng.normal(size=(side, side)), smoothing) for _ in range(n_images)], 16)


def test_the_same_noise_cannot_be_told_apart():
    accuracies = [
        tell_apart(crops_of(1.0, n_images=1, side=160, seed=k), crops_of(1.0, n_images=25, side=32, seed=50 + k))
        for k in range(4)
    ]
    assert 0.4 < np.mean([test.accuracy for test in accuracies]) < 0.6
    assert all(test.low < test.accuracy < test.high and test.n_crops == 100 for test in accuracies)


def test_smoother_noise_is_told_apart_at_once():
    test = tell_apart(crops_of(1.0, n_images=1, side=160, seed=1), crops_of(1.6, n_images=25, side=32, seed=2))
    assert test.accuracy > 0.95 and test.low > 0.9


def test_brightness_and_contrast_play_no_part():
    real, other = crops_of(1.0, n_images=1, side=160, seed=1), crops_of(1.0, n_images=25, side=32, seed=2)
    louder = Crops(1e4 + 300 * other.values, other.corner, other.image)
    assert tell_apart(real, louder).accuracy == tell_apart(real, other).accuracy


def test_crops_with_holes_are_left_out():
    image = np.random.default_rng(0).normal(size=(64, 64))
    image[3, 3] = np.nan
    assert len(cut_crops([image], 16).values) == 15


def test_too_small_an_image_is_said_to_be():
    few = crops_of(1.0, n_images=1, side=32, seed=1)
    with pytest.raises(ArgumentError, match="larger image"):
        tell_apart(few, crops_of(1.0, n_images=25, side=32, seed=2))
