"""How any net learns: the loop, its losses, averages of weights, and checkpoints that survive a crash."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Loaded when first asked for: the settings are part of a recipe, and reading a recipe needs no torch.
_MEMBERS = {
    "Batch": "adatom.train.loop",
    "Loss": "adatom.train.losses",
    "Record": "adatom.train.loop",
    "StopTraining": "adatom.train.parts",
    "TrainingParts": "adatom.train.parts",
    "TrainingSettings": "adatom.train.settings",
    "register": "adatom.train.names",
    "train": "adatom.train.loop",
}
__all__ = ["Batch", "Loss", "Record", "StopTraining", "TrainingParts", "TrainingSettings", "register", "train"]

if TYPE_CHECKING:
    from adatom.train.loop import Batch, Record, train
    from adatom.train.losses import Loss
    from adatom.train.names import register
    from adatom.train.parts import StopTraining, TrainingParts
    from adatom.train.settings import TrainingSettings


def __getattr__(name: str) -> Any:
    if name not in _MEMBERS:
        raise AttributeError(f"module 'adatom.train' has no attribute {name!r}")
    return getattr(import_module(_MEMBERS[name]), name)
