"""Losses of segmentation, each of logits (n, classes, y, x) and a class map (n, y, x), and one of numbers with
variances.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from adatom.train.names import registered

Loss = Callable[[Tensor, Tensor], Tensor]
_VARIANCE_SHARE = 0.05  # of the loss; the mean must not wait for the variance


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Mean cross-entropy a pixel."""
    return functional.cross_entropy(logits, label)


def dice(logits: Tensor, label: Tensor) -> Tensor:
    """One minus the soft Dice overlap, averaged over all classes but the background.

    Source: Milletari, Navab & Ahmadi, 3DV 2016, 10.1109/3DV.2016.79. Rare classes count as much as frequent ones.
    """
    probability = logits.softmax(dim=1)[:, 1:]
    truth = functional.one_hot(label, logits.shape[1]).movedim(-1, 1)[:, 1:].to(probability.dtype)
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    total = probability.square().sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    return 1 - ((2 * overlap + 1) / (total + 1)).mean()


def focal(logits: Tensor, label: Tensor, gamma: float = 2.0) -> Tensor:
    """Cross-entropy that counts a pixel less the surer it is: factor ``(1 - p)**gamma``.

    Source: Lin, Goyal, Girshick, He & Dollar, ICCV 2017, 10.1109/ICCV.2017.324.
    """
    log_probability = logits.log_softmax(dim=1).gather(1, label[:, None])[:, 0]
    return -((1 - log_probability.exp()) ** gamma * log_probability).mean()


def mean_and_variance_loss(mean: Tensor, log_variance: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of means; the variances learn beside them from errors that they do not change."""
    square = (wanted - mean).square()
    likelihood = 0.5 * (log_variance + square.detach() * torch.exp(-log_variance))
    return square.mean() + _VARIANCE_SHARE * likelihood.mean()


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "dice": dice, "focal": focal}


def weighted_loss(weights: Mapping[str, float]) -> Loss:
    """The sum of the named losses, each times its weight; those that were registered (`adatom.train.register`) too."""
    losses = {name: _named(name) for name in weights}

    def loss(logits: Tensor, label: Tensor) -> Tensor:
        return torch.stack([weight * losses[name](logits, label) for name, weight in weights.items()]).sum()

    return loss


def _named(name: str) -> Loss:
    own = registered("loss", name)
    if own is None:
        return LOSSES[name]
    loss: Loss = own() if isinstance(own, type) else own
    return loss


def weighted_square(denoised: Tensor, wanted: Tensor) -> Tensor:
    """Mean of the weighted squared differences of images (n, 1, y, x), over the pixels that have a weight.

    `wanted` (n, 2, y, x) holds what is wanted and the weight of each pixel.
    """
    weight = wanted[:, 1]
    return (weight * (denoised[:, 0] - wanted[:, 0]).square()).sum() / (weight > 0).sum().clamp(min=1)
