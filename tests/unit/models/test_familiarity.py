"""Images like the training's are familiar, others are not."""

import numpy as np
import pytest

from adatom.errors import ArgumentError
from adatom.models.familiarity import FEWEST, learn_familiarity, pooled

N_FEATURES = 40


def drawn(n: int, seed: int, *, kind: int = 0) -> np.ndarray:
    """Features that differ widely within a kind; the kinds differ in the means of three of them."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(5, N_FEATURES))
    features = 3.0 + rng.normal(size=(n, 5)) @ mixing + 0.3 * rng.normal(size=(n, N_FEATURES))
    features[:, :3] += 2.0 * kind
    return features


@pytest.fixture(scope="module")
def known():
    return learn_familiarity(drawn(300, 0), drawn(300, 1, kind=1))


@pytest.mark.parametrize("kind", [0, 1])
def test_images_are_told_by_their_kind(known, kind):
    scores = np.array([known.unfamiliarity(features) for features in drawn(300, 2 + kind, kind=kind)])
    assert ((scores > 0.5) == kind).mean() > 0.85
    assert scores.min() >= 0 and scores.max() <= 1


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


def test_features_that_never_differ_say_nothing():
    like, unlike = (np.column_stack([np.full(FEWEST, 5.0), np.arange(FEWEST) + 50 * k]) for k in (0, 1))
    known = learn_familiarity(like, unlike)
    assert known.weights[0] == 0 and known.weights[1] > 0


def test_a_few_images_tell_nothing():
    with pytest.raises(ArgumentError, match=f"at least {FEWEST} images of each kind, got 3 and {FEWEST}"):
        learn_familiarity(drawn(3, 0), drawn(FEWEST, 1))
