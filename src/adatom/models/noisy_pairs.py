"""What a denoiser learns from: noisy and clean images, an image that hides some of its pixels, frames and the next.

Each source gives batches: prepared images (n, 1, y, x), and beside them (n, 2, y, x) what is wanted and how much each
pixel counts. Batch number i of a seed is always the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from adatom.models.batches import CALIBRATION_START, VALIDATION_START
from adatom.models.symmetry import SYMMETRIES
from adatom.prepare import tame_outliers
from adatom.prepare.resample import local_mean
from adatom.prepare.sample import median
from adatom.simulate import ImageRecipe, simulate_image
from adatom.train import Batch

Array = NDArray[np.float64]
Samples = list[tuple[Array, Array, Array]]  # image, wanted, weight, each (y, x)

# Turns and mirrors that leave scan lines scan lines.
ALONG_THE_SCAN = tuple(symmetry for symmetry in SYMMETRIES if symmetry.turns % 2 == 0)
# Hidden pixels, as a share of all: those that are asked for, and these with what is hidden beside them.
_ASKED, _HIDDEN = 0.06, 0.12
_NEAR_PX = 2
# A pair whose noise is below this share of its contrast counts no more than one that has so much.
_LEAST_NOISE = 0.03


@dataclass(frozen=True)
class Prepared:
    """An image as a network sees it, and the way back.

    Attributes
    ----------
    values : (y, x) without its slow background, in units of `contrast`; 0 where not measured.
    background, contrast : what was subtracted and then divided by, in the image's unit.
    known : (y, x) bool, where something was measured.
    """

    values: Array
    background: Array
    contrast: float
    known: NDArray[np.bool_]

    def back(self, values: Array) -> Array:
        """Values of the network in the image's unit; NaN where nothing was measured."""
        return np.where(self.known, values * self.contrast + self.background, np.nan)

    def like(self, values: Array) -> Array:
        """Another image (y, x) of the same pixels on this one's scale."""
        return np.where(np.isfinite(values), (values - self.background) / self.contrast, 0.0)


def prepare(values: Array, *, background_px: float) -> Prepared:
    """Bring an image (y, x) to the scale of networks: its slow background off, its standard deviation 1.

    A single pixel far beyond all others is cut (`adatom.prepare.tame_outliers`), lest it be spread. A constant image
    has contrast 0 and is 0 everywhere.
    """
    known = np.isfinite(values)
    tamed = tame_outliers(np.where(known, values, np.nan))
    middle = median(tamed)
    level = local_mean(np.where(known, tamed - middle, 0.0), background_px)
    if not known.all():
        level /= np.maximum(local_mean(known.astype(float), background_px), 1e-6)
    background = level + middle
    flat = np.where(known, tamed - background, 0.0)
    contrast = float(np.sqrt((flat**2).sum() / max(1, known.sum())))
    if contrast <= 1e-9 * abs(middle) or contrast == 0:
        return Prepared(np.zeros_like(flat), background, 0.0, known)
    return Prepared(flat / contrast, background, contrast, known)


class PairSource(Protocol):
    """Where batches come from."""

    def batch(self, step: int) -> Batch:
        """Batch number `step`, from 1."""

    def validation(self, n: int) -> list[Batch]:
        """Batches of `n` images that no training sees; or, where there is one image only, of other questions to it."""


class SimulatedPairs:
    """Images of a recipe, with noise and without."""

    def __init__(self, recipe: ImageRecipe, *, batch_size: int, seed: int, background_px: float) -> None:
        self.recipe, self.batch_size, self.seed, self.background_px = recipe, batch_size, seed, background_px

    def batch(self, step: int) -> Batch:
        first = (step - 1) * self.batch_size
        return stacked([self._sample(first + k) for k in range(self.batch_size)])

    def validation(self, n: int) -> list[Batch]:
        samples = [self._sample(VALIDATION_START + k) for k in range(n)]
        return [stacked(samples[k : k + 8]) for k in range(0, n, 8)]

    def calibration(self, n: int) -> list[tuple[Array, Array]]:
        """`n` images (y, x), with noise and without, that neither training nor validation sees."""
        drawn = [
            simulate_image(self.recipe, seed=self.seed, index=CALIBRATION_START + k, with_clean=True) for k in range(n)
        ]
        return [(each.image.astype(float), each.clean.astype(float)) for each in drawn if each.clean is not None]

    def _sample(self, index: int) -> tuple[Array, Array, Array]:
        drawn = simulate_image(self.recipe, seed=self.seed, index=index, with_clean=True)
        assert drawn.clean is not None
        noisy = prepare(drawn.image.astype(float), background_px=self.background_px)
        if not noisy.contrast:
            return noisy.values, noisy.values, noisy.known.astype(float)
        wanted = noisy.like(drawn.clean.astype(float))
        # every image counts by the share of its noise that is left: else the noisiest ones alone would be learned
        power = float(((noisy.values - wanted) ** 2)[noisy.known].mean())
        return noisy.values, wanted, noisy.known / (power + _LEAST_NOISE**2)


