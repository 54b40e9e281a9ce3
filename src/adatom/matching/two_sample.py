"""How well real and simulated crops can be told apart: a classifier two-sample test.

A classifier that cannot tell two samples apart is right in half of the cases; how often it is right on crops that it
has not seen is the test. Source: Lopez-Paz & Oquab, Revisiting classifier two-sample tests, ICLR 2017,
arXiv:1610.06545.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError

Array = NDArray[np.float64]

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_RINGS = 10
_FOLDS = 4
_Z = 1.96  # of a 95 % interval
_FEWEST = 8


@dataclass(frozen=True)
class TwoSampleTest:
    """Accuracy of a classifier of real and simulated crops; 0.5 is perfect.

    Attributes
    ----------
    accuracy : by cross-validation.
    low, high : 95 % interval.
    n_crops : of each sample.
    """

    accuracy: float
    low: float
    high: float
    n_crops: int


@dataclass(frozen=True)
class Crops:
    """Crops (n, y, x) of one side, and what says which ones are neighbours.

    Attributes
    ----------
    values : (n, y, x).
    corner : (n, 2) row and column of each in its image [px].
    image : (n,) number of its image.
    """

    values: Array
    corner: NDArray[np.int64]
    image: NDArray[np.int64]

    def of(self, kept: NDArray[np.int64]) -> "Crops":
        """Some of them."""
        return Crops(self.values[kept], self.corner[kept], self.image[kept])


def cut_crops(images: list[Array], side: int) -> Crops:
    """All crops of images that do not overlap and hold no pixel that was not measured."""
    values, corners, numbers = [], [], []
    for number, image in enumerate(images):
        for row in range(0, image.shape[0] - side + 1, side):
            for column in range(0, image.shape[1] - side + 1, side):
                crop = image[row : row + side, column : column + side]
                if np.isfinite(crop).all() and np.ptp(crop) > 0:
                    values.append(crop)
                    corners.append((row, column))
                    numbers.append(number)
    return Crops(
        np.array(values).reshape(-1, side, side), np.array(corners).reshape(-1, 2).astype(int), np.array(numbers, int)
    )


def describe(crops: Array) -> Array:
    """Features (n, k) of crops (n, y, x): power by wavelength, grey values, gradients, asymmetries.

    Each crop has its mean taken out and is divided by its standard deviation: brightness and contrast are the file's.
    """
    side = crops.shape[1]
    values = crops - crops.mean(axis=(1, 2), keepdims=True)
    values = values / np.maximum(values.std(axis=(1, 2), keepdims=True), 1e-12)
    window = np.hanning(side + 2)[1:-1]
    power = np.abs(np.fft.rfft2(values * window[:, None] * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]) * side
    edges = np.geomspace(0.9, side / 2, _RINGS + 1)
    features = []
    for low, high in pairwise(edges):
        ring = (radius >= low) & (radius < high)
        if ring.any():
            features.append(np.log(power[:, ring].mean(axis=1) + 1e-12))
    features += list(np.quantile(values, _QUANTILES, axis=(1, 2)))
    for axis in (1, 2):
        step = np.diff(values, axis=axis)
        features += [np.abs(step).mean(axis=(1, 2)), *np.quantile(np.abs(step), (0.5, 0.9), axis=(1, 2))]
        second = np.diff(values, n=2, axis=axis)
        features += [np.log((second**2).mean(axis=(1, 2)) + 1e-12), (step**3).mean(axis=(1, 2))]
    features.append((values**3).mean(axis=(1, 2)))
    features.append(values.mean(axis=2).std(axis=1))  # of lines
    return np.stack(features, axis=1)


def tell_apart(real: Crops, simulated: Crops, *, seed: int = 0) -> TwoSampleTest:
    """Test how well real crops and simulated ones can be told apart.

    Parameters
    ----------
    real : crops of one image; those of a fold are a quarter of it, and their neighbours are not trained on.
    simulated : crops of many images; those of an image are in one fold.

    Raises
    ------
    ArgumentError : if there are fewer than eight crops of either.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(seed)
    n = min(len(real.values), len(simulated.values))
    if n < _FEWEST:
        raise ArgumentError(
            f"image: expected at least {_FEWEST} crops of {real.values.shape[-1]} pixels a side to compare, got {n}. "
            "Give a larger image."
        )
    real, simulated = (part.of(np.sort(rng.permutation(len(part.values))[:n])) for part in (real, simulated))
    side = real.values.shape[1]
    centre = np.median(real.corner, axis=0)
    quarter = 2 * (real.corner[:, 0] > centre[0]) + (real.corner[:, 1] > centre[1])
    fold = rng.permutation(int(simulated.image.max()) + 1)[simulated.image] % _FOLDS
    of_real, of_simulated = describe(real.values), describe(simulated.values)
    right, judged = 0, 0
    for number in range(_FOLDS):
        tested, other = quarter == number, fold == number
        if not tested.any() or not other.any():
            continue
        apart = np.abs(real.corner[:, None] - real.corner[tested][None]).max(axis=2).min(axis=1) > side
        n_train = min(int(apart.sum()), int((~other).sum()))
        if n_train < 4:
            continue
        known = (
            of_real[rng.permutation(np.flatnonzero(apart))[:n_train]],
            of_simulated[rng.permutation(np.flatnonzero(~other))[:n_train]],
        )
        n_test = min(int(tested.sum()), int(other.sum()))
        asked = (
            of_real[rng.permutation(np.flatnonzero(tested))[:n_test]],
            of_simulated[rng.permutation(np.flatnonzero(other))[:n_test]],
        )
        answer = np.repeat([1, 0], n_train)
        wanted = np.repeat([1, 0], n_test)
        # a line for shifts of the means, trees for all else
        linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000))
        trees = HistGradientBoostingClassifier(max_iter=60, max_depth=3, min_samples_leaf=5, random_state=seed)
        both = VotingClassifier([("linear", linear), ("trees", trees)], voting="soft")
        answered = both.fit(np.concatenate(known), answer).predict(np.concatenate(asked))
        right += int((answered == wanted).sum())
        judged += 2 * n_test
    return _interval(right, judged, n)


def _interval(right: int, judged: int, n_crops: int) -> TwoSampleTest:
    """Accuracy with the interval of Wilson (J. Am. Stat. Assoc. 22, 209 (1927), 10.1080/01621459.1927.10502953)."""
    share = right / judged
    middle = (share + _Z**2 / (2 * judged)) / (1 + _Z**2 / judged)
    reach = _Z / (1 + _Z**2 / judged) * np.sqrt(share * (1 - share) / judged + _Z**2 / (4 * judged**2))
    return TwoSampleTest(share, float(middle - reach), float(middle + reach), n_crops)
