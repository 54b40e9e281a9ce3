"""How any net learns: the loop, its losses, averages of weights, and checkpoints that survive a crash."""

from adatom.train.loop import Batch, Record, train
from adatom.train.settings import TrainingSettings

__all__ = ["Batch", "Record", "TrainingSettings", "train"]
