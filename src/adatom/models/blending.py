"""Opinions of networks and two baselines: how much each helps on what was held out, and error bars of the whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from adatom.models.spectrum_baselines import fit_ridge, principal_components
from adatom.models.trees import Trees

Array = NDArray[np.float64]

_COVERAGE = 0.9  # of the bands by which error bars are set
_NORMAL_QUANTILE = 1.6449  # of the standard normal distribution, that holds 90 % within
_ENOUGH = 200  # held-out values of one point that its own error bar needs
_N_TREES = 60


@dataclass(frozen=True)
class Baselines:
    """Ridge regression, and trees that give principal components.

    Parameters
    ----------
    weights, offset : of the ridge regression, (feature, point) and (point,).
    trees : from features to components.
    mean, components : (point,) and (component, point).
    """

    weights: Array
    offset: Array
    trees: Trees
    mean: Array
    components: Array

    @classmethod
    def learned(cls, known: Array, wanted: Array, *, seed: int) -> Self:
        """From (sample, feature) and (sample, point)."""
        mean, components = principal_components(wanted)
        scores = (wanted - mean) @ components.T
        trees = Trees.learned(known, scores, n_trees=_N_TREES, min_leaf=2, seed=seed)
        return cls(*fit_ridge(known, wanted), trees, mean, components)

    def ridge(self, known: Array) -> Array:
        """What the ridge regression says, (sample, point)."""
        return known @ self.weights + self.offset

    def forest(self, known: Array) -> Array:
        """What the trees say, (sample, point)."""
        return self.trees.predict(known) @ self.components + self.mean

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All parts by name, for a model file."""
        return {
            "ridge_weights": self.weights,
            "ridge_offset": self.offset,
            "components_mean": self.mean,
            "components": self.components,
            **self.trees.arrays("trees_"),
        }

    @staticmethod
    def shapes(beside: Mapping[str, Array], n_in: int, n_out: int) -> dict[str, tuple[int, ...]]:
        """The shapes that `arrays` must have, the trees' left out: those check themselves."""
        return {
            "ridge_weights": (n_in, n_out),
            "ridge_offset": (n_out,),
            "components_mean": (n_out,),
            "components": (len(beside["components"]), n_out),
        }

    @classmethod
    def of_arrays(cls, beside: Mapping[str, Array], n_in: int) -> Self:
        """The baselines that `arrays` gave.

        Raises
        ------
        ModelFileError : if the trees are damaged.
        """
        components = beside["components"]
        trees = Trees.of_arrays(beside, "trees_", n_features=n_in, n_outputs=len(components))
        return cls(beside["ridge_weights"], beside["ridge_offset"], trees, beside["components_mean"], components)


def agree(
    opinions: Mapping[str, Array], wanted: Array, stated: Array, which: NDArray[np.intp]
) -> tuple[dict[str, float], Array]:
    """Weights of the opinions (sample, point) and factors (point,) of the stated deviations, from some samples."""
    some = {name: each[which] for name, each in opinions.items()}
    weights = _blend_weights(some, wanted[which]) if len(some) > 1 else dict.fromkeys(some, 1.0)
    return weights, _std_factors(np.abs(wanted[which] - blended(some, weights)) / stated[which])


def blended(opinions: Mapping[str, Array], weights: Mapping[str, float]) -> Array:
    """The weighted sum of opinions."""
    return np.sum([weight * opinions[name] for name, weight in weights.items()], axis=0)


def _blend_weights(opinions: Mapping[str, Array], wanted: Array) -> dict[str, float]:
    """Weights, none negative, with which opinions (sample, point) come closest to what was wanted."""
    from scipy.optimize import nnls

    columns = np.stack([each.ravel() for each in opinions.values()], axis=1)
    # solved by its few normal equations: the columns may have millions of rows
    gram, right = columns.T @ columns, columns.T @ wanted.ravel()
    factor = np.linalg.cholesky(gram + 1e-9 * np.trace(gram) * np.eye(len(gram)))
    weights, _ = nnls(factor.T, np.linalg.solve(factor, right))
    return {name: round(float(weight), 6) for name, weight in zip(opinions, weights, strict=True)}


def _std_factors(ratios: Array) -> Array:
    """What stated deviations are multiplied with, so that bands hold 90 % of the held-out values: for each point where
    there are enough of them.
    """
    common = np.quantile(ratios, _COVERAGE) / _NORMAL_QUANTILE
    if len(ratios) < _ENOUGH:
        return np.full(ratios.shape[1], max(float(common), 1e-6))
    own = np.quantile(ratios, _COVERAGE, axis=0) / _NORMAL_QUANTILE
    return np.maximum(own, 1e-6)
