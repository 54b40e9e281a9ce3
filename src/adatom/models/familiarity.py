"""Is this image like the training? Whether its features are those of images that a model learned on, or of others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError

Array = NDArray[np.float64]

FEWEST = 32  # images of each kind that can tell
_STRENGTH = 0.01  # inverse of the regularisation: features are many, images few


@dataclass(frozen=True)
class Familiarity:
    """The log-odds of an image being unlike the training: `weights` times its features, plus `offset`."""

    weights: Array
    offset: float

    def unfamiliarity(self, features: Array) -> float:
        """Probability that an image with pooled `features` (features,) is unlike the training."""
        odds = np.clip(float(features @ self.weights) + self.offset, -30, 30)
        return float(1 / (1 + np.exp(-odds)))


def pooled(features: NDArray[np.float32], inside: NDArray[np.bool_]) -> Array:
    """One row for each image (n, 2 x channels) of features (n, channels, y', x'): mean and spread over those that lie
    in the image as a whole, as `inside` (n, y, x) says, with y and x multiples of y' and x'.
    """
    n, _, rows, columns = features.shape
    blocks = inside.reshape(n, rows, inside.shape[1] // rows, columns, inside.shape[2] // columns)
    within = np.asarray(np.all(blocks, axis=(2, 4)))
    lonely = ~within.any(axis=(1, 2))  # none lies in it as a whole: take those that do in part
    within[lonely] = np.any(blocks, axis=(2, 4))[lonely]
    weight = within[:, None] / within.sum(axis=(1, 2))[:, None, None, None]
    mean = (features * weight).sum(axis=(2, 3))
    spread = np.sqrt((weight * (features - mean[:, :, None, None]) ** 2).sum(axis=(2, 3)))
    return np.concatenate([mean, spread], axis=1)


def learn_familiarity(like: Array, unlike: Array) -> Familiarity:
    """From the pooled features (images, features) of images held back from the training, and of other things.

    Notes
    -----
    A logistic regression. Distances from the training images alone would not do: these differ among each other as much
    as any texture differs from them. Source of the idea to show a model what it should not know: Hendrycks, Mazeika &
    Dietterich, ICLR 2019, arXiv 1812.04606 (outlier exposure).
    """
    from sklearn.linear_model import LogisticRegression

    if min(len(like), len(unlike)) < FEWEST:
        raise ArgumentError(
            f"features: expected those of at least {FEWEST} images of each kind, got {len(like)} and {len(unlike)}."
        )
    features = np.concatenate([like, unlike])
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 1e-9 * np.abs(mean) + 1e-12, spread, np.inf)  # what never differs tells nothing
    kind = np.repeat([0, 1], [len(like), len(unlike)])
    regression = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=2000)
    fitted = regression.fit((features - mean) / spread, kind)
    weights = fitted.coef_[0] / spread
    return Familiarity(weights, float(fitted.intercept_[0] - weights @ mean))
