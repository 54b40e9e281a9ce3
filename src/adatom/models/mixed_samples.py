"""Batches cut out of whole images whose atoms are partly known, mixed with simulated ones."""

from collections.abc import Sequence
from copy import copy
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError
from adatom.models.batches import MARGIN_PX, Atoms, Sample, SimulatedSamples, framed, stack_atoms
from adatom.train import Batch

Array = NDArray[np.float64]


class PartlyKnown(Protocol):
    """A prepared image of which something is known."""

    @property
    def prepared(self) -> Array:
        """(y, x) as the network sees it."""

    @property
    def contrast(self) -> float:
        """What it was divided by."""

    def drawn(self, rng: np.random.Generator) -> Atoms:
        """Atoms that it may hold, drawn anew each time that it is shown; positions in its pixels."""


class MixedSamples:
    """Batches of pieces of partly known images, and of simulated images.

    Parameters
    ----------
    known : at least one, each shown as often as it is large.
    simulated : where simulated images come from; each gives as many images to a batch as its ``batch_size``, as large
        as the pieces, whatever its recipe says.
    batch_size : of all.
    side : of a piece [px].
    """

    def __init__(
        self,
        known: Sequence[PartlyKnown],
        simulated: Sequence[SimulatedSamples],
        *,
        batch_size: int,
        seed: int,
        side: int,
        multiple: int,
    ) -> None:
        self.known, self.simulated, self.batch_size = known, [_as_large(one, side) for one in simulated], batch_size
        self.seed, self.side, self.multiple = seed, side, multiple
        area = np.array([one.prepared.size for one in known], dtype=float)
        self._share = area / area.sum()

    def batch(self, step: int) -> Batch:
        """Batch number `step`, from -1 on, always the same."""
        rng = np.random.default_rng([self.seed, step + 1])
        simulated = [sample for source in self.simulated for sample in source.samples(step + 2)]
        n = self.batch_size - len(simulated)
        return stack_atoms([*simulated, *(self._cut(rng) for _ in range(n))], self.multiple)

    def _cut(self, rng: np.random.Generator) -> Sample:
        one = self.known[rng.choice(len(self.known), p=self._share)]
        side = self.side
        rows, columns = one.prepared.shape
        top, left = int(rng.integers(rows - side + 1)), int(rng.integers(columns - side + 1))
        atoms = one.drawn(rng)
        atoms = Atoms(atoms.x - left, atoms.y - top, atoms.species, atoms.flux)
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        piece = np.rot90(one.prepared[top : top + side, left : left + side], turns)
        piece = piece[:, ::-1] if mirror else piece
        label = np.zeros(piece.shape, dtype=np.uint8)
        return framed(piece, one.contrast, label, atoms.turned(turns, mirror, side), rng)


def side_of_pieces(known: Sequence[PartlyKnown], trained: int) -> int:
    """Side of the pieces: that of the training images, where all images are as large.

    Raises
    ------
    ArgumentError : if an image is too small for any piece.
    """
    smallest = min(min(one.prepared.shape) for one in known)
    if smallest < 4 * MARGIN_PX:
        raise ArgumentError(f"images: expected at least {4 * MARGIN_PX} working pixels a side, got {smallest}.")
    return min(trained, smallest)


def _as_large(source: SimulatedSamples, side: int) -> SimulatedSamples:
    """Images of the same recipe, `side` px a side: those of a batch are of one size."""
    microscope = source.recipe.microscope
    if microscope.image_size == side:
        return source
    low, high = (min(edge, side // 4) for edge in microscope.border_px)  # or nothing may be left in between
    changed = microscope.model_copy(update={"image_size": side, "border_px": (low, high)})
    resized = copy(source)
    resized.recipe = source.recipe.model_copy(update={"microscope": changed})
    return resized
