"""Members of an ensemble that each leave out a part of what there is to learn from, by which their training stops."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adatom.train import Batch, Loss, Record, TrainingSettings, train
from adatom.train.orientations import turned_by_chance

Judge = Callable[[nn.Module, Sequence[Batch], Loss, torch.device | str], Record]


def train_member(
    make: Callable[[], nn.Module],
    number: int,
    inputs: Tensor,
    wanted: Tensor,
    shown: NDArray[np.integer[Any]],
    left_out: Sequence[NDArray[np.integer[Any]]],
    settings: TrainingSettings,
    *,
    symmetric: bool,
    loss_of: Loss,
    judge: Judge,
    weight_decay: float,
    device: torch.device,
    on_record: Callable[[Record], None] | None,
) -> tuple[nn.Module, list[Record]]:
    """Train one member on samples drawn from those that it is shown.

    Parameters
    ----------
    make : makes the network; its weights come from the seed of the settings and the member's number.
    inputs, wanted : of all samples (n, ...).
    shown, left_out : numbers of samples; of those left out in batches.
    symmetric : whether inputs are shown in all eight orientations.
    on_record : called after each step with its record and the number of the ``member``.

    Returns
    -------
    The network in evaluation mode, and its records, each with the number of the ``member``.
    """
    seed, size = settings.seed + number, min(settings.batch_size, len(shown))

    def batch(step: int) -> Batch:
        rng = np.random.default_rng([seed, step])
        chosen = torch.from_numpy(shown[rng.integers(0, len(shown), size)])
        drawn = inputs[chosen]
        return (turned_by_chance(drawn, rng) if symmetric else drawn), wanted[chosen]

    def record(each: Record) -> None:
        if on_record is not None:
            on_record({**each, "member": number})

    with torch.random.fork_rng(devices=[]):  # the user's generator stays where it is
        torch.default_generator.manual_seed(seed)
        member = make()
        history = train(
            member,
            batch,
            [(inputs[part], wanted[part]) for part in map(torch.from_numpy, left_out)],
            settings,
            device=device,
            loss_of=loss_of,
            judge=judge,
            weight_decay=weight_decay,
            on_record=record,
        )
    return member.eval(), [{**each, "member": number} for each in history]
