"""How much better the best place, as the model then sees it, is expected to be after one more measurement."""

from dataclasses import dataclass

import numpy as np

from adatom.decide.acquisitions.expected_improvement import log_expected_improvement
from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class KnowledgeGradient:
    """Looks one measurement ahead, exactly: a measurement moves all means along straight lines.

    Parameters
    ----------
    n_candidates : of how many the gain is worked out, those of highest mean plus two deviations; the others are out
        of the question. All candidates count as places that may turn out best.

    Notes
    -----
    Source: P. Frazier, W. Powell, S. Dayanik, INFORMS J. Comput. 21, 599 (2009), doi:10.1287/ijoc.1080.0314.
    """

    n_candidates: int = 100
    is_logarithm = True
    uses_joint = True

    def __call__(self, outlook: Outlook) -> Array:
        worth = outlook.worth
        mean, std = worth.mean[:, 0], worth.std[:, 0]
        covariance = worth.covariance(np.arange(len(mean)))[0]
        spread = np.sqrt(std**2 + worth.noise_std[:, 0] ** 2)
        scores = np.full(len(mean), -np.inf)
        for each in np.argsort(-(mean + 2 * std), kind="stable")[: self.n_candidates]:
            if spread[each] > 0:
                scores[each] = log_expected_gain(mean, covariance[each] / spread[each])
        if not np.isfinite(scores).any():  # nothing is left to learn
            return mean
        return scores


def log_expected_gain(mean: Array, slope: Array) -> float:
    """log(E[max(mean + slope Z)] - max(mean)) for one normal Z.

    The maximum is a chain of straight lines; each corner of it adds its change of slope times E[max(0, Z - |corner|)].
    """
    top = int(np.argmax(mean))
    # lines that pass the highest one only beyond 12 deviations have no part in it
    matters = mean + 12 * np.abs(slope - slope[top]) >= mean[top]
    mean, slope = mean[matters], slope[matters]
    order = np.lexsort((mean, slope))
    a, b = mean[order], slope[order]
    last = np.append(b[1:] > b[:-1], True)  # of equal slopes the highest counts
    a, b = a[last], b[last]
    line, start = [0], [-np.inf]  # lines of the upper envelope, and where each begins
    for new in range(1, len(a)):
        while True:
            before = line[-1]
            corner = (a[before] - a[new]) / (b[new] - b[before])
            if corner > start[-1]:
                break
            line.pop()
            start.pop()
        line.append(new)
        start.append(corner)
    if len(line) == 1:
        return -np.inf
    corners = np.abs(np.array(start[1:]))
    steps = np.log(np.diff(b[line]))
    return float(np.logaddexp.reduce(steps + log_expected_improvement(-corners, np.ones(len(corners)))))
