"""A regressor of two layers, in PyTorch and in Keras on the torch backend, and the curve that it learns from."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # chosen when keras is imported

import keras
import torch
from torch import nn

from adatom.nets.keras_net import KerasNet
from adatom.train import TrainingSettings, train
from adatom.train.loop import evaluate_loss

N_HIDDEN, NOISE = 32, 0.4


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of a curve, with noise: a function of the step."""
    draw = torch.Generator().manual_seed(step)
    x = torch.rand(64, 1, generator=draw) * 4 - 2
    return x, torch.sin(2 * x) + 0.3 * x + NOISE * torch.randn(64, 1, generator=draw)


def in_torch(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, N_HIDDEN), nn.Tanh(), nn.Linear(N_HIDDEN, 1))


def in_keras(seed: int = 0) -> KerasNet:
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Input((1,)), keras.layers.Dense(N_HIDDEN, activation="tanh"), keras.layers.Dense(1)]
    return KerasNet(keras.Sequential(layers))


def learned(net: nn.Module, steps: int = 1000) -> float:
    """The loss at the end of a training, on points that it has not seen."""
    settings = TrainingSettings(steps=steps, learning_rate=0.02, validate_every=steps, average="ema", patience=99)
    validation = [batch(-k) for k in range(1, 33)]
    records = train(net, batch, validation, settings, loss_of=nn.functional.mse_loss, judge=evaluate_loss)
    return float(records[-1]["val_loss"])
