"""States: clouds of latent numbers that a valley separates.

A mixture of Gaussians whose number the Bayesian information criterion chooses describes the density of the numbers. But
it takes several Gaussians for one cloud that is bent or has tails, as latent numbers have. So those are joined between
which the density has no valley along their ridge (Ray & Lindsay 2005, 10.1214/009053605000000417; Hennig 2010,
10.1007/s11634-010-0058-3).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from adatom.analyse.descriptors import Array, with_columns
from adatom.analyse.mixture import Mixture, mixture

# A valley is lower than this share of the lower of the two peaks beside it.
_VALLEY = 0.2
_MOST_GAUSSIANS = 12
_POINTS = 41  # on the ridge from one mean to another


@dataclass(frozen=True)
class States:
    """What the numbers fall into.

    Attributes
    ----------
    state : (n,) from 1, the most frequent first.
    probability : (n, k) of each state.
    centres : (k, dimension) mean of each.
    of : the Gaussians, and the criterion of their number.
    """

    state: NDArray[np.int64]
    probability: Array
    centres: Array
    of: Mixture

    def on_atoms(self, atoms: pd.DataFrame, rows: NDArray[np.int64]) -> pd.DataFrame:
        """The atoms with the columns ``state`` (0 for those without numbers) and ``state_probability``.

        Parameters
        ----------
        rows : (n,) row of each in the table.
        """
        return with_columns(atoms, rows, {"state": self.state, "state_probability": self.probability.max(axis=1)})


def find_states(
    values: Array, *, n: int | Literal["auto"] = "auto", n_most: int = _MOST_GAUSSIANS, random_state: int = 0
) -> States:
    """Tell states apart.

    Parameters
    ----------
    values : (n, dimension) numbers, such as latent ones.
    n : number of states, which are then Gaussians; by default as many as valleys separate.
    n_most : Gaussians that are tried.

    Raises
    ------
    ArgumentError : as `mixture` does.
    """
    found = mixture(np.asarray(values, float), n=n, n_most=n_most, random_state=random_state)
    of_gaussian = np.arange(len(found.weights)) if n != "auto" else _joined(found)
    number = len(np.unique(of_gaussian))
    probability = np.zeros((len(found.component), number))
    for gaussian, state in enumerate(of_gaussian):
        probability[:, state] += found.probability[:, gaussian]
    order = np.argsort(-np.bincount(probability.argmax(axis=1), minlength=number), kind="stable")
    probability = probability[:, order]
    share = np.bincount(of_gaussian, found.weights, number)
    centres = np.column_stack(
        [np.bincount(of_gaussian, found.weights * along, number) / share for along in found.means.T]
    )
    return States(
        state=probability.argmax(axis=1).astype(np.int64) + 1,
        probability=probability,
        centres=centres[order],
        of=found,
    )


def _joined(found: Mixture) -> NDArray[np.int64]:
    """Number of the cloud that each Gaussian is of, from 0."""
    clouds = [
        stats.multivariate_normal(mean, covariance, allow_singular=True)
        for mean, covariance in zip(found.means, found.covariances, strict=True)
    ]

    def density(places: Array) -> Array:
        total = sum(weight * cloud.pdf(places) for weight, cloud in zip(found.weights, clouds, strict=True))
        return np.atleast_1d(np.asarray(total, float))

    cloud = np.arange(len(found.weights))
    for one in range(len(cloud)):
        for other in range(one):
            height = density(_ridge(found, one, other))
            if height.min() >= _VALLEY * min(height[0], height[-1]):
                cloud[cloud == cloud[one]] = cloud[other]
    return np.unique(cloud, return_inverse=True)[1].astype(np.int64)


def _ridge(found: Mixture, one: int, other: int) -> Array:
    """Places (n, dimension) from one mean to the other on the curve that all peaks and saddles of the two lie on."""
    first, second = (np.linalg.pinv(found.covariances[k]) for k in (one, other))
    share = np.linspace(0, 1, _POINTS)[:, None, None]
    mixed = (1 - share) * first + share * second
    pulled = (1 - share) * (first @ found.means[one])[:, None] + share * (second @ found.means[other])[:, None]
    return np.asarray(np.linalg.solve(mixed, pulled)[:, :, 0], float)
