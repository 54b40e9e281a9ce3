"""Where training batches come from: made on the fly from a recipe, or read from a stored training set."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from adatom.data.training_set import TRAINING, VALIDATION
from adatom.errors import ArgumentError, ShapeError
from adatom.prepare import pad_to_multiple
from adatom.prepare.augment import Augmentation, augment_image
from adatom.simulate import ImageRecipe, simulate_image
from adatom.train import Batch, TrainingSettings

Array = NDArray[np.float64]
Prepare = Callable[[Array], tuple[Array, float]]  # the prepared image, and the contrast that it was divided by

# Validation images are numbered from here in the same stream, training images from 0: they never meet.
VALIDATION_START = 2**40
# And those by which its numbers are calibrated afterwards from here.
CALIBRATION_START = 3 * 2**39
_CALIBRATION_SHARE = 4
# So far beyond the end of an image its atoms are still asked for [px].
MARGIN_PX = 4
# Fluxes have logarithms: none is smaller than this, in units of the prepared image.
_LEAST_FLUX = 1e-3
# Of a stored set, so much is kept in memory.
_KEPT_BYTES = 2**28


@dataclass(frozen=True)
class Atoms:
    """Known atoms: (n,) positions [px], species from 0, and flux [image unit x px^2], NaN where unknown."""

    x: Array
    y: Array
    species: NDArray[np.int64]
    flux: Array

    def of(self, kept: NDArray[np.bool_]) -> "Atoms":
        """Some of them."""
        return Atoms(self.x[kept], self.y[kept], self.species[kept], self.flux[kept])

    @property
    def positions(self) -> Array:
        """x and y as (n, 2)."""
        return np.column_stack([self.x, self.y])

    def turned(self, turns: int, mirror: bool, side: int) -> "Atoms":
        """As `numpy.rot90` and then a mirror turn a square image."""
        x, y = self.x, self.y
        for _ in range(turns):
            x, y = y, side - 1 - x
        return Atoms(side - 1 - x if mirror else x, y, self.species, self.flux)


@dataclass(frozen=True)
class Sample:
    """A prepared image with its truth, positions in px.

    Attributes
    ----------
    image : (y, x), 0 outside `inside`.
    label : (y, x) class map.
    inside : (y, x), what the image shows; the rest is blank.
    known : atoms in the part that is shown.
    near : these and those just beyond; flux in units of the prepared image.
    """

    image: Array
    label: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    known: Atoms
    near: Atoms


def stack_labels(samples: list["Sample"], multiple: int) -> Batch:
    """Images and class maps of samples of one size, padded to a multiple."""
    label = pad_to_multiple(np.stack([sample.label for sample in samples]).astype(np.float32), multiple)
    return _stack_images(samples, multiple), torch.from_numpy(label.astype(np.int64))


def stack_atoms(samples: list["Sample"], multiple: int) -> Batch:
    """Images of samples of one size, padded to a multiple, and their atoms for `adatom.train.point_process`."""
    tables = [
        np.column_stack([np.full(len(near.x), number), near.species, near.x, near.y, _log_flux(near.flux)])
        for number, near in enumerate(sample.near for sample in samples)
    ]
    return _stack_images(samples, multiple), torch.from_numpy(np.concatenate(tables).astype(np.float32))


def _log_flux(flux: Array) -> Array:
    """Logarithm (n,) of the flux; NaN where it is not known, or nothing is there that could have one: an empty site."""
    logarithm: Array = np.log(np.maximum(np.where(flux > 0, flux, np.nan), _LEAST_FLUX))
    return logarithm


def _stack_images(samples: list["Sample"], multiple: int) -> torch.Tensor:
    images = np.stack([sample.image for sample in samples]).astype(np.float32)[:, None]
    return torch.from_numpy(pad_to_multiple(images, multiple))


Stack = Callable[[list[Sample], int], Batch]


class SimulatedSamples:
    """Batches made on the fly; batch number i of a seed is always the same."""

    def __init__(
        self,
        recipe: ImageRecipe,
        *,
        batch_size: int,
        seed: int,
        prepare: Prepare,
        multiple: int,
        stack: Stack = stack_labels,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.recipe, self.batch_size, self.seed, self.prepare = recipe, batch_size, seed, prepare
        self.multiple, self.stack, self.augmentation = multiple, stack, augmentation

    def batch(self, step: int) -> Batch:
        return self.stack(self.samples(step), self.multiple)

    def samples(self, step: int) -> list[Sample]:
        first = (step - 1) * self.batch_size
        return [self._sample(first + k) for k in range(self.batch_size)]

    def validation(self, n: int) -> list[Sample]:
        return [self._sample(VALIDATION_START + k) for k in range(n)]

    def held_back(self, validation: list[Sample]) -> tuple[list[Sample], list[Sample]]:
        """Samples to calibrate by, four times as many as those of the validation, and these to judge that by."""
        n = _CALIBRATION_SHARE * len(validation)
        return [self._sample(CALIBRATION_START + k) for k in range(n)], validation

    def _sample(self, index: int) -> Sample:
        drawn = simulate_image(self.recipe, seed=self.seed, index=index)
        atoms = Atoms(drawn.x, drawn.y, drawn.species, drawn.flux)
        rng = np.random.default_rng([self.seed, index, 1])
        image, label = drawn.image.astype(float), drawn.label
        if self.augmentation is not None and index < VALIDATION_START:  # what is judged and calibrated on stays plain
            image, label, atoms = _changed(image, label, atoms, self.augmentation, rng)
        return framed(*self.prepare(image), label, atoms, rng)


class StoredSamples:
    """Batches drawn from a stored training set, turned and mirrored, or changed as an augmentation says.

    The images that the set keeps for validation are never trained on; where it does not say, these are its last ones.
    """

    def __init__(
        self,
        data: xr.Dataset,
        *,
        batch_size: int,
        seed: int,
        prepare: Prepare,
        multiple: int,
        n_validation: int,
        stack: Stack = stack_labels,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.data, self.batch_size, self.seed, self.prepare, self.multiple = data, batch_size, seed, prepare, multiple
        self.stack, self.augmentation = stack, augmentation
        if data.sizes["y"] != data.sizes["x"]:
            raise ShapeError(f"training set: expected square images, got {data.sizes['y']} x {data.sizes['x']}.")
        self._training, self._validation = _split(data, n_validation)
        self._atoms = _StoredAtoms(data)
        # what is asked for again and again is kept; a large set, of which only a part fits, is read as it is needed
        n_kept = max(1, _KEPT_BYTES // (data.sizes["y"] * data.sizes["x"] * np.dtype(float).itemsize))
        self._prepared = lru_cache(n_kept)(self._read_prepared)
        self._raw = lru_cache(n_kept)(self._read)

    def batch(self, step: int) -> Batch:
        return self.stack(self.samples(step), self.multiple)

    def samples(self, step: int) -> list[Sample]:
        rng = np.random.default_rng([self.seed, step])
        draw = self._turned if self.augmentation is None else self._augmented
        return [draw(int(self._training[k]), rng) for k in rng.integers(len(self._training), size=self.batch_size)]

    def validation(self, n: int) -> list[Sample]:
        return [
            framed(
                *self._prepared(int(index)), self._atoms.of(int(index)), np.random.default_rng([self.seed, index, 1])
            )
            for index in self._validation[:n]
        ]

    def held_back(self, validation: list[Sample]) -> tuple[list[Sample], list[Sample]]:
        """Samples to calibrate by, and others to judge that by: every second of those kept for validation, where there
        are several.
        """
        return validation[::2], validation[1::2] or validation

    def _turned(self, index: int, rng: np.random.Generator) -> Sample:
        image, contrast, label = self._prepared(index)
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        atoms = self._atoms.of(index).turned(turns, mirror, len(image))
        image, label = np.rot90(image, turns), np.rot90(label, turns)
        if mirror:
            image, label = image[:, ::-1], label[:, ::-1]
        return framed(image, contrast, label, atoms, rng)

    def _augmented(self, index: int, rng: np.random.Generator) -> Sample:
        assert self.augmentation is not None
        image, label, atoms = _changed(*self._raw(index), self._atoms.of(index), self.augmentation, rng)
        return framed(*self.prepare(image), label, atoms, rng)

    def _read_prepared(self, index: int) -> tuple[Array, float, NDArray[np.uint8]]:
        image, label = self._read(index)
        return (*self.prepare(image), label)

    def _read(self, index: int) -> tuple[Array, NDArray[np.uint8]]:
        image = self.data["image"][index].to_numpy().astype(float)
        label, n_species = self.data["label"][index].to_numpy(), len(self.data.attrs["classes"])
        if label.min() < 0 or label.max() > n_species:
            raise ArgumentError(
                f"training set: expected labels from 0 to {n_species}, got {label.min()} to {label.max()} "
                f"in image {index}."
            )
        return image, label


def _changed(
    image: Array, label: NDArray[np.uint8], atoms: Atoms, settings: Augmentation, rng: np.random.Generator
) -> tuple[Array, NDArray[np.uint8], Atoms]:
    """An image and its truth, augmented."""
    new = augment_image(image, label, atoms.x, atoms.y, settings=settings, rng=rng)
    kept = Atoms(new.x, new.y, atoms.species[new.kept], atoms.flux[new.kept] * new.flux_factor)
    return new.image, new.label, kept


def _split(data: xr.Dataset, n_validation: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the images for training, and of those for validation."""
    n_images = data.sizes["sample"]
    if "split" not in data:
        n_training = n_images - min(n_validation, max(1, n_images // 5))
        return np.arange(n_training), np.arange(n_training, n_images)
    split = data["split"].to_numpy()
    training, validation = np.flatnonzero(split == TRAINING), np.flatnonzero(split == VALIDATION)
    if not (len(training) and len(validation)):
        raise ArgumentError(
            f"training set: expected some images for training and some for validation, got {len(training)} and "
            f"{len(validation)}."
        )
    return training, validation


class _StoredAtoms:
    """The known atoms of a set, read image by image."""

    def __init__(self, data: xr.Dataset) -> None:
        owner = data["atom_sample"].to_numpy()
        if (np.diff(owner) < 0).any():
            order = np.argsort(owner, kind="stable")
            data, owner = data.isel(atom=order), owner[order]
        self._end = np.searchsorted(owner, np.arange(data.sizes["sample"]), side="right")
        self._columns = {name: data[f"atom_{name}"] for name in ("x", "y", "species")}
        self._flux = data.get("atom_flux")

    def of(self, index: int) -> Atoms:
        """Those of one image."""
        part = slice(int(self._end[index - 1]) if index else 0, int(self._end[index]))
        columns = {name: values[part].to_numpy() for name, values in self._columns.items()}
        n = part.stop - part.start
        return Atoms(**columns, flux=np.full(n, np.nan) if self._flux is None else self._flux[part].to_numpy())


def open_samples(
    data: ImageRecipe | xr.Dataset,
    settings: TrainingSettings,
    *,
    prepare: Prepare,
    multiple: int,
    stack: Stack,
    augmentation: Augmentation | None = None,
) -> SimulatedSamples | StoredSamples:
    """Where the batches of a training come from: images of a recipe, made on the fly, or a training set."""
    common: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "prepare": prepare,
        "multiple": multiple,
        "stack": stack,
        "augmentation": augmentation,
    }
    if isinstance(data, ImageRecipe):
        return SimulatedSamples(data, **common)
    return StoredSamples(data, n_validation=settings.validation_images, **common)


def framed(image: Array, contrast: float, label: NDArray[np.uint8], atoms: Atoms, rng: np.random.Generator) -> Sample:
    """Blank a random border, and keep the atoms just beyond it in the truth.

    A network that sees an image end, and knows where the atoms beyond really are, places a cut atom where it is, be it
    outside; one that must keep every atom inside draws them in, and finds some that are not there.
    """
    rows, columns = image.shape
    widest = max(MARGIN_PX, min(image.shape) // 9)
    top, bottom, left, right = rng.integers(MARGIN_PX, widest + 1, 4)

    def within(margin: int) -> tuple[NDArray[np.bool_], Atoms]:
        box = np.zeros(image.shape, dtype=bool)
        first_row, last_row = top - margin, rows - bottom + margin
        first_column, last_column = left - margin, columns - right + margin
        box[first_row:last_row, first_column:last_column] = True
        x, y = atoms.x + 0.5, atoms.y + 0.5
        kept = (x >= first_column) & (x < last_column) & (y >= first_row) & (y < last_row)
        return box, atoms.of(kept)

    inside, known = within(0)
    beside, near = within(MARGIN_PX)
    near = replace(near, flux=near.flux / contrast if contrast else np.full(len(near.x), np.nan))
    return Sample(np.where(inside, image, 0.0), np.where(beside, label, 0).astype(np.uint8), inside, known, near)
