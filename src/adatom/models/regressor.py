"""`Regressor`: numbers that belong to a whole image or patch (a thickness, a dose, a property), with error bars."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from adatom.errors import ArgumentError, ModelFileError, ShapeError
from adatom.models.blending import agree
from adatom.models.whole_image_model import Images, WholeImageModel
from adatom.train import Record
from adatom.train.losses import mean_and_variance_loss

Array = NDArray[np.float64]


class Regressor(WholeImageModel):
    """Numbers of images, with error bars.

    Parameters: see `adatom.models.whole_image_model.WholeImageModel`.

    Attributes
    ----------
    net_ : the networks.
    names_ : of the numbers.
    held_out_ : DataFrame of what was said of each image by the network that had not seen it, with its number in the
        column ``image``; None in a model from a file.
    figures_ : of these, for each number ``val_r2_<name>`` and ``val_coverage_90_<name>``, the share that lies within
        error bars times 1.645.
    history_ : records of the trainings.

    Notes
    -----
    ``<name>_std`` holds the scatter that the data leave (learned, Nix & Weigend 1994, 10.1109/ICNN.1994.374138) and how
    far the networks differ, times what makes 90 % of the images held out lie within; ``<name>_std_model`` is the latter
    part alone. What single networks said sets the factor, so the error bars of their mean are rather too wide, the more
    the networks differ.
    """

    _outputs = "targets"

    def fit(
        self,
        images: Images,
        targets: ArrayLike | pd.Series | pd.DataFrame,
        *,
        groups: ArrayLike | None = None,
        on_record: Callable[[Record], None] | None = None,
    ) -> Self:
        """Train from scratch.

        Parameters
        ----------
        images : (n, y, x) or (n, channel, y, x) in any unit, or a list of images of one size.
        targets : (n,) or (n, k) in any unit; a table's columns give their names.
        groups : (n,) what an image was cut from: images of one group stay on one side of each split.
        on_record : called after each step, see `adatom.train.train`, with the number of the ``member``.

        Raises
        ------
        ArgumentError : if a target is not finite or all are the same, or there are too few images.
        ShapeError : if images have different sizes, or their number is not that of the targets.
        """
        numbers, self.names_ = named_targets(targets)
        if not np.isfinite(numbers).all():
            raise ArgumentError(f"targets: expected finite numbers, got {np.sum(~np.isfinite(numbers))} others.")
        mean, spread = numbers.mean(axis=0), numbers.std(axis=0)
        if not (spread > 0).all():
            raise ArgumentError(
                f"targets: expected numbers that differ, got one value of {self.names_[int(spread.argmin())]}."
            )
        self.mean_, self.spread_ = mean, spread
        scaled = (numbers - mean) / spread
        k = scaled.shape[1]

        def parts(n: int, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
            from sklearn.model_selection import GroupKFold, KFold

            if groups is None:
                return list(KFold(n, shuffle=True, random_state=seed % 2**32).split(scaled))
            return list(GroupKFold(checked_groups(groups, n, len(scaled))).split(scaled, groups=np.asarray(groups)))

        which, said = self._learn(
            images, torch.from_numpy(scaled).float(), 2 * k, parts, loss=_loss, on_record=on_record
        )
        stated = np.exp(0.5 * said[:, k:].clip(-10, 10))
        _, self.std_factor_ = agree({"network": said[:, :k]}, scaled[which], stated, np.arange(len(which)))
        std = stated * self.std_factor_
        error = scaled[which] - said[:, :k]
        self.held_out_: pd.DataFrame | None = pd.DataFrame(
            {"image": which}
            | {name: said[:, j] * spread[j] + mean[j] for j, name in enumerate(self.names_)}
            | {f"{name}_std": std[:, j] * spread[j] for j, name in enumerate(self.names_)}
        )
        variance = np.mean((scaled[which] - scaled[which].mean(axis=0)) ** 2, axis=0)
        r2 = 1 - np.mean(error**2, axis=0) / np.where(variance > 0, variance, np.nan)
        covered = np.mean(np.abs(error) <= 1.645 * std, axis=0)
        self.figures_ = {f"val_r2_{name}": round(float(value), 4) for name, value in zip(self.names_, r2, strict=True)}
        for name, value in zip(self.names_, covered, strict=True):
            self.figures_[f"val_coverage_90_{name}"] = round(float(value), 4)
        return self

    def predict(self, images: Images) -> pd.DataFrame:
        """A row an image: for each number ``<name>``, ``<name>_std`` and ``<name>_std_model``, in the targets' units,
        and ``unfamiliarity``, above 1 for 5 % of images like those of the training, and for most others.

        Raises
        ------
        ShapeError : if the images are not as those of the training.
        """
        seen, unfamiliarity = self._see(images)
        k = len(self.names_)
        means = seen[:, :, :k]
        of_data, of_model = np.exp(seen[:, :, k:].clip(-10, 10)).mean(axis=0), means.var(axis=0)
        mean = means.mean(axis=0) * self.spread_ + self.mean_
        std, std_model = (
            np.sqrt(variance) * self.std_factor_ * self.spread_ for variance in (of_data + of_model, of_model)
        )
        columns: dict[str, Array] = {}
        for j, name in enumerate(self.names_):
            columns |= {name: mean[:, j], f"{name}_std": std[:, j], f"{name}_std_model": std_model[:, j]}
        return pd.DataFrame(columns | {"unfamiliarity": unfamiliarity})

    def _names(self) -> list[str]:
        return self.names_

    def _beside(self) -> dict[str, Array]:
        return {"mean": self.mean_, "spread": self.spread_, "std_factor": self.std_factor_}

    def _take(self, header: dict[str, Any], beside: Mapping[str, Array]) -> None:
        self.names_, self.held_out_ = header["names"], None
        self.mean_, self.spread_, self.std_factor_ = beside["mean"], beside["spread"], beside["std_factor"]
        k = len(self.names_)
        if header["architecture"]["arguments"]["outputs"] != 2 * k:
            raise ModelFileError("its network gives not two numbers for each name")
        if not self.mean_.shape == self.spread_.shape == self.std_factor_.shape == (k,):
            raise ModelFileError("its targets have not one scale for each name")


def checked_groups(groups: ArrayLike, n_parts: int, n: int) -> int:
    """How many parts the groups can be split into.

    Raises
    ------
    ShapeError : if there is not one group for each image.
    ArgumentError : if there are fewer groups than parts.
    """
    known = np.asarray(groups)
    if known.shape != (n,):
        raise ShapeError(f"groups: expected ({n},), one for each image, got {known.shape}.")
    n_groups = len(np.unique(known))
    if n_groups < n_parts:
        raise ArgumentError(
            f"groups: expected {n_parts} or more, one for each member to leave out, got {n_groups}. Lower n_members."
        )
    return n_parts


def named_targets(targets: ArrayLike | pd.Series | pd.DataFrame) -> tuple[Array, list[str]]:
    """Targets as (n, k), and the name of each number: that of a table's column, else value, or value_0 and so on."""
    numbers = np.asarray(targets, dtype=float)
    if numbers.ndim == 1:
        numbers = numbers[:, None]
    if numbers.ndim != 2 or not numbers.size:
        raise ShapeError(f"targets: expected (n,) or (n, k), got {np.shape(targets)}.")
    if isinstance(targets, pd.DataFrame):
        return numbers, [str(name) for name in targets.columns]
    if isinstance(targets, pd.Series) and targets.name is not None:
        return numbers, [str(targets.name)]
    k = numbers.shape[1]
    return numbers, ["value"] if k == 1 else [f"value_{j}" for j in range(k)]


def _loss(given: Tensor, wanted: Tensor) -> Tensor:
    k = wanted.shape[1]
    return mean_and_variance_loss(given[:, :k], given[:, k:].clamp(-10, 10), wanted)
