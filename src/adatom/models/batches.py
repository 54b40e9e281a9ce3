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
# So far beyond the end of an image its atoms are still asked for [px].
MARGIN_PX = 4


@dataclass(frozen=True)
class Sample:
    """A prepared image with its truth, positions in px; `inside` is what it shows, the rest is blank."""

    image: Array
    label: NDArray[np.uint8]
    positions: Array
    species: NDArray[np.int64]
    inside: NDArray[np.bool_]


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
        rng = np.random.default_rng([self.seed, index, 1])
        return _framed(self.prepare(drawn.image.astype(float)), drawn.label, positions, drawn.species, rng)


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
            samples.append(_framed(image, label, np.zeros((0, 2)), np.zeros(0, dtype=np.int64), rng))
        return stack(samples, self.multiple)

    def validation(self, n: int) -> list[Sample]:
        last = range(self.n_training, self.data.sizes["sample"])
        owner = self.data["atom_sample"].to_numpy()
        x, y, species = (self.data[f"atom_{name}"].to_numpy() for name in ("x", "y", "species"))
        samples = []
        for index in list(last)[:n]:
            mine = owner == index
            rng = np.random.default_rng([self.seed, index, 1])
            samples.append(_framed(*self._image(index), np.column_stack([x[mine], y[mine]]), species[mine], rng))
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


def _framed(
    image: Array, label: NDArray[np.uint8], positions: Array, species: NDArray[np.int64], rng: np.random.Generator
) -> Sample:
    """Blank a random border, and keep the atoms just beyond it in the class map.

    A network that sees an image end, and knows where the atoms beyond really are, places a cut atom where it is, be it
    outside; one that must keep every atom inside draws them in, and finds some that are not there.
    """
    rows, columns = image.shape
    widest = max(MARGIN_PX, min(image.shape) // 9)
    top, bottom, left, right = rng.integers(MARGIN_PX, widest + 1, 4)
    inside = np.zeros(image.shape, dtype=bool)
    inside[top : rows - bottom, left : columns - right] = True
    near = np.zeros_like(inside)
    near[top - MARGIN_PX : rows - bottom + MARGIN_PX, left - MARGIN_PX : columns - right + MARGIN_PX] = True
    x, y = positions[:, 0] + 0.5, positions[:, 1] + 0.5
    kept = (x >= left) & (x < columns - right) & (y >= top) & (y < rows - bottom)
    return Sample(
        np.where(inside, image, 0.0), np.where(near, label, 0).astype(np.uint8), positions[kept], species[kept], inside
    )


def stack(samples: list[Sample], multiple: int) -> Batch:
    """Samples of one size to a batch, padded to a multiple."""
    images = pad_to_multiple(np.stack([sample.image for sample in samples]).astype(np.float32)[:, None], multiple)
    label = pad_to_multiple(np.stack([sample.label for sample in samples]).astype(np.float32), multiple)
    return torch.from_numpy(images), torch.from_numpy(label.astype(np.int64))
