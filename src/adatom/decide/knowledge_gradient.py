"""Knowledge gradient: how much better the best place will be known to be after one more measurement."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from adatom.decide.acquisition import Situation
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class KnowledgeGradient:
    """The expected gain of the highest mean among the candidates, one measurement ahead; exact for Gaussian beliefs.

    Parameters
    ----------
    most : candidates that are looked at together: those whose upper bound is highest.

    Notes
    -----
    P. Frazier, W. Powell & S. Dayanik, INFORMS J. Computing 2009, 10.1287/ijoc.1080.0314.
    """

    most: int = 300
    needs_model: bool = True
    gain: str = "plain"

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        told = situation.believed
        mean, std = told.mean[:, 0], told.std[:, 0]
        bound = np.where(situation.free, mean + 2 * std, -np.inf)
        which = np.argsort(-bound, kind="stable")[: self.most]
        which = which[np.isfinite(bound[which])]
        # those that were measured may stay the best
        known = situation.measured[np.argsort(-mean[situation.measured], kind="stable")[:10]]
        together = np.concatenate([which, known])
        covariance = told.covariance(together)[0]
        noise = told.noise_std[which, 0] ** 2
        score = np.full(len(mean), -np.inf)
        for row, candidate in enumerate(which):
            total = np.sqrt(max(covariance[row, row] + noise[row], 1e-30))
            score[candidate] = expected_maximum(mean[together], covariance[row] / total) - mean[together].max()
        return score


def expected_maximum(level: Array, slope: Array) -> float:
    """The mean of the maximum of the lines level + slope z, of a standard normal z."""
    order = np.lexsort((level, slope))
    level, slope = level[order], slope[order]
    last = np.r_[slope[1:] > slope[:-1] + 1e-15, True]  # of equal slopes the highest
    level, slope = level[last], slope[last]
    kept, borders = [0], [-np.inf]
    for k in range(1, len(level)):
        while True:
            j = kept[-1]
            crossing = (level[j] - level[k]) / (slope[k] - slope[j])
            if len(kept) > 1 and crossing <= borders[-1]:
                kept.pop()
                borders.pop()
                continue
            break
        kept.append(k)
        borders.append(crossing)
    low, high = np.array(borders), np.array([*borders[1:], np.inf])
    a, b = level[kept], slope[kept]
    return float((a * (norm.cdf(high) - norm.cdf(low)) + b * (norm.pdf(low) - norm.pdf(high))).sum())
