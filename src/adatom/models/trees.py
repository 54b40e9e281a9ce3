"""A forest of extremely randomised trees as plain arrays: learned by scikit-learn, kept and used without it.

A model file holds no pickles, and scikit-learn keeps a forest in no other way; so splits and leaves are taken out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError, ModelFileError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_SAMPLES = 256  # that walk at once
_MOST_NODES = 2**24  # whole numbers up to this one are float32
_PARTS = ("root", "feature", "threshold", "left", "right", "value")


@dataclass(frozen=True)
class Trees:
    """Trees that give several numbers each; the forest gives their mean.

    Parameters
    ----------
    root : (tree,), number of the node at which it starts.
    feature : (node,), what is compared with the threshold; -1 in a leaf.
    threshold : (node,).
    left, right : (node,), where to go on: left if the feature is not above the threshold.
    value : (node, output), what a leaf gives.
    """

    root: Indices
    feature: Indices
    threshold: Array
    left: Indices
    right: Indices
    value: Array

    @classmethod
    def learned(cls, features: Array, targets: Array, *, n_trees: int, min_leaf: int, seed: int) -> Self:
        """Grow trees on (sample, feature) and (sample, output).

        Source: Geurts, Ernst & Wehenkel, Mach. Learn. 63, 3 (2006), 10.1007/s10994-006-6226-1.
        """
        from sklearn.ensemble import ExtraTreesRegressor

        forest = ExtraTreesRegressor(n_estimators=n_trees, min_samples_leaf=min_leaf, random_state=seed)
        forest.fit(features, targets if targets.shape[1] > 1 else targets[:, 0])
        trees = [each.tree_ for each in forest.estimators_]
        first = np.cumsum([0, *(tree.node_count for tree in trees)])
        if first[-1] > _MOST_NODES:
            raise ArgumentError(f"n_trees: expected trees of at most {_MOST_NODES} nodes in all, got {first[-1]}.")
        starts = np.repeat(first[:-1], [tree.node_count for tree in trees])
        feature = np.concatenate([tree.feature for tree in trees])
        is_leaf = feature < 0
        left = np.concatenate([tree.children_left for tree in trees]) + starts
        right = np.concatenate([tree.children_right for tree in trees]) + starts
        return cls(
            first[:-1].astype(np.int64),
            np.where(is_leaf, -1, feature).astype(np.int64),
            _short(np.where(is_leaf, 0.0, np.concatenate([tree.threshold for tree in trees]))),
            np.where(is_leaf, 0, left).astype(np.int64),
            np.where(is_leaf, 0, right).astype(np.int64),
            _short(np.concatenate([tree.value[:, :, 0] for tree in trees])),
        )

    def predict(self, features: Array) -> Array:
        """(sample, feature) to (sample, output)."""
        features = features.astype(np.float32).astype(float)  # scikit-learn chose its thresholds between such numbers
        said = [self._walk(features[start : start + _SAMPLES]) for start in range(0, len(features), _SAMPLES)]
        return np.concatenate([self.value[leaves].mean(axis=1) for leaves in said or [self._walk(features)]])

    def _walk(self, features: Array) -> Indices:
        """The leaf (sample, tree) in which each sample ends."""
        node = np.broadcast_to(self.root, (len(features), len(self.root))).copy()
        samples = np.arange(len(features))[:, None]
        while True:
            feature = self.feature[node]
            is_split = feature >= 0
            if not is_split.any():
                return node
            goes_left = features[samples, feature] <= self.threshold[node]  # of a leaf the answer is not used
            node = np.where(is_split, np.where(goes_left, self.left[node], self.right[node]), node)

    def arrays(self, prefix: str) -> dict[str, NDArray[np.float32]]:
        """All parts under names that begin with `prefix`, for a model file."""
        return {prefix + part: np.asarray(getattr(self, part), dtype=np.float32) for part in _PARTS}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Array], prefix: str, *, n_features: int, n_outputs: int) -> Self:
        """The forest that `arrays` gave.

        Raises
        ------
        ModelFileError : if a walk through the trees could leave them, or never end.
        """
        try:
            parts = {part: arrays[prefix + part].astype(float) for part in _PARTS}
        except KeyError as error:
            raise ModelFileError(f"model: a part of its trees is missing ({error}).") from error
        whole = {part: np.rint(parts[part]).astype(np.int64) for part in ("root", "feature", "left", "right")}
        n = len(whole["feature"])
        value, threshold = parts["value"], parts["threshold"]
        split = whole["feature"] >= 0
        numbers = np.arange(n)
        is_sound = (
            all(each.ndim == 1 for each in (*whole.values(), threshold))
            and len(whole["root"]) > 0
            and len(threshold) == len(whole["left"]) == len(whole["right"]) == n
            and value.shape == (n, n_outputs)
            and bool(((whole["root"] >= 0) & (whole["root"] < n)).all())
            and bool((whole["feature"] < n_features).all())
            # children come after their parent: every walk ends
            and all(bool(((whole[side] > numbers) & (whole[side] < n))[split].all()) for side in ("left", "right"))
        )
        if not is_sound:
            raise ModelFileError("model: its trees are damaged.")
        return cls(whole["root"], whole["feature"], threshold, whole["left"], whole["right"], value)


def _short(values: Array) -> Array:
    """Numbers that a model file keeps in 32 bits."""
    return np.asarray(values.astype(np.float32), dtype=float)
