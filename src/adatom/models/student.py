"""One small network that learned what many models say together, and says it in a fraction of the time.

Source: Bucila, Caruana & Niculescu-Mizil, KDD 2006, 10.1145/1150402.1150464: the many can be asked about any number of
inputs that nobody has measured, mixtures of measured ones here, so that the small one need not guess between them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from adatom.train import Batch, TrainingSettings, train

Array = NDArray[np.float64]
Said = tuple[Array, Array]

_WIDTH, _N_LAYERS = 128, 4
_N_MIXED, _N_JUDGED = 16_000, 1000
_JUDGED_SHARE = 0.1  # of the measured inputs, which the student learns nothing of
_BATCH = 256


@dataclass(frozen=True)
class Student:
    """Layers with ramps between them, from features to values and the logarithms of their standard deviations.

    Parameters
    ----------
    weights, offsets : of each layer, (in, out) and (out,).
    """

    weights: tuple[Array, ...]
    offsets: tuple[Array, ...]

    @classmethod
    def taught(
        cls,
        known: Array,
        teach: Callable[[Array], Said],
        turn: Callable[[Array, np.random.Generator], Array],
        *,
        steps: int,
        seed: int,
        device: torch.device,
    ) -> tuple[Self, float]:
        """Learn what `teach` says of mixtures of two measured inputs, in any orientation. Measured ones themselves are
        left alone: trees know those that they learned from by heart, which is no knowledge.

        Parameters
        ----------
        known : (sample, ...), measured inputs.
        teach : inputs to values and standard deviations (sample, point).
        turn : inputs in orientations drawn by chance.

        Returns
        -------
        The student, and the share of the variance of what is said that it gives back, on mixtures of inputs that it has
        not learned from.
        """
        rng = np.random.default_rng([seed, 1])
        order = rng.permutation(len(known))
        left_out, shown = np.split(known[order], [max(2, round(_JUDGED_SHARE * len(known)))])
        inputs, judged = _mixed(shown, _N_MIXED, turn, rng), _mixed(left_out, _N_JUDGED, turn, rng)
        values, std = teach(inputs)
        features = torch.from_numpy(inputs.reshape(len(inputs), -1)).float()
        wanted = torch.from_numpy(np.concatenate([values, np.log(std)], axis=1)).float()
        with torch.random.fork_rng(devices=[]):  # the user's generator stays where it is
            torch.default_generator.manual_seed(seed)
            net = _network(features.shape[1], wanted.shape[1])

        def batch(step: int) -> Batch:
            chosen = torch.from_numpy(np.random.default_rng([seed, 2, step]).integers(0, len(features), _BATCH))
            return features[chosen, :, None, None], wanted[chosen]

        settings = TrainingSettings(steps=steps, batch_size=_BATCH, validate_every=steps, ema_decay=0.9, seed=seed)
        train(
            net,
            batch,
            [batch(0)],
            settings,
            device=device,
            loss_of=nn.functional.mse_loss,
            judge=lambda judging, validation, loss_of, place: {"val_loss": 0.0},
            weight_decay=1e-3,
        )
        layers = [layer for layer in net.cpu() if isinstance(layer, nn.Linear)]
        student = cls(
            tuple(layer.weight.detach().double().numpy().T.copy() for layer in layers),
            tuple(layer.bias.detach().double().numpy() for layer in layers),
        )
        said, by_all = student.predict(judged.reshape(len(judged), -1))[0], teach(judged)[0]
        lost = np.mean((said - by_all) ** 2) / max(float(np.mean((by_all - values.mean(axis=0)) ** 2)), 1e-12)
        return student, 1 - float(lost)

    def predict(self, features: Array) -> Said:
        """(sample, feature) to values and standard deviations (sample, point)."""
        layer = features.astype(np.float32)
        for number, (weights, offset) in enumerate(zip(self.weights, self.offsets, strict=True)):
            layer = layer @ weights.astype(np.float32) + offset.astype(np.float32)
            if number < len(self.weights) - 1:
                np.maximum(layer, 0, out=layer)
        values, log_std = np.split(layer.astype(float), 2, axis=1)
        return values, np.exp(log_std)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All parts by name, for a model file."""
        parts = {f"student_weights_{k}": each.astype(np.float32) for k, each in enumerate(self.weights)}
        return parts | {f"student_offset_{k}": each.astype(np.float32) for k, each in enumerate(self.offsets)}

    @staticmethod
    def shapes(n_in: int, n_out: int) -> dict[str, tuple[int, ...]]:
        """The shapes that `arrays` must have."""
        sides = [n_in, *(_WIDTH,) * (_N_LAYERS - 1), 2 * n_out]
        shapes: dict[str, tuple[int, ...]] = {}
        for k in range(_N_LAYERS):
            shapes |= {f"student_weights_{k}": (sides[k], sides[k + 1]), f"student_offset_{k}": (sides[k + 1],)}
        return shapes

    @classmethod
    def of_arrays(cls, beside: Mapping[str, Array]) -> Self:
        """The student that `arrays` gave."""
        weights = tuple(beside[f"student_weights_{k}"] for k in range(_N_LAYERS))
        return cls(weights, tuple(beside[f"student_offset_{k}"] for k in range(_N_LAYERS)))


def _mixed(
    known: Array, n: int, turn: Callable[[Array, np.random.Generator], Array], rng: np.random.Generator
) -> Array:
    first, second = (turn(known[rng.integers(0, len(known), n)], rng) for _ in range(2))
    share = rng.uniform(size=(n, *(1,) * (known.ndim - 1)))
    return share * first + (1 - share) * second


def _network(n_in: int, n_out: int) -> nn.Sequential:
    sides = [n_in, *(_WIDTH,) * (_N_LAYERS - 1), n_out]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(sides):
        layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])
