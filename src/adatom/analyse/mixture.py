"""Kinds of atoms, as clouds of their scores: a mixture of Gaussians."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adatom.analyse.decomposition import Decomposition
from adatom.analyse.descriptors import Array, with_columns
from adatom.errors import ArgumentError

_STARTS = 3


@dataclass(frozen=True)
class Mixture:
    """Gaussians that the scores are drawn from.

    Attributes
    ----------
    component : (n,) number of the Gaussian that each is most probably of, from 1, the largest first.
    probability : (n, k) of each Gaussian.
    weights, means, covariances : (k,), (k, dimension) and (k, dimension, dimension).
    criterion : Bayesian information criterion of each number that was tried, the lowest is best; of one only if the
        number was given.
    rows : (n,) position of each in the table of atoms.
    """

    component: NDArray[np.int64]
    probability: Array
    weights: Array
    means: Array
    covariances: Array
    criterion: dict[int, float]
    rows: NDArray[np.int64]

    def on_atoms(self, atoms: pd.DataFrame) -> pd.DataFrame:
        """The atoms with the columns ``component`` (0 for those that were left out) and ``component_probability``."""
        columns = {"component": self.component, "component_probability": self.probability.max(axis=1)}
        return with_columns(atoms, self.rows, columns)


def mixture(
    scores: Decomposition | Array,
    *,
    n: int | Literal["auto"] = "auto",
    n_most: int = 8,
    random_state: int = 0,
) -> Mixture:
    """Tell kinds of atoms apart by their scores.

    Parameters
    ----------
    scores : a decomposition, or numbers (n, dimension).
    n : number of Gaussians, or the one with the lowest Bayesian information criterion, up to `n_most`.

    Raises
    ------
    ArgumentError : if there are fewer scores than Gaussians, or some that are not finite.

    Notes
    -----
    Kinds whose clouds are no Gaussians (a gradual change from one to another, say) are made of several: look at the
    criterion, and give the number that physics demands.
    """
    from sklearn.mixture import GaussianMixture

    values = np.asarray(scores.scores if isinstance(scores, Decomposition) else scores, float)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ArgumentError(f"scores: expected finite numbers (n, dimension), got shape {values.shape}.")
    most = len(np.unique(values, axis=0))
    numbers = range(1, min(n_most, most // 2, len(values) // 3) + 1) if n == "auto" else [int(n)]
    if n == "auto" and not len(numbers):
        numbers = [1]
    if not all(1 <= number <= most for number in numbers) or len(values) < 2:
        raise ArgumentError(f"n: expected 1 to {most}, the number of different scores, got {n}.")
    spread = values.std(axis=0)
    unit = np.where(spread > 0, spread, 1.0)
    scaled = (values - values.mean(axis=0)) / unit
    tried = {
        number: GaussianMixture(
            number, n_init=_STARTS if number > 1 else 1, reg_covar=1e-5, random_state=random_state
        ).fit(scaled)
        for number in numbers
    }
    criterion = {number: float(model.bic(scaled)) for number, model in tried.items()}
    best = tried[min(criterion, key=lambda number: criterion[number])]
    order = np.argsort(-best.weights_, kind="stable")
    probability = np.asarray(best.predict_proba(scaled), float)[:, order]
    rows = scores.of.rows if isinstance(scores, Decomposition) else np.arange(len(values))
    return Mixture(
        component=probability.argmax(axis=1).astype(np.int64) + 1,
        probability=probability,
        weights=np.asarray(best.weights_)[order],
        means=np.asarray(best.means_)[order] * unit + values.mean(axis=0),
        covariances=np.asarray(best.covariances_)[order] * np.outer(unit, unit),
        criterion=criterion,
        rows=rows,
    )
