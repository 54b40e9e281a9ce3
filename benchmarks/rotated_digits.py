"""Digits of scikit-learn, enlarged to 28 x 28 pixels, turned by known angles and shifted by known distances; and how
well angles that were found agree with them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.special import digamma
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

Array = NDArray[np.float64]

SIDE = 28
WIDTH = 20  # pixels of the digit
SYMMETRIC = (0, 1, 8)  # look about the same after half a turn


@dataclass(frozen=True)
class Digits:
    """Images (n, y, x) between 0 and 1, which digit each is, its angle [rad], from x towards y, and its shift [px]."""

    images: NDArray[np.float32]
    digit: NDArray[np.int64]
    angle: Array
    shift: Array

    def take(self, which: NDArray[np.int64]) -> "Digits":
        """Some of them."""
        return Digits(self.images[which], self.digit[which], self.angle[which], self.shift[which])


def rotated_digits(*, farthest_deg: float, farthest_px: float = 2.0, seed: int = 0) -> tuple[Digits, Digits]:
    """All 1797 digits, each once: four fifths to learn from, and the others. Angles and shifts are uniform."""
    source = load_digits()
    n = len(source.images)
    rng = np.random.default_rng(seed)
    angle = np.deg2rad(rng.uniform(-farthest_deg, farthest_deg, n))
    shift = rng.uniform(-farthest_px, farthest_px, (n, 2))
    order = rng.permutation(n)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    images = np.zeros((n, SIDE, SIDE), dtype=np.float32)
    for k, image in enumerate(source.images / 16):
        dx, dy = x - shift[k, 0], y - shift[k, 1]
        along_x = np.cos(angle[k]) * dx + np.sin(angle[k]) * dy
        along_y = np.cos(angle[k]) * dy - np.sin(angle[k]) * dx
        middle, step = (len(image) - 1) / 2, len(image) / WIDTH
        images[k] = ndimage.map_coordinates(image, [middle + step * along_y, middle + step * along_x], order=1)
    every = Digits(images, source.target, angle, shift)
    return every.take(order[: 4 * n // 5]), every.take(order[4 * n // 5 :])


@dataclass(frozen=True)
class AngleScores:
    """Of each digit: root mean square error and median error [rad], slope of the found angle over the true one,
    circular correlation, and the share of angles that are off by more than 45 degrees.

    What is upright is each digit's own affair, so its found angles are compared after one offset for all of them.
    """

    rms: dict[int, float]
    median: dict[int, float]
    slope: dict[int, float]
    correlation: dict[int, float]
    far: dict[int, float]

    def without_symmetry(self, name: str) -> list[float]:
        """One of these figures, of digits that have no rotational symmetry."""
        return [value for digit, value in getattr(self, name).items() if digit not in SYMMETRIC]


def score_angles(found: Array, digits: Digits) -> AngleScores:
    """Compare found angles (n,) [rad] with the true ones, digit by digit."""
    scores = AngleScores({}, {}, {}, {}, {})
    for digit in range(10):
        of = digits.digit == digit
        true, difference = digits.angle[of], found[of] - digits.angle[of]
        offsets = np.linspace(-np.pi, np.pi, 720, endpoint=False)
        error = wrapped(difference[None, :] - offsets[:, None])
        error = error[np.abs(error).mean(axis=1).argmin()]
        scores.rms[digit] = float(np.sqrt(np.mean(error**2)))
        scores.median[digit] = float(np.median(np.abs(error)))
        scores.slope[digit] = float(np.polyfit(true, true + error, 1)[0])
        scores.correlation[digit] = circular_correlation(found[of], true)
        scores.far[digit] = float(np.mean(np.abs(error) > np.pi / 4))
    return scores


def wrapped(angle: Array) -> Array:
    """Angles between -pi and pi."""
    return np.angle(np.exp(1j * angle))


def circular_correlation(first: Array, second: Array) -> float:
    """Correlation coefficient of two samples of angles (Jammalamadaka & SenGupta, Circular Statistics, 2001)."""
    sines = [np.sin(each - np.angle(np.exp(1j * each).mean())) for each in (first, second)]
    return float((sines[0] * sines[1]).sum() / np.sqrt((sines[0] ** 2).sum() * (sines[1] ** 2).sum()))


def mutual_information(angle: Array, content: Array, *, k: int = 3) -> float:
    """Mutual information of angles (n,) with content (n, number) [nat], by nearest neighbours (Kraskov et al., Phys.
    Rev. E 69, 066138, 2004, first estimator); about 0, and sometimes below, where they are independent.
    """
    content = (content - content.mean(axis=0)) / content.std(axis=0)
    first = angle[:, None] / angle.std()
    both = np.hstack([first, content])
    distance = cKDTree(both).query(both, k + 1, p=np.inf)[0][:, -1]
    counts = [
        cKDTree(part).query_ball_point(part, distance - 1e-12, p=np.inf, return_length=True)
        for part in (first, content)
    ]
    return float(digamma(k) + digamma(len(angle)) - np.mean(digamma(counts[0]) + digamma(counts[1])))


def class_accuracy(known: Array, test: Array, train_digits: Digits, test_digits: Digits) -> float:
    """Share of test digits whose nearest neighbour by content, among those learned from, is the same digit."""
    neighbour: Any = KNeighborsClassifier(1).fit(known, train_digits.digit)
    return float(neighbour.score(test, test_digits.digit))