class OwnPieces(ABC):
    """Pairs cut out of the user's own images, piece by piece."""

    batch_size: int
    seed: int

    def batch(self, step: int) -> Batch:
        return stacked(_pieces(self._piece, np.random.default_rng([self.seed, step]), self.batch_size))

    def validation(self, n: int) -> list[Batch]:
        rng = np.random.default_rng([self.seed, VALIDATION_START])
        return [stacked(_pieces(self._piece, rng, min(8, n - k))) for k in range(0, n, 8)]

    @abstractmethod
    def _piece(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """What is seen, what is wanted, and the weight of each pixel."""


class HiddenPixels(OwnPieces):
    """Pieces of images in which some pixels are replaced by others of the piece; these are asked for.

    Noise that is another one in each pixel cannot be told from the neighbours: what is learned is what lies under it
    (Krull, Buchholz & Jug, CVPR 2019, 10.1109/CVPR.2019.00223). Where noise repeats along scan lines, `run` pixels to
    either side are replaced as well (Broaddus, Krull, Weigert, Schmidt & Myers, ISBI 2020,
    10.1109/ISBI45749.2020.9098336).
    """

    def __init__(self, images: list[Prepared], *, run: int, side: int, batch_size: int, seed: int) -> None:
        self.images, self.run, self.side, self.batch_size, self.seed = images, run, side, batch_size, seed
        self._turns = SYMMETRIES if run == 0 else ALONG_THE_SCAN

    def _piece(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        image = self.images[int(rng.integers(len(self.images)))]
        window, turn = _window(image.values.shape, self.side, rng), self._turns[int(rng.integers(len(self._turns)))]
        values, known = turn.turned(image.values[window]), turn.turned(image.known[window])
        asked = (rng.random(values.shape) < min(_ASKED, _HIDDEN / (2 * self.run + 1))) & known
        hidden = asked.copy()
        for shift in range(1, self.run + 1):
            hidden[:, shift:] |= asked[:, :-shift]
            hidden[:, :-shift] |= asked[:, shift:]
        return np.where(hidden, self._others(values, rng), values), values, asked.astype(float)

    def _others(self, values: Array, rng: np.random.Generator) -> Array:
        """For each pixel the value of another one near it, from another line where lines repeat their noise.

        Near, so that it is about what it stands for: pixels from anywhere would weaken what a network sees beside those
        that it is asked for, and it would learn to make up for that where nothing is hidden.
        """
        shape, (down, across) = values.shape, rng.integers(-_NEAR_PX, _NEAR_PX + 1, (2, *values.shape))
        nowhere = down == 0 if self.run else (down == 0) & (across == 0)
        down = np.where(nowhere, rng.choice([-1, 1], size=shape), down)
        rows, columns = (
            # mirrored at the border; a pixel of the last line would else stand for itself
            np.where((at + step < 0) | (at + step >= n), at - step, at + step)
            for at, step, n in zip(np.indices(shape), (down, across), shape, strict=True)
        )
        return values[rows, columns]


class NextFrames(OwnPieces):
    """Frames of a movie, each with the one before or after it as what is wanted.

    The noise of the one says nothing of the noise of the other: what is learned is what both show (Lehtinen et al.,
    ICML 2018, arXiv 1803.04189).
    """

    def __init__(
        self,
        frames: list[Prepared],
        shifts: list[tuple[int, int]],
        *,
        side: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.frames, self.shifts, self.side, self.batch_size, self.seed = frames, shifts, side, batch_size, seed

    def _piece(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        first = int(rng.integers(len(self.frames) - 1))
        before, after = self.frames[first], self.frames[first + 1]
        seen, wanted = _overlap(before, after, self.shifts[first])
        if rng.random() < 0.5:
            seen, wanted = wanted, seen
        window = _window(seen[0].shape, self.side, rng)
        turn = ALONG_THE_SCAN[int(rng.integers(len(ALONG_THE_SCAN)))]
        both = (seen[1] & wanted[1])[window].astype(float)
        return turn.turned(seen[0][window]), turn.turned(wanted[0][window]), turn.turned(both)


def _overlap(
    before: Prepared, after: Prepared, shift: tuple[int, int]
) -> tuple[tuple[Array, NDArray[np.bool_]], tuple[Array, NDArray[np.bool_]]]:
    """What two frames show of the same place, `shift` (rows, columns) being how far the second one moved."""

    def cut(each: Prepared, way: int) -> tuple[Array, NDArray[np.bool_]]:
        box = tuple(slice(max(0, way * s), n + min(0, way * s)) for n, s in zip(each.values.shape, shift, strict=True))
        return each.values[box], each.known[box]

    # on one scale: the brightness of the whole may flicker from frame to frame
    return cut(before, -1), cut(after, 1)


def _pieces(
    draw: Callable[[np.random.Generator], tuple[Array, Array, Array]], rng: np.random.Generator, n: int
) -> Samples:
    return [draw(rng) for _ in range(n)]


def _window(shape: tuple[int, ...], side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """A square of `side` pixels somewhere in an image that is no smaller."""
    top, left = (int(rng.integers(n - side + 1)) for n in shape)
    return slice(top, top + side), slice(left, left + side)


def stacked(samples: Samples) -> Batch:
    """Samples of one size to a batch."""
    image, wanted, weight = (np.stack(each).astype(np.float32) for each in zip(*samples, strict=True))
    return torch.from_numpy(image[:, None]), torch.from_numpy(np.stack([wanted, weight], axis=1))
