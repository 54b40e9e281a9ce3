"""Checkpoints: the whole state of a training in one safetensors file, written so that a crash cannot spoil it."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from adatom.data.atomic_file import write_atomically
from adatom.errors import TrainingError

FORMAT = "adatom-checkpoint-1"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write `tensors` and JSON-serialisable `facts`; what is at `path` stays whole until the new file is."""
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_atomically(path, save(contiguous, metadata={"format": FORMAT, "facts": json.dumps(facts)}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Raises
    ------
    TrainingError : if the file is not such a checkpoint.
    """
    try:
        with safe_open(os.fspath(path), framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise TrainingError(f"checkpoint: expected one of this version of Adatom, got {path.name}.")
            tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts: dict[str, Any] = dict(json.loads(metadata["facts"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"checkpoint: {path.name} cannot be read ({error}). Start again without --resume."
        ) from error
    return tensors, facts
