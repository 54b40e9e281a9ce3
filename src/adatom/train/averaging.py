"""Averages of the weights along the training, which generalise better than the last weights.

EMA: exponential moving average of weights and of the batch-norm statistics. SWA: plain average over the last part of
the training (Izmailov et al., UAI 2018, arXiv 1803.05407); its batch-norm statistics belong to no network that ever
was, so they are estimated anew on training images before use.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


class WeightAverage:
    """Average of a network's state, updated in place after each step.

    Parameters
    ----------
    kind : ``none`` (the average is the last state), ``ema`` or ``swa``.
    decay : share of the old average that EMA keeps at each step (less in the first steps).
    start : first step that SWA counts; before it, the average is the last state.
    """

    def __init__(self, net: nn.Module, *, kind: str, decay: float, start: int) -> None:
        self.kind, self.decay, self.start = kind, decay, start
        self.n_averaged = 0
        self.state: State = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @property
    def needs_statistics(self) -> bool:
        """Whether the batch-norm statistics of `state` have to be estimated before it is used."""
        return self.kind == "swa" and self.n_averaged > 1

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Take in the state of `net` after `step` steps."""
        if self.kind == "swa":
            self.n_averaged = self.n_averaged + 1 if step > self.start else 1
            share = 1 / self.n_averaged
        elif self.kind == "ema":
            self.n_averaged += 1
            share = 1 - min(self.decay, (1 + self.n_averaged) / (10 + self.n_averaged))
        else:
            share = 1.0
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, share)
            else:
                self.state[name].copy_(value)


@torch.no_grad()
def estimate_statistics(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the batch-norm statistics of `net` to plain averages over `batches` of images (n, 1, y, x)."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    training = net.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch: cumulative average
    net.train()
    for images in batches:
        net(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.train(training)
