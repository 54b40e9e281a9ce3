"""The two-layer regressor in PyTorch and in Keras 3 on its torch backend: same data, same loop, the losses at the end.

Of three seeds each; the noise that was laid over the data (a variance of 0.16) is what no regressor can lose. Needs the
extra keras.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # chosen when keras is imported

import keras
import numpy as np
import torch
from torch import nn

from adatom.nets.keras_net import KerasNet
from adatom.train import TrainingSettings, train
from adatom.train.loop import evaluate_loss
from benchmarks.record import Recorder

N_HIDDEN, STEPS, SEEDS, NOISE = 32, 1000, (0, 1, 2), 0.4


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of a curve, with noise: a function of the step."""
    draw = torch.Generator().manual_seed(step)
    x = torch.rand(64, 1, generator=draw) * 4 - 2
    return x, torch.sin(2 * x) + 0.3 * x + NOISE * torch.randn(64, 1, generator=draw)


def in_torch(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, N_HIDDEN), nn.Tanh(), nn.Linear(N_HIDDEN, 1))


def in_keras(seed: int) -> nn.Module:
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Input((1,)), keras.layers.Dense(N_HIDDEN, activation="tanh"), keras.layers.Dense(1)]
    return KerasNet(keras.Sequential(layers))


def learned(net: nn.Module) -> float:
    settings = TrainingSettings(steps=STEPS, learning_rate=0.02, validate_every=STEPS, average="ema", patience=99)
    validation = [batch(-k) for k in range(1, 33)]
    records = train(net, batch, validation, settings, loss_of=nn.functional.mse_loss, judge=evaluate_loss)
    return float(records[-1]["val_loss"])


def run(recorder: Recorder) -> None:
    losses = {make.__name__: [learned(make(seed)) for seed in SEEDS] for make in (in_torch, in_keras)}
    means = {name: float(np.mean(each)) for name, each in losses.items()}
    for name, mean in means.items():
        recorder.add(f"frameworks/{name}/loss", mean)
    recorder.add("frameworks/relative_difference", abs(means["in_keras"] / means["in_torch"] - 1), goal="<= 0.01")
