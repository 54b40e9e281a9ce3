"""The training loop: batches in, the best average of weights out.

Nothing in it depends on chance that it does not carry along: batch number i is a function of i, the learning rate is a
function of the step, and a checkpoint holds weights, optimiser, average and best state. A run that was killed and
resumed therefore ends with the same weights as one that was not (same machine, same number of threads).
"""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adatom.errors import TrainingError
from adatom.train.averaging import State, WeightAverage, estimate_statistics
from adatom.train.checkpoint import load_checkpoint, save_checkpoint
from adatom.train.losses import Loss, weighted_loss
from adatom.train.metrics import confusion, iou_per_class
from adatom.train.settings import TrainingSettings

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
    weight_decay: float = 0.0,
    checkpoint: Path | None = None,
    resume: bool = False,
    on_record: Callable[[Record], None] | None = None,
) -> list[Record]:
    """Train `net` in place; it ends with the best averaged weights, in evaluation mode.

    Parameters
    ----------
    batches : number of a step, from 1, to its batch; the same number must give the same batch.
    validation : fixed batches.
    loss_of : takes what the network gives and the second part of a batch; by default the losses of `settings`.
    judge : figures of a network on the validation batches, ``val_loss`` among them; by default `evaluate`.
    score : more figures of a network to record at each validation.
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
    net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss_of = loss_of or weighted_loss(settings.loss)
    judge = judge or evaluate
    in_bfloat16 = settings.precision == "bfloat16"
    optimiser: torch.optim.Adam = torch.optim.Adam(net.parameters(), lr=settings.learning_rate)
    if weight_decay:
        optimiser = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=weight_decay)
    average = WeightAverage(
        net, kind=settings.average, decay=settings.ema_decay, start=int(settings.swa_start * settings.steps)
    )
    best: State = {name: value.clone() for name, value in average.state.items()}
    records: list[Record] = []
    progress: dict[str, Any] = {"step": 0, "best_loss": math.inf, "best_step": 0, "seconds": 0.0}
    if resume and checkpoint is not None and checkpoint.exists():
        records = _restore(checkpoint, net, optimiser, average, best, progress, settings)
    started = time.monotonic() - progress["seconds"]

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="adatom-batches") as pool:
        coming: Future[Batch] = pool.submit(batches, progress["step"] + 1)
        for step in range(progress["step"] + 1, settings.steps + 1):
            if (progress["step"] - progress["best_step"]) >= settings.patience * settings.validate_every:
                break
            images, label = coming.result()
            if step < settings.steps:
                coming = pool.submit(batches, step + 1)
            net.train()
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * learning_rate_factor(step, settings.steps)
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=in_bfloat16):
                logits = net(_to(images, device))
            loss = loss_of(logits.float(), label.to(device))
            loss.backward()
            optimiser.step()
            average.update(net, step)
            record: Record = {"step": step, "loss": float(loss.detach())}
            if not math.isfinite(record["loss"]):
                raise TrainingError(
                    f"loss: expected a finite number, got {record['loss']} at step {step}. Lower the learning rate."
                )
            if step % settings.validate_every == 0 or step == settings.steps:
                judged = _averaged_net(net, average, batches, device)
                record |= judge(judged, validation, loss_of, device)
                if not math.isfinite(record["val_loss"]):
                    raise TrainingError(
                        f"validation loss: expected a finite number, got {record['val_loss']} at step {step}. "
                        "Lower the learning rate."
                    )
                if score is not None:
                    record |= score(judged)
                if record["val_loss"] < progress["best_loss"]:
                    progress |= {"best_loss": record["val_loss"], "best_step": step}
                    best = {name: value.detach().clone() for name, value in judged.state_dict().items()}
            record["seconds"] = time.monotonic() - started
            records.append(record)
            progress |= {"step": step, "seconds": record["seconds"]}
            if "val_loss" in record and checkpoint is not None:
                _keep(checkpoint, net, optimiser, average, best, progress, records, settings)
            if on_record is not None:
                on_record(record)
    net.load_state_dict(best)
    net.eval()
    return records


def learning_rate_factor(step: int, steps: int) -> float:
    """Warm-up over the first 3 %, then half a cosine down to 1 % of the rate."""
    warm_up = max(1, round(0.03 * steps))
    if step <= warm_up:
        return step / warm_up
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


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


def _to(images: Any, device: torch.device | str) -> Any:
    if isinstance(images, tuple):
        return tuple(each.to(device) for each in images)
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
    optimiser: torch.optim.Adam,
    average: WeightAverage,
    best: State,
    progress: dict[str, Any],
    records: list[Record],
    settings: TrainingSettings,
) -> None:
    tensors = {
        f"{part}/{name}": value for part, state in _parts(net, average, best).items() for name, value in state.items()
    }
    for (name, _), slots in zip(net.named_parameters(), optimiser.state_dict()["state"].values(), strict=True):
        tensors |= {f"adam/{name}/{slot}": value for slot, value in slots.items()}
    facts = {**progress, "n_averaged": average.n_averaged, "records": records, "settings": settings.model_dump()}
    save_checkpoint(path, tensors, facts)


def _restore(
    path: Path,
    net: nn.Module,
    optimiser: torch.optim.Adam,
    average: WeightAverage,
    best: State,
    progress: dict[str, Any],
    settings: TrainingSettings,
) -> list[Record]:
    tensors, facts = load_checkpoint(path)
    if facts.get("settings") != settings.model_dump():
        raise TrainingError(
            "resume: expected the settings of the run that was stopped, got others. Start in a new folder."
        )
    parts: dict[str, State] = {"net": {}, "average": {}, "best": {}}
    slots: dict[str, dict[str, Tensor]] = {}
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
        moments["state"] = {i: slots[name] for i, (name, _) in enumerate(net.named_parameters())}
        optimiser.load_state_dict(moments)
        average.n_averaged = facts["n_averaged"]
        progress |= {name: facts[name] for name in progress}
        records: list[Record] = facts["records"]
    except (KeyError, RuntimeError) as error:
        raise TrainingError("resume: the checkpoint belongs to another network. Start in a new folder.") from error
    return records


def _parts(net: nn.Module, average: WeightAverage, best: State) -> dict[str, State]:
    return {"net": net.state_dict(), "average": average.state, "best": best}
