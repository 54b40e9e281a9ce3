"""The cloud of weights that a training wanders through once it has arrived, and nets drawn from it.

Source: Maddox, Garipov, Izmailov, Vetrov & Wilson, NeurIPS 2019, arXiv 1902.02476 (SWAG): a normal distribution with
the mean of the weights met on the way, and half of its covariance diagonal, half of low rank.
"""

import math
from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor, nn

from adatom.errors import TrainingError
from adatom.train.averaging import State
from adatom.train.losses import Loss

_RANK = 20  # of the part of the covariance that is not diagonal


class WeightCloud:
    """Mean and covariance of the states of a network."""

    def __init__(self) -> None:
        self.n = 0
        self.mean: State = {}
        self.square: State = {}
        self.deviations: deque[State] = deque(maxlen=_RANK)

    @torch.no_grad()
    def take(self, net: nn.Module) -> None:
        """Take in the weights of `net` as they are."""
        state = {name: value.detach().double().cpu() for name, value in net.named_parameters()}
        self.n += 1
        for name, value in state.items():
            for average, new in ((self.mean, value), (self.square, value**2)):
                average[name] = average[name].lerp(new, 1 / self.n) if name in average else new.clone()
        self.deviations.append({name: value - self.mean[name] for name, value in state.items()})

    def draw(self, generator: torch.Generator) -> State:
        """Weights drawn from the cloud; what batch normalisations count has to be estimated anew."""
        if self.n < 2:
            raise TrainingError("swag: expected at least two states of the weights, got fewer. Train for more steps.")
        rank = len(self.deviations)
        shares = torch.randn(rank, generator=generator, dtype=torch.float64) / math.sqrt(2 * max(1, rank - 1))
        drawn: State = {}
        for name, mean in self.mean.items():
            variance = (self.square[name] - mean**2).clamp(min=0)
            noise = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
            wandered = sum((share * each[name] for share, each in zip(shares, self.deviations, strict=True)), mean * 0)
            drawn[name] = (mean + variance.sqrt() * noise / math.sqrt(2) + wandered).float()
        return drawn


def wander(
    net: nn.Module,
    batches: Callable[[int], tuple[Tensor, Tensor]],
    loss_of: Loss,
    *,
    steps: int,
    first: int,
    learning_rate: float,
    device: torch.device | str,
    on_step: Callable[[int, float], None] | None = None,
) -> WeightCloud:
    """Train a fitted `net` on, in place, at one learning rate, and gather the weights met on the way.

    Parameters
    ----------
    batches : number of a step to its batch.
    steps, first : how many, and the number of the first one.
    on_step : called with the number of the step, from 1, and its loss.
    """
    net.to(device).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=learning_rate)
    cloud = WeightCloud()
    every = max(1, steps // (2 * _RANK))
    for step in range(1, steps + 1):
        images, known = batches(first + step - 1)
        optimiser.zero_grad(set_to_none=True)
        images = images.to(device).contiguous(memory_format=torch.channels_last)
        loss = loss_of(net(images).float(), known.to(device))
        loss.backward()
        optimiser.step()
        if not math.isfinite(loss.item()):
            raise TrainingError(f"loss: expected a finite number, got {loss.item()} at step {step} of the walk.")
        if step % every == 0:
            cloud.take(net)
        if on_step is not None:
            on_step(step, loss.item())
    net.eval()
    return cloud
