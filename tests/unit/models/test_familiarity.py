"""Images like the training's are familiar, others are not, and how far off they are is said."""

import numpy as np
import pytest

from adatom.errors import ArgumentError
from adatom.models.familiarity import FEWEST, learn_familiarity, pooled

N_FEATURES = 40


def drawn(n: int, seed: int) -> np.ndarray:
    """Features that differ along five directions, and a little along all."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(5, N_FEATURES))
    return 3.0 + rng.normal(size=(n, 5)) @ mixing + 0.1 * rng.normal(size=(n, N_FEATURES))


@pytest.fixture(scope="module")
def known():
    return learn_familiarity(drawn(300, 0))


def test_images_of_the_same_kind_are_familiar(known):
    scores = [known.unfamiliarity(features) for features in drawn(300, 1)]
    assert np.mean(np.array(scores) <= 1) == pytest.approx(0.99, abs=0.02)


def test_more_of_the_same_difference_is_farther_off(known):
    far = 3.0 + 6 * (drawn(1, 2)[0] - 3.0)
    assert known.unfamiliarity(far) > 2


def test_a_difference_that_no_training_image_had_is_seen(known):
    odd = drawn(1, 3)[0] + np.random.default_rng(5).normal(0, 1.0, N_FEATURES)
    assert known.unfamiliarity(odd) > 2


def test_features_are_pooled_to_their_mean_and_spread():
    features = np.random.default_rng(0).normal(2, 3, (4, 5, 30, 20)).astype(np.float32)
    inside = np.ones((4, 60, 80), dtype=bool)
    inside[1, :9] = inside[3] = False
    inside[3, 31, 7] = True
    rows = pooled(features, inside)
    assert rows.shape == (4, 10)
    assert rows[0] == pytest.approx(np.r_[features[0].mean(axis=(1, 2)), features[0].std(axis=(1, 2))], abs=1e-5)
    shown = features[1, :, 5:]
    assert rows[1] == pytest.approx(np.r_[shown.mean(axis=(1, 2)), shown.std(axis=(1, 2))], abs=1e-5)
    assert rows[3] == pytest.approx(np.r_[features[3, :, 15, 1], np.zeros(5)], abs=1e-5)  # in it in part, at least


def test_features_that_never_differ_are_no_trouble():
    assert np.isfinite(learn_familiarity(np.ones((FEWEST, 6))).mean).all()


def test_a_few_images_tell_nothing():
    with pytest.raises(ArgumentError, match=f"expected those of at least {FEWEST} images, got 3"):
        learn_familiarity(drawn(3, 0))
