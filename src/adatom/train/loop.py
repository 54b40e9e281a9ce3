"""The training loop: batches in, the best average of weights out.

Nothing in it depends on chance that it does not carry along: batch number i is a function of i, the learning rate is a
function of the step, and a checkpoint holds weights, optimiser, average and best state. A run that was killed and
resumed therefore ends with the same weights as one that was not (same machine, same number of threads).
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adatom.errors import TrainingError
from adatom.train.averaging import State, WeightAverage, estimate_statistics
from adatom.train.checkpoint import load_checkpoint, save_checkpoint
from adatom.train.losses import Loss, weighted_loss
from adatom.train.metrics import confusion, iou_per_class
from adatom.train.parts import Rate, StopTraining, TrainingParts, check_loss, make_optimiser, with_named
from adatom.train.settings import TrainingSettings
from adatom.train.several_devices import Ahead, Team, join

# float32 (n, 1, y, x), or several tensors for a network that takes several; and what the loss wants beside it: a class
# map (n, y, x), say
Batch = tuple[Any, Tensor]
Record = dict[str, Any]
STATISTICS_BATCHES = 20


def train(
    net: nn.Module,
    batches: Callable[[int], Batch],
    validation: Sequence[Batch],
    settings: TrainingSettings,
    *,
    device: torch.device | str = "cpu",
    loss_of: Loss | None = None,
    judge: Callable[[nn.Module, Sequence[Batch], Loss, torch.device | str], Record] | None = None,
    score: Callable[[nn.Module], dict[str, float]] | None = None,
    parts: TrainingParts | None = None,
    weight_decay: float = 0.0,
    checkpoint: Path | None = None,
    resume: bool = False,
    on_record: Callable[[Record], None] | None = None,
) -> list[Record]:
    """Train `net` in place; it ends with the best averaged weights, in evaluation mode.

    Where several processes train together (`adatom.train.several_devices`), each calls this with the same arguments and
    ends with the same weights and records; the first one alone judges, tells, and writes the checkpoint.

    Parameters
    ----------
    batches : number of a step, from 1, to its batch; the same number must give the same batch.
    validation : fixed batches.
    loss_of : takes what the network gives and the second part of a batch; by default the losses of `settings`.
    judge : figures of a network on the validation batches, ``val_loss`` among them; by default `evaluate`.
    score : more figures of a network to record at each validation.
    parts : of the training that its user replaces; their loss comes before `loss_of`.
    weight_decay : share of the weights, times the learning rate, that each step takes off (AdamW).
    checkpoint : file that holds the run's state, written at each validation.
    resume : go on from `checkpoint` if it is there.
    on_record : called after each step with what was recorded: ``step``, ``loss``, ``seconds`` and, at validations,
        what `judge` and `score` give.

    Returns
    -------
    All records. The best state is the one with the lowest validation loss.

    Raises
    ------
    TrainingError : if the loss is not finite, or the checkpoint belongs to other settings.
    """
    team = join(device)
    net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    team.agree(net)
    parts = with_named(parts, settings)
    loss_of = parts.own_loss() or loss_of or weighted_loss(settings.loss)
    judge = judge or evaluate
    in_bfloat16 = settings.precision == "bfloat16"
    optimiser = make_optimiser(parts, settings, net.parameters(), weight_decay=weight_decay)
    average = WeightAverage(
        net, kind=settings.average, decay=settings.ema_decay, start=int(settings.swa_start * settings.steps)
    )
    best: State = {name: value.clone() for name, value in average.state.items()}
    records: list[Record] = []
    progress: dict[str, Any] = {"step": 0, "best_loss": math.inf, "best_step": 0, "seconds": 0.0}
    if resume and checkpoint is not None and checkpoint.exists():
        records = _restore(checkpoint, net, optimiser, average, best, progress, settings, parts)
    rate = Rate(parts, settings, optimiser, done=progress["step"])
    started = time.monotonic() - progress["seconds"]

    with team.together(), Ahead(batches, team, first=progress["step"] + 1, last=settings.steps) as ahead:
        for step in range(progress["step"] + 1, settings.steps + 1):
            if (progress["step"] - progress["best_step"]) >= settings.patience * settings.validate_every:
                break
            images, label = ahead.take(step)
            net.train()
            rate.begin(step)
            optimiser.zero_grad(set_to_none=True)
            low = torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=in_bfloat16)
            with low, team.whole_statistics():
                logits = net(_to(team.share(images), device))
            loss = check_loss(loss_of(team.gathered(logits.float(), _n_images(images)), label.to(device)))
            loss.backward()
            team.add_up(net)
            optimiser.step()
            rate.end()
            average.update(net, step)
            record: Record = {"step": step, "loss": float(loss.detach())}
            if not math.isfinite(record["loss"]):
                raise TrainingError(
                    f"loss: expected a finite number, got {record['loss']} at step {step}. Lower the learning rate."
                )
            is_last = _is_stopped(parts, record, team) or step == settings.steps
            if step % settings.validate_every == 0 or is_last:
                judged = _averaged_net(net, average, batches, device)
                record |= team.told(lambda: judge(judged, validation, loss_of, device))  # noqa: B023  called at once
                if not math.isfinite(record["val_loss"]):
                    raise TrainingError(
                        f"validation loss: expected a finite number, got {record['val_loss']} at step {step}. "
                        "Lower the learning rate."
                    )
                record |= team.told(lambda: _measured(judged, validation, parts.metrics, device))  # noqa: B023
                if score is not None:
                    record |= team.told(lambda: score(judged))  # noqa: B023
                if record["val_loss"] < progress["best_loss"]:
                    progress |= {"best_loss": record["val_loss"], "best_step": step}
                    best = {name: value.detach().clone() for name, value in judged.state_dict().items()}
            record["seconds"] = time.monotonic() - started
            records.append(record)
            progress |= {"step": step, "seconds": record["seconds"]}
            if "val_loss" in record and checkpoint is not None and team.leads:
                _keep(checkpoint, net, optimiser, average, best, progress, records, settings, parts)
            if on_record is not None and team.leads:
                on_record(record)
            if is_last:
                break
    net.load_state_dict(best)
    net.eval()
    return records


def _is_stopped(parts: TrainingParts, record: Record, team: Team) -> bool:
    """Tell the callbacks of a step, and whether one of them wants it to be the last."""

    def tell() -> bool:
        try:
            for callback in parts.callbacks:
                callback(record)
        except StopTraining:
            return True
        return False

    return bool(parts.callbacks) and team.told(tell)


@torch.no_grad()
def _measured(
    net: nn.Module, validation: Sequence[Batch], metrics: Mapping[str, Loss], device: torch.device | str
) -> Record:
    """Means over the images of fixed batches of what the user measures."""
    if not metrics:
        return {}
    sums = dict.fromkeys(metrics, 0.0)
    for images, known in validation:
        given, truth = net(_to(images, device)).float(), known.to(device)
        for name, metric in metrics.items():
            sums[name] += float(metric(given, truth)) * len(images)
    n = sum(len(images) for images, _ in validation)
    return {f"val_{name}": value / n for name, value in sums.items()}


@torch.no_grad()
def evaluate(net: nn.Module, validation: Sequence[Batch], loss_of: Loss, device: torch.device | str) -> Record:
    """``val_loss`` of `net` on fixed batches whose second part is a class map, ``val_iou`` (intersection over union,
    mean over classes) and ``val_iou_per_class``.
    """
    counts: list[Tensor] = []

    def counted(logits: Tensor, label: Tensor) -> Tensor:
        counts.append(confusion(logits, label))
        return loss_of(logits, label)

    loss = evaluate_loss(net, validation, counted, device)["val_loss"]
    iou = iou_per_class(torch.stack(counts).sum(dim=0))
    return {"val_loss": loss, "val_iou": sum(iou) / len(iou), "val_iou_per_class": iou}


@torch.no_grad()
def evaluate_loss(net: nn.Module, validation: Sequence[Batch], loss_of: Loss, device: torch.device | str) -> Record:
    """``val_loss``, the mean over the images of fixed batches."""
    if not validation:
        raise TrainingError("validation: expected at least one batch, got none.")
    net.eval()
    losses = [float(loss_of(net(_to(images, device)), known.to(device))) * len(images) for images, known in validation]
    return {"val_loss": sum(losses) / sum(len(images) for images, _ in validation)}


def _n_images(images: Any) -> int:
    return len(images[0] if isinstance(images, tuple) else images)


def _to(images: Any, device: torch.device | str) -> Any:
    if isinstance(images, tuple):
        return tuple(each.to(device) for each in images)
    if images.ndim != 4:
        return images.to(device)
    return images.to(device).contiguous(memory_format=torch.channels_last)


def _averaged_net(
    net: nn.Module, average: WeightAverage, batches: Callable[[int], Batch], device: torch.device | str
) -> nn.Module:
    """A copy of `net` with the averaged weights, ready to be judged."""
    import copy

    judged = copy.deepcopy(net)
    judged.load_state_dict(average.state)
    if average.needs_statistics:
        estimate_statistics(judged, (_to(batches(k)[0], device) for k in range(1, STATISTICS_BATCHES + 1)))
    judged.eval()
    return judged


def _keep(
    path: Path,
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: WeightAverage,
    best: State,
    progress: dict[str, Any],
    records: list[Record],
    settings: TrainingSettings,
    parts: TrainingParts,
) -> None:
    tensors = {
        f"{part}/{name}": value for part, state in _states(net, average, best).items() for name, value in state.items()
    }
    plain: dict[str, dict[str, Any]] = {}  # what an optimiser keeps of a parameter beside tensors
    slots = optimiser.state_dict()["state"]
    for number, (name, _) in enumerate(net.named_parameters()):
        for slot, value in slots.get(number, {}).items():
            if isinstance(value, Tensor):
                tensors[f"adam/{name}/{slot}"] = value
            else:
                plain.setdefault(name, {})[slot] = value
    facts = {
        **progress,
        "n_averaged": average.n_averaged,
        "records": records,
        "settings": settings.model_dump(),
        "parts": parts.named(),
        "plain": plain,
    }
    save_checkpoint(path, tensors, facts)


def _restore(
    path: Path,
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: WeightAverage,
    best: State,
    progress: dict[str, Any],
    settings: TrainingSettings,
    own: TrainingParts,
) -> list[Record]:
    tensors, facts = load_checkpoint(path)
    # what settings of before did not have is as it was
    known = {**TrainingSettings().model_dump(), **facts.get("settings", {})}
    if known != settings.model_dump() or facts.get("parts", {}) != own.named():
        raise TrainingError(
            "resume: expected the settings of the run that was stopped, got others. Start in a new folder."
        )
    parts: dict[str, State] = {"net": {}, "average": {}, "best": {}}
    slots: dict[str, dict[str, Any]] = facts.get("plain", {})
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        if part == "adam":
            parameter, _, slot = name.rpartition("/")
            slots.setdefault(parameter, {})[slot] = value
        else:
            parts.setdefault(part, {})[name] = value
    try:
        net.load_state_dict(parts["net"])
        for state, stored in ((average.state, parts["average"]), (best, parts["best"])):
            for name, value in state.items():
                value.copy_(stored[name])
        moments = optimiser.state_dict()
        moments["state"] = {i: slots[name] for i, (name, _) in enumerate(net.named_parameters()) if name in slots}
        optimiser.load_state_dict(moments)
        average.n_averaged = facts["n_averaged"]
        progress |= {name: facts[name] for name in progress}
        records: list[Record] = facts["records"]
    except (KeyError, RuntimeError) as error:
        raise TrainingError("resume: the checkpoint belongs to another network. Start in a new folder.") from error
    return records


def _states(net: nn.Module, average: WeightAverage, best: State) -> dict[str, State]:
    return {"net": net.state_dict(), "average": average.state, "best": best}
