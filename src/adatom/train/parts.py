"""What of a training its user replaces: loss, optimiser, schedule, metrics, callbacks."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from adatom.errors import ArgumentError
from adatom.train.losses import Loss
from adatom.train.names import registered
from adatom.train.settings import TrainingSettings

Schedule = Callable[[int, int], float]
_DECAY = 0.01  # of AdamW, where nobody says


class StopTraining(Exception):
    """Raised by a callback: the step that was just done is the last one."""


@dataclass(frozen=True)
class TrainingParts:
    """Parts of a training, as objects; what is left out is what the settings name.

    Attributes
    ----------
    loss : takes what the network gives and what is known of the batch (a class map (n, y, x), or of a `Localizer` the
        table of `adatom.train.point_process`), and returns one number; a function, or a torch module or its class.
    optimiser : takes parameters and ``lr``; a class of `torch.optim`, or a function that returns one.
    schedule : takes the number of the step, from 1, and of all steps, and returns a factor of the learning rate; or
        a class of `torch.optim.lr_scheduler`, or a `functools.partial` of one.
    metrics : by name, what takes the same as the loss, and returns a number: recorded as ``val_name`` at validations.
    callbacks : called after each step with its ``step`` and ``loss``. One that raises `StopTraining` ends
        the training, and the best state so far is kept.
    """

    loss: Loss | type[nn.Module] | None = None
    optimiser: Callable[..., torch.optim.Optimizer] | None = None
    schedule: Schedule | type[LRScheduler] | partial[LRScheduler] | None = None
    metrics: Mapping[str, Callable[[Tensor, Tensor], Any]] = field(default_factory=dict)
    callbacks: Sequence[Callable[[dict[str, Any]], None]] = ()

    def named(self) -> dict[str, Any]:
        """What these parts are called: another training has others."""
        parts = {"loss": self.loss, "optimiser": self.optimiser, "schedule": self.schedule}
        return {name: _name(part) for name, part in parts.items() if part is not None}

    def own_loss(self) -> Loss | None:
        """The loss, ready to be called."""
        if isinstance(self.loss, type):
            made: Loss = self.loss()
            return made
        if self.loss is not None and not callable(self.loss):
            raise ArgumentError(f"loss: expected something that can be called, got {self.loss!r}.")
        return self.loss


def make_optimiser(
    parts: TrainingParts, settings: TrainingSettings, parameters: Iterable[nn.Parameter], *, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimiser of a training.

    Raises
    ------
    ArgumentError : if what should make one does not.
    """
    rate = settings.learning_rate
    make = parts.optimiser or registered("optimiser", settings.optimiser)
    if make is None:
        if settings.optimiser == "sgd":
            return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=weight_decay)
        if settings.optimiser == "adamw" or weight_decay:
            return torch.optim.AdamW(parameters, lr=rate, weight_decay=weight_decay or _DECAY)
        return torch.optim.Adam(parameters, lr=rate)
    try:
        inspect.signature(make).bind(parameters, lr=rate)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"optimiser: expected something that takes parameters and lr, got {_name(make)}."
        ) from error
    made: Any = make(parameters, lr=rate)
    if not isinstance(made, torch.optim.Optimizer) or isinstance(made, torch.optim.LBFGS):
        raise ArgumentError(
            f"optimiser: expected one of torch.optim that steps by itself, got {type(made).__name__} of {_name(make)}."
        )
    return made


class Rate:
    """The learning rate along a training, a function of the step.

    Parameters
    ----------
    done : steps that a resumed training has behind it.
    """

    def __init__(
        self, parts: TrainingParts, settings: TrainingSettings, optimiser: torch.optim.Optimizer, *, done: int = 0
    ) -> None:
        chosen = parts.schedule or registered("schedule", settings.schedule)
        self._settings, self._optimiser = settings, optimiser
        self._torchs: LRScheduler | None = None
        self._factor: Schedule = SCHEDULES.get(settings.schedule, constant)
        made = chosen.func if isinstance(chosen, partial) else chosen
        if isinstance(made, type) and issubclass(made, LRScheduler):
            if issubclass(made, ReduceLROnPlateau):
                raise ArgumentError("schedule: expected a function of the step, got ReduceLROnPlateau, which is none.")
            self._torchs = chosen(optimiser)  # type: ignore[misc,call-arg,arg-type,assignment]
            for _ in range(done):
                self._turn()
        elif chosen is not None:
            self._factor = chosen  # type: ignore[assignment]

    def begin(self, step: int) -> None:
        """Set the rate of a step."""
        if self._torchs is not None:
            return
        factor = float(self._factor(step, self._settings.steps))
        if not math.isfinite(factor) or factor < 0:
            raise ArgumentError(f"schedule: expected a factor of at least 0, got {factor} at step {step}.")
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.learning_rate * factor

    def end(self) -> None:
        """The step is done."""
        if self._torchs is not None:
            self._turn()

    def _turn(self) -> None:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a resumed optimiser has stepped, but torch does not know
            self._torchs.step()  # type: ignore[union-attr]


def warm_up_cosine(step: int, steps: int) -> float:
    """Warm-up over the first 3 %, then half a cosine down to 1 % of the rate."""
    warm_up = max(1, round(0.03 * steps))
    if step <= warm_up:
        return step / warm_up
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def constant(step: int, steps: int) -> float:
    """The same rate all along."""
    del step, steps
    return 1.0


SCHEDULES: dict[str, Schedule] = {"warm_up_cosine": warm_up_cosine, "constant": constant}


def with_named(parts: TrainingParts | None, settings: TrainingSettings) -> TrainingParts:
    """The parts, with the metrics and callbacks that the settings name before them."""
    parts = parts or TrainingParts()
    metrics = {name: registered("metric", name) for name in settings.metrics}
    callbacks = [registered("callback", name) for name in settings.callbacks]
    if not metrics and not callbacks:
        return parts
    return TrainingParts(
        parts.loss,
        parts.optimiser,
        parts.schedule,
        {**{name: metric for name, metric in metrics.items() if metric is not None}, **parts.metrics},
        [*(callback for callback in callbacks if callback is not None), *parts.callbacks],
    )


def check_loss(loss: Any) -> Tensor:
    """What a loss gave, if it can be learned from.

    Raises
    ------
    ArgumentError : if it is not one number that depends on the network.
    """
    if not isinstance(loss, Tensor) or loss.ndim:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise ArgumentError(f"loss: expected one number as a tensor, got {got}. Take the mean.")
    if not loss.requires_grad:
        raise ArgumentError("loss: expected a number that depends on the network, got one without gradients.")
    return loss


def _name(part: Any) -> str:
    inner = part.func if isinstance(part, partial) else part
    kind = inner if hasattr(inner, "__qualname__") else type(inner)
    arguments = f"{part.args}{part.keywords}" if isinstance(part, partial) else ""
    return f"{kind.__module__}.{kind.__qualname__}{arguments}"
