"""Windows of a large image as everything after them wants them: levelled, with square pixels, prepared for a model."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from adatom.distribute.tiles import Span
from adatom.errors import ArgumentError
from adatom.files import LazyImage
from adatom.prepare import Levelling, normalise_by, resample_window, source_pixels, subtract_background
from adatom.prepare.sample import median

Array = NDArray[np.float64]

_CELL = 8
_PARTS, _PART_SIDE = 3, 384  # that tell the contrast: along each side, and pixels of each


@dataclass(frozen=True)
class Window:
    """Values (y, x) and where in the image the first of them lies."""

    values: Array
    top: int
    left: int

    def part(self, rows: Span, columns: Span) -> "Window":
        """A part, by the image's rows and columns."""
        values = self.values[
            rows.start - self.top : rows.stop - self.top, columns.start - self.left : columns.stop - self.left
        ]
        return Window(values, rows.start, columns.start)


@dataclass(frozen=True)
class SquarePixels:
    """An image by windows, levelled, with square pixels.

    Attributes
    ----------
    image : the file.
    levelling : of the whole image.
    """

    image: LazyImage
    levelling: Levelling

    @classmethod
    def of(cls, image: LazyImage) -> "SquarePixels":
        return cls(image, Levelling.of(image.window, image.shape))

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(y, x) in square pixels."""
        wanted = self._wanted
        return max(1, round(self.image.shape[0] * wanted[0])), max(1, round(self.image.shape[1] * wanted[1]))

    @property
    def factor(self) -> tuple[float, float]:
        """Square pixels a pixel of the image, along (y, x)."""
        return self.shape[0] / self.image.shape[0], self.shape[1] / self.image.shape[1]

    @property
    def pixel_nm(self) -> float | None:
        size = self.image.pixel_size
        if size is None:
            return None
        return min(size) if self._wanted != (1.0, 1.0) else float(np.sqrt(size[0] * size[1]))

    @property
    def _wanted(self) -> tuple[float, float]:
        size = self.image.pixel_size
        if size is None or abs(size[0] / size[1] - 1) < 0.01:
            return 1.0, 1.0
        return size[0] / min(size), size[1] / min(size)

    def window(self, rows: Span, columns: Span) -> Window:
        """These square pixels, levelled; NaN where nothing was measured."""

        def read(rows: Span, columns: Span) -> Array:
            values = self.image.window(rows.as_slice, columns.as_slice)
            return self.levelling.apply(values, rows.start, columns.start)

        values = resampled(read, self.image.shape, self.factor, rows, columns)
        return Window(values, rows.start, columns.start)


@dataclass(frozen=True)
class WorkingPixels:
    """The same at a model's working scale, normalised by the contrast of the whole image.

    Attributes
    ----------
    square : the image.
    factor : working pixels a square pixel, along (y, x), as whole pixels allow.
    shape : (y, x) in working pixels.
    settings : how the model wants images: ``background_px``, ``clip``, ``bend``.
    sign : -1 where atoms are dark.
    middle, contrast : median and contrast of the whole image without its background.
    """

    square: SquarePixels
    factor: tuple[float, float]
    shape: tuple[int, int]
    settings: dict[str, float]
    sign: int
    middle: float = 0.0
    contrast: float = 0.0

    @classmethod
    def of(cls, square: SquarePixels, factor: float, preprocessing: dict[str, object], sign: int) -> "WorkingPixels":
        """With the contrast that parts of the image tell.

        Raises
        ------
        ArgumentError : if the model wants images as a whole, scaled by their extremes.
        """
        settings = dict(preprocessing)
        if not settings.pop("levelled", True) or settings.pop("scaled", "contrast") != "contrast":
            raise ArgumentError(
                "model: expected one that sees images without their background, got one that wants them as they are. "
                "Search the image whole."
            )
        shape = (max(1, round(square.shape[0] * factor)), max(1, round(square.shape[1] * factor)))
        true_factor = (shape[0] / square.shape[0], shape[1] / square.shape[1])
        unscaled = cls(square, true_factor, shape, settings, sign)  # type: ignore[arg-type]
        flat = np.concatenate([unscaled._flat(*part).ravel() for part in _parts(shape)])
        middle = median(flat)
        return cls(square, true_factor, shape, unscaled.settings, sign, middle, 1.4826 * median(np.abs(flat - middle)))

    @property
    def background_reach(self) -> int:
        """How far a pixel changes the background around it [working px]."""
        return ceil(3.2 * self.settings["background_px"]) // 8 * 8 + 16

    def square_span(self, span: Span, axis: int) -> Span:
        """The square pixels around some working pixels that resampling needs."""
        return around_of(span, self.factor[axis], self.square.shape[axis])

    def prepared(self, rows: Span, columns: Span, square: Window) -> Array:
        """What a network gets to see there; `square` reaches as far as `needed` says."""
        reach = self.background_reach
        wide_rows, wide_columns = rows.grown(reach, self.shape[0]), columns.grown(reach, self.shape[1])

        def read(rows: Span, columns: Span) -> Array:
            return square.part(rows, columns).values

        working = self.sign * resampled(read, self.square.shape, self.factor, wide_rows, wide_columns)
        # the background is seen in cells that must be the same ones for all tiles
        ends = [(0, -n % _CELL) for n in working.shape]
        working = np.pad(working, ends, mode="symmetric")
        prepared = normalise_by(working, self.middle, self.contrast, self.limits, **self.settings)
        return Window(prepared, wide_rows.start, wide_columns.start).part(rows, columns).values

    def needed(self, rows: Span, columns: Span) -> tuple[Span, Span]:
        """The square pixels that `prepared` needs."""
        reach = self.background_reach
        spans = (rows.grown(reach, self.shape[0]), columns.grown(reach, self.shape[1]))
        return self.square_span(spans[0], 0), self.square_span(spans[1], 1)

    def _flat(self, rows: Span, columns: Span) -> Array:
        """Without its background, unscaled."""
        square = self.square.window(self.square_span(rows, 0), self.square_span(columns, 1))

        def read(rows: Span, columns: Span) -> Array:
            return square.part(rows, columns).values

        working = self.sign * resampled(read, self.square.shape, self.factor, rows, columns)
        return subtract_background(working, sigma_px=self.settings["background_px"], limits=self.limits)

    @property
    def limits(self) -> tuple[float, float]:
        """Beyond these values are outliers."""
        low, high = self.square.levelling.limits or (-1.0, 1.0)
        return (low, high) if self.sign > 0 else (-high, -low)


def resampled(
    read: Callable[[Span, Span], Array], shape: tuple[int, int], factor: tuple[float, float], rows: Span, columns: Span
) -> Array:
    """Pixels of a resampled image, from those pixels of the image that they need; `shape` is the image's."""
    if factor == (1.0, 1.0):
        return read(rows, columns)
    around = [around_of(span, f, n) for span, f, n in zip((rows, columns), factor, shape, strict=True)]
    values = read(around[0], around[1])
    origin = (around[0].start, around[1].start)
    return resample_window(values, origin, shape, factor, (rows.start, rows.stop), (columns.start, columns.stop))


def around_of(span: Span, factor: float, length: int) -> Span:
    """Pixels of an axis of this length that these resampled ones need."""
    return Span(*source_pixels(span.start, span.stop, factor, length))


def _parts(shape: tuple[int, int]) -> list[tuple[Span, Span]]:
    """Parts from all over an image."""
    spans = []
    for n in shape:
        side = min(n, _PART_SIDE)
        starts = sorted({round(k * (n - side) / (_PARTS - 1)) for k in range(_PARTS)})
        spans.append([Span(start, start + side) for start in starts])
    return [(rows, columns) for rows in spans[0] for columns in spans[1]]
