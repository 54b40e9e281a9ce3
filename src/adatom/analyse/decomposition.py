"""Many numbers of each atom as sums of a few components: principal, independent, or non-negative ones."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adatom.analyse.descriptors import Array, Descriptors, with_columns
from adatom.errors import ArgumentError

Method = Literal["pca", "ica", "nmf"]
# Singular values this small against the largest are rounding errors, which their squares make larger.
_NOTHING = 1e-6
COLUMN = {"pca": "pc", "ica": "ic", "nmf": "nmf"}


@dataclass(frozen=True)
class Decomposition:
    """``values = mean + scores @ components``, nearly.

    Attributes
    ----------
    method : ``pca``, ``ica`` or ``nmf``.
    components : (component, feature), those that explain most of the variance first.
    scores : (n, component): how much of each component an atom has (its loadings).
    mean : (feature,) what is left without any; of non-negative components the shift that made all values so, or 0.
    explained : (rank,) share of the variance that each principal component of the same values explains: the scree.
    n_suggested : principal components above the noise, see `significant_components`.
    of : what was decomposed.
    """

    method: Method
    components: Array
    scores: Array
    mean: Array
    explained: Array
    n_suggested: int
    of: Descriptors

    @property
    def names(self) -> list[str]:
        """Names of the columns: pc1, pc2, ..."""
        return [f"{COLUMN[self.method]}{k + 1}" for k in range(len(self.components))]

    def pictures(self) -> Array:
        """Components as (component, y, x) of patches, or (component, neighbour, 2) of vectors."""
        return self.components.reshape(len(self.components), *self.of.shape)

    def rebuilt(self) -> Array:
        """The values (n, feature) as these components tell them."""
        told: Array = self.mean + self.scores @ self.components
        return told

    def on_atoms(self, atoms: pd.DataFrame) -> pd.DataFrame:
        """The atoms with a column for each component, NaN for those that were left out."""
        return with_columns(atoms, self.of.rows, dict(zip(self.names, self.scores.T, strict=True)))


def decompose(
    descriptors: Descriptors,
    *,
    method: Method = "pca",
    n_components: int | Literal["auto"] = "auto",
    random_state: int = 0,
) -> Decomposition:
    """Decompose descriptors of atoms into components.

    Parameters
    ----------
    method : ``pca`` (uncorrelated, those of most variance first), ``ica`` (independent: FastICA) or ``nmf``
        (non-negative, for patches; values below 0 are shifted up by one number, which `mean` holds).
    n_components : so many, or as many as stand above the noise (at least one).

    Raises
    ------
    ArgumentError : if there are fewer atoms or features than components, or values that are not finite.
    """
    if method not in get_args(Method):
        raise ArgumentError(f"method: expected one of {', '.join(get_args(Method))}, got {method!r}.")
    values = descriptors.values
    if len(values) < 3 or values.shape[1] < 2:
        raise ArgumentError(f"descriptors: expected at least 3 atoms with 2 numbers each, got shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ArgumentError("descriptors: expected finite numbers, got some that are not.")
    mean = values.mean(axis=0)
    left, singular, right = np.linalg.svd(values - mean, full_matrices=False)
    n_suggested = significant_components(singular, values.shape)
    n = max(1, n_suggested) if n_components == "auto" else int(n_components)
    most = min(len(values) - 1, values.shape[1])
    if not 1 <= n <= most:
        raise ArgumentError(f"n_components: expected 1 to {most}, got {n_components}.")
    if method == "pca":
        components, scores = right[:n], left[:, :n] * singular[:n]
    else:
        fit: Any = _independent if method == "ica" else _non_negative
        components, scores, mean = fit(values, mean, n, random_state)
        most_first = np.argsort(-(scores.var(axis=0) * (components**2).sum(axis=1)), kind="stable")
        components, scores = components[most_first], scores[:, most_first]
    if method != "nmf":  # components have no sign of their own: their largest number is positive
        largest = np.abs(components).argmax(axis=1)
        sign = np.where(components[np.arange(len(components)), largest] < 0, -1.0, 1.0)
        components, scores = components * sign[:, None], scores * sign
    total = float((singular**2).sum())
    explained = singular**2 / total if total > 0 else np.zeros(len(singular))
    return Decomposition(method, components, scores, mean, explained, n_suggested, descriptors)


def significant_components(singular: Array, shape: tuple[int, ...]) -> int:
    """Number of singular values that white noise of unknown strength would not reach.

    Notes
    -----
    Those above the optimal hard threshold for their median (Gavish & Donoho, IEEE Trans. Inf. Theory 60, 5040 (2014),
    10.1109/TIT.2014.2323359). It takes noise to be white, and more than half of the values to be noise.
    """
    aspect = min(shape) / max(shape)
    threshold = (0.56 * aspect**3 - 0.95 * aspect**2 + 1.82 * aspect + 1.43) * float(np.median(singular))
    return int((singular > max(threshold, _NOTHING * float(singular.max(initial=0.0)))).sum())


def _independent(values: Array, mean: Array, n: int, random_state: int) -> tuple[Array, Array, Array]:
    from sklearn.decomposition import FastICA

    if not np.ptp(values, axis=0).any():
        return np.zeros((n, values.shape[1])), np.zeros((len(values), n)), mean
    model = FastICA(n_components=n, whiten="unit-variance", max_iter=1000, tol=1e-3, random_state=random_state)
    scores: Array = _quietly(model, values)
    return np.asarray(model.mixing_.T, float), scores, mean


def _non_negative(values: Array, mean: Array, n: int, random_state: int) -> tuple[Array, Array, Array]:
    from sklearn.decomposition import NMF

    shift = min(0.0, float(values.min()))
    model = NMF(n_components=n, init="nndsvda", max_iter=500, random_state=random_state)
    scores: Array = _quietly(model, values - shift)
    return np.asarray(model.components_, float), scores, np.full(values.shape[1], shift)


def _quietly(model: Any, values: Array) -> NDArray[Any]:
    """Fit; the last step is as good as any where the iteration has not come to rest."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(model.fit_transform(values), float)
