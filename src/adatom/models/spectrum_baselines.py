"""What a network has to beat: the mean spectrum, the neighbour's, ridge regression, and trees.

Each is a function of a training part, made by `fit`, that gives the spectra of other patches. They see the patches as
the network sees them: brought to one contrast, see `adatom.models.spectrum_scale`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.models.trees import Trees

Array = NDArray[np.float64]

N_COMPONENTS = 10
RIDGE_ALPHAS = np.logspace(-1, 4, 12)


@dataclass(frozen=True)
class Seen:
    """What a baseline gets to see.

    Parameters
    ----------
    patches : (pair, feature), prepared and flat.
    places : (pair, 2), of the middle of each patch.
    """

    patches: Array
    places: Array

    def take(self, which: NDArray[np.intp]) -> "Seen":
        """Some of the pairs."""
        return Seen(self.patches[which], self.places[which])


Predict = Callable[[Seen], Array]  # (pair, point)


def mean_spectrum(seen: Seen, spectra: Array, seed: int) -> Predict:
    """The mean of the training spectra, whatever the patch."""
    mean = spectra.mean(axis=0)
    return lambda others: np.broadcast_to(mean, (len(others.patches), len(mean))).copy()


def neighbours_spectrum(seen: Seen, spectra: Array, seed: int) -> Predict:
    """The spectrum of the nearest training place, whatever the patch."""
    from scipy.spatial import KDTree

    tree = KDTree(seen.places)
    return lambda others: spectra[tree.query(others.places)[1]]


def ridge(seen: Seen, spectra: Array, seed: int) -> Predict:
    """Linear in the pixels of the patch; its penalty is chosen by leave-one-out."""
    weights, offset = fit_ridge(seen.patches, spectra)
    return lambda others: others.patches @ weights + offset


def pca_ridge(seen: Seen, spectra: Array, seed: int) -> Predict:
    """Linear from the principal components of the patches to those of the spectra."""
    patch_mean, patch_directions = principal_components(seen.patches)
    mean, directions = principal_components(spectra)
    scores = (seen.patches - patch_mean) @ patch_directions.T
    weights, offset = fit_ridge(scores, (spectra - mean) @ directions.T)
    return lambda others: (((others.patches - patch_mean) @ patch_directions.T) @ weights + offset) @ directions + mean


def boosted_trees(seen: Seen, spectra: Array, seed: int) -> Predict:
    """Gradient boosted trees, one set for each of ten principal components of the spectra."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    mean, directions = principal_components(spectra)
    scores = (spectra - mean) @ directions.T
    models = [
        HistGradientBoostingRegressor(
            max_iter=120,
            learning_rate=0.05,
            max_leaf_nodes=8,
            l2_regularization=1.0,
            max_features=0.5,
            random_state=seed,
        ).fit(seen.patches, score)
        for score in scores.T
    ]
    return lambda others: np.stack([model.predict(others.patches) for model in models], axis=1) @ directions + mean


def extra_trees(seen: Seen, spectra: Array, seed: int) -> Predict:
    """Extremely randomised trees to ten principal components of the spectra."""
    mean, directions = principal_components(spectra)
    trees = Trees.learned(seen.patches, (spectra - mean) @ directions.T, n_trees=100, min_leaf=2, seed=seed)
    return lambda others: trees.predict(others.patches) @ directions + mean


BASELINES: dict[str, Callable[[Seen, Array, int], Predict]] = {
    "mean spectrum": mean_spectrum,
    "neighbour's spectrum": neighbours_spectrum,
    "ridge": ridge,
    "PCA + ridge": pca_ridge,
    "boosted trees": boosted_trees,
    "extra trees": extra_trees,
}


def fit_ridge(features: Array, targets: Array) -> tuple[Array, Array]:
    """Weights (feature, target) and offset (target,); the penalty with the smallest leave-one-out error is taken."""
    from sklearn.linear_model import RidgeCV

    model = RidgeCV(RIDGE_ALPHAS).fit(features, targets)
    return np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)


def principal_components(values: Array, n: int = N_COMPONENTS) -> tuple[Array, Array]:
    """Mean (feature,) and directions (component, feature) of (sample, feature); fewer where there are no more."""
    mean = values.mean(axis=0)
    return mean, np.linalg.svd(values - mean, full_matrices=False)[2][:n]
