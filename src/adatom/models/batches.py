"""Where training batches come from: made on the fly from a recipe, or read from a stored training set."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from adatom.errors import ArgumentError, ShapeError
from adatom.prepare import pad_to_multiple
from adatom.simulate import ImageRecipe, simulate_image
from adatom.train import Batch

Array = NDArray[np.float64]
Prepare = Callable[[Array], Array]

# Validation images are numbered from here in the same stream, training images from 0: they never meet.
VALIDATION_START = 2**40


@dataclass(frozen=True)
class Sample:
    """A prepared image with its truth, positions in px."""

    image: Array
    label: NDArray[np.uint8]
    positions: Array
    species: NDArray[np.int64]


class SimulatedSamples:
    """Batches made on the fly; batch number i of a seed is always the same."""

    def __init__(self, recipe: ImageRecipe, *, batch_size: int, seed: int, prepare: Prepare, multiple: int) -> None:
        self.recipe, self.batch_size, self.seed, self.prepare = recipe, batch_size, seed, prepare
        self.multiple = multiple

    def batch(self, step: int) -> Batch:
        first = (step - 1) * self.batch_size
        return stack([self._sample(first + k) for k in range(self.batch_size)], self.multiple)

    def validation(self, n: int) -> list[Sample]:
        return [self._sample(VALIDATION_START + k) for k in range(n)]

    def _sample(self, index: int) -> Sample:
        drawn = simulate_image(self.recipe, seed=self.seed, index=index)
        positions = np.column_stack([drawn.x, drawn.y])
        return Sample(self.prepare(drawn.image.astype(float)), drawn.label, positions, drawn.species)


class StoredSamples:
    """Batches drawn from a stored training set, turned and mirrored; its last images are kept for validation."""

    def __init__(
        self, data: xr.Dataset, *, batch_size: int, seed: int, prepare: Prepare, multiple: int, n_validation: int
    ) -> None:
        self.data, self.batch_size, self.seed, self.prepare, self.multiple = data, batch_size, seed, prepare, multiple
        n_images = data.sizes["sample"]
        self.n_training = n_images - min(n_validation, max(1, n_images // 5))
        if data.sizes["y"] != data.sizes["x"]:
            raise ShapeError(f"training set: expected square images, got {data.sizes['y']} x {data.sizes['x']}.")
        self._prepared: dict[int, tuple[Array, NDArray[np.uint8]]] = {}

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        samples = []
        for index in rng.integers(self.n_training, size=self.batch_size):
            image, label = self._image(int(index))
            turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
            image, label = np.rot90(image, turns), np.rot90(label, turns)
            if mirror:
                image, label = image[:, ::-1], label[:, ::-1]
            samples.append(Sample(image, label, np.zeros((0, 2)), np.zeros(0, dtype=np.int64)))
        return stack(samples, self.multiple)

    def validation(self, n: int) -> list[Sample]:
        last = range(self.n_training, self.data.sizes["sample"])
        owner = self.data["atom_sample"].to_numpy()
        x, y, species = (self.data[f"atom_{name}"].to_numpy() for name in ("x", "y", "species"))
        samples = []
        for index in list(last)[:n]:
            mine = owner == index
            samples.append(Sample(*self._image(index), np.column_stack([x[mine], y[mine]]), species[mine]))
        return samples

    def _image(self, index: int) -> tuple[Array, NDArray[np.uint8]]:
        if index not in self._prepared:
            image = self.data["image"][index].to_numpy().astype(float)
            label, n_species = self.data["label"][index].to_numpy(), len(self.data.attrs["classes"])
            if label.min() < 0 or label.max() > n_species:
                raise ArgumentError(
                    f"training set: expected labels from 0 to {n_species}, got {label.min()} to {label.max()} "
                    f"in image {index}."
                )
            self._prepared[index] = (self.prepare(image), label)
        return self._prepared[index]


def stack(samples: list[Sample], multiple: int) -> Batch:
    """Samples of one size to a batch, padded to a multiple."""
    images = pad_to_multiple(np.stack([sample.image for sample in samples]).astype(np.float32)[:, None], multiple)
    label = pad_to_multiple(np.stack([sample.label for sample in samples]).astype(np.float32), multiple)
    return torch.from_numpy(images), torch.from_numpy(label.astype(np.int64))
