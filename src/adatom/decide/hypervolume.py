"""Several objectives: by how much a place is expected to enlarge what is dominated."""

from dataclasses import dataclass

import numpy as np

from adatom.decide.acquisition import Situation
from adatom.decide.posterior import Array
from adatom.errors import ArgumentError


@dataclass(frozen=True)
class HypervolumeImprovement:
    """Expected hypervolume improvement, by Monte Carlo over each candidate.

    Parameters
    ----------
    reference : (k,) what is no better than nothing, of each objective, larger being better; by default a tenth of the
        measured range below the worst.
    n_draws : of each candidate, common random numbers.
    most : candidates that are looked at: those whose upper bounds add most.

    Notes
    -----
    M. Emmerich, K. Giannakoglou & B. Naujoks, IEEE Trans. Evol. Comput. 2006, 10.1109/TEVC.2005.859463.
    """

    reference: tuple[float, ...] | None = None
    n_draws: int = 64
    most: int = 200
    needs_model: bool = True
    gain: str = "plain"

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        told = situation.believed
        k = told.mean.shape[1]
        if k > 3:
            raise ArgumentError(f"hypervolume: expected at most 3 objectives, got {k}. Join some by weights.")
        values = told.mean[situation.measured]
        low, high = values.min(axis=0), values.max(axis=0)
        reference = np.asarray(self.reference if self.reference is not None else low - 0.1 * (high - low), dtype=float)
        if reference.shape != (k,):
            raise ArgumentError(f"reference: expected {k} numbers, one for each objective, got {reference.tolist()}.")
        front = pareto_front(values)
        score = np.full(len(told.mean), -np.inf)
        optimistic = gains(told.mean + told.std, front, reference)
        which = np.argsort(-np.where(situation.free, optimistic, -np.inf), kind="stable")[: self.most]
        draws = np.random.default_rng(0).standard_normal((self.n_draws, k))
        for candidate in which:
            score[candidate] = gains(told.mean[candidate] + draws * told.std[candidate], front, reference).mean()
        return score


def pareto_front(values: Array) -> Array:
    """Those of some points (n, k) that no other one is better than, or as good, in all objectives."""
    unique = np.unique(values, axis=0)
    better = (unique[:, None] >= unique).all(axis=2) & (unique[:, None] > unique).any(axis=2)
    front: Array = unique[~better.any(axis=0)]
    return front


def hypervolume(front: Array, reference: Array) -> float:
    """Volume that some points (n, k), k from 1 to 3, dominate above a reference (k,)."""
    above = front[(front > reference).all(axis=1)] - reference
    if not len(above):
        return 0.0
    if above.shape[1] == 1:
        return float(above.max())
    order = np.argsort(-above[:, -1], kind="stable")
    above, total = above[order], 0.0
    for number in range(len(above)):  # slices along the last objective
        thickness = above[number, -1] - (above[number + 1, -1] if number + 1 < len(above) else 0.0)
        if thickness > 0:
            total += thickness * hypervolume(above[: number + 1, :-1], np.zeros(above.shape[1] - 1))
    return total


def gains(points: Array, front: Array, reference: Array) -> Array:
    """By how much each of some points (m, k) enlarges what the front dominates."""
    before = hypervolume(front, reference)
    result = np.zeros(len(points))
    for number, point in enumerate(points):
        if (point > reference).all() and not (front >= point).all(axis=1).any():
            result[number] = hypervolume(np.vstack([front, point]), reference) - before
    return result
