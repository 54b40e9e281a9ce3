"""What a network says of images that do not fit in memory at once: piece by piece, with the same result."""

import logging
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from adatom.errors import ArgumentError, MemoryShortError
from adatom.nets.reach import measure_reach

Run = Callable[[Tensor], Tensor]
# What torch, CUDA, oneDNN, ONNX Runtime and OpenVINO say when memory runs out.
_SAYINGS = (
    "out of memory",
    "not enough memory",
    "allocate memory",
    "alloc_cpu",
    "bad_alloc",
    "bad allocation",
    "could not create a primitive",  # oneDNN, which needs room for it
)
# Of smaller pieces most is border [px].
_SMALLEST = 64 * 64


def tells_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    said = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(saying in said for saying in _SAYINGS)


def tell(line: str) -> None:
    """One line for the user."""
    logging.getLogger("adatom").warning("adatom: %s", line)


class Pieces:
    """How much of what a network is shown it can see at a time: halved until it fits, and remembered.

    Parameters
    ----------
    multiple : what the sides of images are multiples of.
    where : what memory is short of, for the user.

    Attributes
    ----------
    largest_px : pixels of the largest piece, images and borders included; None where all has fitted so far.
    """

    def __init__(self, multiple: int, where: str) -> None:
        self._multiple, self._where = multiple, where
        self._reach: int | None = None
        self.largest_px: int | None = None

    def see(self, images: Tensor, run: Run, look: Run) -> Tensor:
        """Logits (n, channel, y, x) of images (n, 1, y, x), sides multiples of `multiple`.

        Parameters
        ----------
        run : images to logits.
        look : the same where there is more memory, to measure how far the network sees.

        Raises
        ------
        MemoryShortError : if the smallest pieces do not fit, or the network does not see in pieces.
        """
        before = limit = self.largest_px
        while True:
            try:
                said = self._in_pieces(images, run, look, limit)
                break
            except Exception as error:
                if not tells_of_memory(error) or isinstance(error, MemoryShortError):
                    raise
            # here the error is gone, and with it what its frames held
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            limit = min(limit or images.numel(), images.numel()) // 2
        if limit != before:
            self.largest_px = limit
            tell(f"memory of {self._where} is short: the network sees {limit} pixels at a time, with the same result.")
        return said

    def _in_pieces(self, images: Tensor, run: Run, look: Run, limit: int | None) -> Tensor:
        rows, columns = images.shape[2:]
        if limit is None or images.numel() <= limit:
            return run(images)
        if limit < _SMALLEST:
            raise self._too_little("small pieces of an image")
        if rows * columns <= limit:
            return torch.cat([run(part) for part in images.split(limit // (rows * columns))])
        if self._reach is None:
            self._reach = self._measured(look)
        side = int(limit**0.5) // self._multiple * self._multiple - 2 * self._reach
        if side < self._multiple:
            raise self._too_little("small pieces of an image")
        return self._by_tiles(images, run, side, self._reach)

    def _measured(self, look: Run) -> int:
        try:
            return measure_reach(look, self._multiple)
        except ArgumentError as error:
            raise self._too_little("the whole image, which this network sees at once") from error

    def _too_little(self, what: str) -> MemoryShortError:
        return MemoryShortError(
            f"memory: expected enough on {self._where} for {what}, got less. Close other programs, or cut the image."
        )

    def _by_tiles(self, images: Tensor, run: Run, side: int, reach: int) -> Tensor:
        """By tiles on the network's grid with as much around them as it sees, one image at a time."""
        n, _, rows, columns = images.shape
        said: Tensor | None = None  # written in place: two of it may be too much
        for number, top, left in product(range(n), range(0, rows, side), range(0, columns, side)):
            first, start = max(0, top - reach), max(0, left - reach)
            seen = run(images[number : number + 1, :, first : top + side + reach, start : left + side + reach])
            if said is None:
                said = seen.new_empty(n, seen.shape[1], rows, columns)
            part = seen[0, :, top - first :, left - start :][:, :side, :side]
            said[number, :, top : top + side, left : left + side] = part[:, : rows - top, : columns - left]
        assert said is not None
        return said
