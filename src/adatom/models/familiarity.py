"""Is this image like the training? How far its features lie from those of the images that a model learned on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError

Array = NDArray[np.float64]

_N_DIRECTIONS = 16  # along which training images differ most; what lies beside all of them counts as one more
_LIKE = 0.99  # so many of the held-back images are called familiar
FEWEST = 32  # images that can tell


@dataclass(frozen=True)
class Familiarity:
    """What training images look like to the network's own deepest features.

    Attributes
    ----------
    mean : (features,).
    directions : (directions, features), each divided by the spread along it.
    beside : root mean square of what the directions leave of the features of a training image.
    limit : distance within which 99 % of the held-back images lie.
    """

    mean: Array
    directions: Array
    beside: float
    limit: float

    def unfamiliarity(self, features: Array) -> float:
        """How far an image with pooled `features` (features,) is: below 1 like 99 % of the images held back from the
        training, above 1 so many times as far away as these.
        """
        return float(_distance(self, features[None])[0] / self.limit)


def pooled(features: NDArray[np.float32], inside: NDArray[np.bool_]) -> Array:
    """One row for each image (n, 2 x channels) of features (n, channels, y', x'): mean and spread over those that lie
    in the image as a whole, as `inside` (n, y, x) says, with y and x multiples of y' and x'.
    """
    n, _, rows, columns = features.shape
    blocks = inside.reshape(n, rows, inside.shape[1] // rows, columns, inside.shape[2] // columns)
    within = blocks.all(axis=(2, 4))
    lonely = ~within.any(axis=(1, 2))  # none lies in it as a whole: take those that do in part
    within[lonely] = blocks.any(axis=(2, 4))[lonely]
    weight = within[:, None] / within.sum(axis=(1, 2))[:, None, None, None]
    mean = (features * weight).sum(axis=(2, 3))
    spread = np.sqrt((weight * (features - mean[:, :, None, None]) ** 2).sum(axis=(2, 3)))
    return np.concatenate([mean, spread], axis=1)


def learn_familiarity(features: Array) -> Familiarity:
    """From the pooled features (images, features) of images held back from the training.

    Notes
    -----
    The squared distance is the mean of the squared scores along the directions and of the squared remainder, each in
    units of its own typical size: principal components with a residual, as in multivariate process control (Jackson &
    Mudholkar, Technometrics 21, 341 (1979), 10.1080/00401706.1979.10489779). Half of the images give the directions,
    the other half the limit.
    """
    if len(features) < FEWEST:
        raise ArgumentError(f"features: expected those of at least {FEWEST} images, got {len(features)}.")
    first, second = features[::2], features[1::2]
    mean = first.mean(axis=0)
    _, size, direction = np.linalg.svd(first - mean, full_matrices=False)
    n = min(_N_DIRECTIONS, len(first) // 3)
    spread = np.maximum(size[:n] / np.sqrt(len(first) - 1), 1e-12)
    plain = Familiarity(mean, direction[:n] / spread[:, None], 1.0, 1.0)
    left = _remainder(plain, second)  # the first half was fitted: of it less is left
    beside = float(np.sqrt(np.mean(left**2))) or 1.0
    scaled = Familiarity(mean, plain.directions, beside, 1.0)
    return Familiarity(mean, plain.directions, beside, float(np.quantile(_distance(scaled, second), _LIKE)))


def _distance(known: Familiarity, features: Array) -> Array:
    scores = (features - known.mean) @ known.directions.T
    beside = _remainder(known, features) / known.beside
    distance: Array = np.sqrt(((scores**2).sum(axis=1) + beside**2 * scores.shape[1]) / (2 * scores.shape[1]))
    return distance


def _remainder(known: Familiarity, features: Array) -> Array:
    """What the directions leave of each row of features, as a length."""
    unit = known.directions / np.linalg.norm(known.directions, axis=1, keepdims=True)
    centred = features - known.mean
    left: Array = np.linalg.norm(centred - centred @ unit.T @ unit, axis=1)
    return left
