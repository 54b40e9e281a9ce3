"""Trees taken out of scikit-learn say what it says, and come back from a file only whole."""

import numpy as np
import pytest

from adatom.errors import ModelFileError
from adatom.models.trees import Trees


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 5))
    return features, np.column_stack([np.sin(features[:, 0]), features[:, 1] * features[:, 2]])


@pytest.fixture(scope="module")
def trees(data):
    return Trees.learned(*data, n_trees=7, min_leaf=2, seed=3)


def test_they_say_what_scikit_learn_says(data, trees):
    from sklearn.ensemble import ExtraTreesRegressor

    features, targets = data
    known = ExtraTreesRegressor(n_estimators=7, min_samples_leaf=2, random_state=3).fit(features, targets)
    others = np.random.default_rng(1).normal(size=(333, 5))
    assert np.allclose(trees.predict(others), known.predict(others), atol=1e-6)
    assert trees.predict(others[:0]).shape == (0, 2)


def test_arrays_bring_them_back(data, trees):
    again = Trees.of_arrays(trees.arrays("t_"), "t_", n_features=5, n_outputs=2)
    assert np.array_equal(again.predict(data[0]), trees.predict(data[0]))


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("left", lambda values: values * 0),  # a walk that never ends
        ("right", lambda values: values + 10**6),
        ("feature", lambda values: values + 99),
        ("root", lambda values: values - 5),
        ("value", lambda values: values[:-1]),
        ("threshold", lambda values: values[:, None]),
    ],
)
def test_damaged_trees_are_refused(trees, part, change):
    arrays = trees.arrays("t_")
    arrays[f"t_{part}"] = change(arrays[f"t_{part}"])
    with pytest.raises(ModelFileError, match="damaged"):
        Trees.of_arrays(arrays, "t_", n_features=5, n_outputs=2)


def test_a_missing_part_is_named(trees):
    arrays = trees.arrays("t_")
    del arrays["t_left"]
    with pytest.raises(ModelFileError, match="t_left"):
        Trees.of_arrays(arrays, "t_", n_features=5, n_outputs=2)
