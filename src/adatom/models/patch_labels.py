"""What is known of patches beforehand: their classes, or a number of each; all of them or some."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adatom.errors import ArgumentError

_LABELLED_SHARE = 0.25  # of a batch, at least


def class_numbers(labels: Any, n: int, names: tuple[str, ...]) -> Tensor:
    """Classes of `n` patches as numbers (n,), -1 where unknown, out of names or of numbers from 0.

    Raises
    ------
    ArgumentError : if there are not `n`, or one is unknown.
    """
    if labels is None:
        return torch.full((n,), -1.0, dtype=torch.float32)
    given = np.asarray(labels)
    if given.shape != (n,):
        raise ArgumentError(f"labels: expected {n}, one a patch, got shape {given.shape}.")
    if given.dtype.kind in "iufb":
        numbers = np.where(np.isnan(given.astype(float)), -1, given.astype(float))
        wrong = (numbers != np.round(numbers)) | (numbers < -1) | (numbers >= len(names))
        if wrong.any():
            raise ArgumentError(
                f"labels: expected numbers of classes from 0 to {len(names) - 1}, or -1 where unknown, got "
                f"{given[wrong][0]}."
            )
        return torch.from_numpy(numbers).float()
    number = {name: k for k, name in enumerate(names)} | {"": -1}
    unknown = [str(name) for name in given if str(name) not in number]
    if unknown:
        raise ArgumentError(f"labels: expected one of {', '.join(names)}, or '', got {unknown[0]!r}.")
    return torch.tensor([float(number[str(name)]) for name in given], dtype=torch.float32)


def known_numbers(labels: Any, n: int) -> tuple[Tensor, tuple[float, float]]:
    """Numbers of `n` patches less their mean and over their spread (n,), NaN where unknown; mean and spread.

    Raises
    ------
    ArgumentError : if there are not `n`, or fewer than two different ones are known.
    """
    values = np.asarray(labels, dtype=float) if labels is not None else np.zeros(0)
    if values.shape != (n,) or np.isinf(values).any():
        raise ArgumentError(f"labels: expected {n} numbers, one a patch, NaN where unknown, got shape {values.shape}.")
    told = values[~np.isnan(values)]
    if len(told) < 2 or told.std() == 0:
        raise ArgumentError(f"labels: expected at least two different numbers, got {len(told)} known.")
    scale = float(told.mean()), float(told.std())
    return torch.from_numpy((values - scale[0]) / scale[1]).float(), scale


def chances(is_known: Tensor) -> NDArray[np.float64] | None:
    """How likely each patch is to be drawn into a batch: where few have labels, these come more often. None where all
    are alike.
    """
    n_known, n = int(is_known.sum()), len(is_known)
    if n_known == 0 or n_known >= _LABELLED_SHARE * n:
        return None
    each = np.where(is_known.numpy(), _LABELLED_SHARE / n_known, (1 - _LABELLED_SHARE) / (n - n_known))
    return each / each.sum()
