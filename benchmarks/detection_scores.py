"""How good a ranked list of finds is against marks: precision, recall, F1, average precision, calibration.

A find has a position and a probability (or any number by which finds can be ranked). Matching is one to one: in the
order of their probability, each find takes the nearest mark within the tolerance that no likelier find took. So what is
right does not depend on the threshold, and one matching serves all thresholds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.locate import match_likeliest_first

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Finds:
    """Finds of an image: (n, 2) x and y [px], and the probability of each (n,)."""

    positions: Array
    probability: Array

    def likelier(self, than: float) -> "Finds":
        kept = self.probability >= than
        return Finds(self.positions[kept], self.probability[kept])


@dataclass(frozen=True)
class Judged:
    """Finds of an image after matching, the likeliest first: `is_right` says which took a mark."""

    probability: Array
    is_right: NDArray[np.bool_]
    n_marks: int


@dataclass(frozen=True)
class Score:
    """Counts at one threshold, added up over images."""

    n_right: int
    n_found: int
    n_marks: int

    @property
    def precision(self) -> float:
        return self.n_right / max(1, self.n_found)

    @property
    def recall(self) -> float:
        return self.n_right / max(1, self.n_marks)

    @property
    def f1(self) -> float:
        return 2 * self.n_right / max(1, self.n_found + self.n_marks)


def judge(finds: Finds, marks: Array, *, tolerance_px: float) -> Judged:
    """Match the finds of an image with its marks (m, 2)."""
    order = np.argsort(-finds.probability, kind="stable")
    mine = match_likeliest_first(finds.positions, finds.probability, marks, tolerance=tolerance_px)
    return Judged(finds.probability[order], mine[order] >= 0, len(marks))


def score(images: Sequence[Judged], threshold: float) -> Score:
    """Counts of the finds that are at least as probable as `threshold`."""
    return Score(
        n_right=sum(int(one.is_right[one.probability >= threshold].sum()) for one in images),
        n_found=sum(int((one.probability >= threshold).sum()) for one in images),
        n_marks=sum(one.n_marks for one in images),
    )


def best_limit(probability: Sequence[Array]) -> float:
    """The threshold with the highest expected F1, if probabilities (of the finds of each image) are right.

    It is half of that F1: Lipton, Elkan & Naryanaswamy, ECML 2014, 10.1007/978-3-662-44851-9_15.
    """
    ordered = np.sort(np.concatenate(list(probability)))[::-1]
    hits = np.cumsum(ordered)
    expected = 2 * hits / (np.arange(1, len(ordered) + 1) + hits[-1])
    return float(ordered[expected.argmax()])


def average_precision(images: Sequence[Judged]) -> float:
    """Mean precision at the marks, those of all images ranked together; a mark that was never found counts 0."""
    right, n_marks = _ranked(images)
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(precision[right].sum() / max(1, n_marks))


def best_threshold(images: Sequence[Judged]) -> float:
    """The threshold of the highest F1 on these images."""
    probability = np.sort(np.concatenate([one.probability for one in images]))[::-1]
    right, n_marks = _ranked(images)
    f1 = 2 * np.cumsum(right) / (np.arange(1, len(right) + 1) + n_marks)
    return float(probability[f1.argmax()]) if len(f1) else 1.0


def _ranked(images: Sequence[Judged]) -> tuple[NDArray[np.bool_], int]:
    probability = np.concatenate([one.probability for one in images])
    right = np.concatenate([one.is_right for one in images])
    return right[np.argsort(-probability, kind="stable")], sum(one.n_marks for one in images)


def paired_bootstrap(
    ours: Sequence[Judged],
    theirs: Sequence[Judged],
    statistic: Callable[[Sequence[Judged]], float],
    *,
    n: int = 2000,
) -> tuple[float, float, float]:
    """Difference of a statistic between two methods on the same images, and its 2.5 and 97.5 percentiles.

    The images are drawn again `n` times with replacement, the same ones for both methods.
    """
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(n):
        drawn = rng.integers(len(ours), size=len(ours))
        differences.append(statistic([ours[k] for k in drawn]) - statistic([theirs[k] for k in drawn]))
    low, high = np.quantile(differences, [0.025, 0.975])
    return statistic(ours) - statistic(theirs), float(low), float(high)


@dataclass(frozen=True)
class Reliability:
    """Finds grouped by their probability: mean probability, share that is right, and number in each group."""

    stated: Array
    observed: Array
    n: NDArray[np.int64]

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of the two, each group weighted with its finds."""
        return float(np.average(np.abs(self.stated - self.observed), weights=self.n)) if self.n.sum() else 0.0


def reliability(images: Sequence[Judged], *, n_groups: int = 10, least: float = 0.0) -> Reliability:
    """Reliability of the finds that are at least as probable as `least`, in groups of equal width in probability."""
    probability = np.concatenate([one.probability for one in images])
    right = np.concatenate([one.is_right for one in images])[probability >= least]
    probability = probability[probability >= least]
    group = np.clip((probability * n_groups).astype(int), 0, n_groups - 1)
    n = np.bincount(group, minlength=n_groups)
    filled = n > 0
    stated, observed = (np.bincount(group, weights=w, minlength=n_groups)[filled] for w in (probability, right))
    return Reliability(stated / n[filled], observed / n[filled], n[filled])
