"""`Classifier`: what a whole image or patch shows (a phase, a kind of defect, whether it is worth keeping)."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch import Tensor
from torch.nn import functional

from adatom.errors import ArgumentError, ModelFileError, ShapeError
from adatom.models.calibration import expected_calibration_error
from adatom.models.regressor import checked_groups
from adatom.models.whole_image_model import Images, WholeImageModel
from adatom.train import Record

Array = NDArray[np.float64]


class Classifier(WholeImageModel):
    """Classes of images, with calibrated probabilities.

    Parameters: see `adatom.models.whole_image_model.WholeImageModel`.

    Attributes
    ----------
    net_ : the networks.
    classes_ : names of the classes, sorted.
    temperature_ : by which logits are divided, from images held out (Guo et al. 2017, arXiv 1706.04599).
    confusion_ : DataFrame of images held out: true class by found class; None in a model from a file.
    figures_ : of images held out: ``val_accuracy``, ``val_log_loss``, ``val_calibration_error``.
    history_ : records of the trainings.
    """

    _outputs = "labels"

    def fit(
        self,
        images: Images,
        labels: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        on_record: Callable[[Record], None] | None = None,
    ) -> Self:
        """Train from scratch.

        Parameters
        ----------
        images : (n, y, x) or (n, channel, y, x) in any unit, or a list of images of one size.
        labels : (n,) names or numbers of their classes.
        groups : (n,) what an image was cut from: images of one group stay on one side of each split.
        on_record : called after each step, see `adatom.train.train`, with the number of the ``member``.

        Raises
        ------
        ArgumentError : if there are fewer than two classes, or one of them has fewer images than members leave out.
        ShapeError : if images have different sizes, or their number is not that of the labels.
        """
        known = np.asarray(labels)
        if known.ndim != 1 or not known.size:
            raise ShapeError(f"labels: expected (n,), got {known.shape}.")
        if known.dtype.kind == "f" and not np.isfinite(known).all():
            raise ArgumentError("labels: expected a class for each image, got NaN.")
        names, number = np.unique(known, return_inverse=True)
        self.classes_ = [str(name) for name in names]
        counts = np.bincount(number)
        least = max(2, self.n_members)
        if len(names) < 2:
            raise ArgumentError(f"labels: expected two classes or more, got {', '.join(self.classes_)} alone.")
        if counts.min() < least:
            raise ArgumentError(
                f"labels: expected {least} images or more of each class, so that each member can leave some out, got "
                f"{counts.min()} of {self.classes_[int(counts.argmin())]}. Lower n_members."
            )

        def parts(n: int, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
            from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

            if groups is None:
                return list(StratifiedKFold(n, shuffle=True, random_state=seed % 2**32).split(number, number))
            checked_groups(groups, n, len(number))
            return list(StratifiedGroupKFold(n).split(number, number, groups=np.asarray(groups)))

        which, said = self._learn(
            images, torch.from_numpy(number), len(names), parts, loss=_cross_entropy, on_record=on_record
        )
        true = number[which]

        self.temperature_ = _temperature(said, true)
        probability = softmax(said / self.temperature_, axis=1)
        best = probability.argmax(axis=1)
        table = np.zeros((len(names), len(names)), dtype=np.int64)
        np.add.at(table, (true, best), 1)
        self.confusion_: pd.DataFrame | None = pd.DataFrame(
            table, pd.Index(self.classes_, name="true"), pd.Index(self.classes_, name="found")
        )
        self.figures_ = {
            "val_accuracy": round(float(np.mean(best == true)), 4),
            "val_log_loss": round(-float(np.log(probability[np.arange(len(true)), true]).mean()), 4),
            "val_calibration_error": round(expected_calibration_error(probability.max(axis=1), best == true), 4),
        }
        return self

    def predict(self, images: Images) -> pd.DataFrame:
        """A row an image.

        Returns
        -------
        ``label``, its ``probability``, the probability of each class ``p_<class>``, and what is open [nats]:
        ``entropy`` in all, and ``entropy_model``, the part in which the networks disagree. ``unfamiliarity`` is above 1
        for 5 % of images like those of the training, and for most others: networks may agree on what they never saw.

        Raises
        ------
        ShapeError : if the images are not as those of the training.
        """
        seen, unfamiliarity = self._see(images)
        each = softmax(seen / self.temperature_, axis=2)
        mean = each.mean(axis=0)
        best = mean.argmax(axis=1)
        total, of_data = _entropy(mean), _entropy(each).mean(axis=0)
        columns: dict[str, Any] = {"label": np.array(self.classes_)[best], "probability": mean.max(axis=1)}
        columns |= {f"p_{name}": mean[:, k] for k, name in enumerate(self.classes_)}
        columns |= {"entropy": total, "entropy_model": np.maximum(total - of_data, 0.0)}
        return pd.DataFrame(columns | {"unfamiliarity": unfamiliarity})

    def _names(self) -> list[str]:
        return self.classes_

    def _beside(self) -> dict[str, Array]:
        return {"temperature": np.array([self.temperature_])}

    def _take(self, header: dict[str, Any], beside: Mapping[str, Array]) -> None:
        self.classes_, self.confusion_ = header["names"], None
        if header["architecture"]["arguments"]["outputs"] != len(self.classes_):
            raise ModelFileError("its network gives not one number for each class")
        temperature = beside["temperature"]
        if temperature.shape != (1,) or not temperature[0] > 0:
            raise ModelFileError("its temperature is not a number above 0")
        self.temperature_ = float(temperature[0])


def _temperature(logits: Array, true: NDArray[np.int64]) -> float:
    """By which logits (n, class) are divided to be the likeliest, if one more image in n + 2 were wrong: where all are
    right, no probability would be high enough otherwise.
    """
    n, n_classes = logits.shape
    doubt = 1 / (n + 2)
    wanted = np.full(logits.shape, doubt / (n_classes - 1))
    wanted[np.arange(n), true] = 1 - doubt

    def loss(log_temperature: float) -> float:
        return -float((wanted * log_softmax(logits / np.exp(log_temperature), axis=1)).sum())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 5.0), method="bounded").x))


def _entropy(probability: Array) -> Array:
    """Of the last axis [nats]."""
    terms = np.where(probability > 0, probability * np.log(np.maximum(probability, 1e-300)), 0.0)
    return -np.asarray(terms.sum(axis=-1))


def _cross_entropy(given: Tensor, wanted: Tensor) -> Tensor:
    return functional.cross_entropy(given, wanted)
