"""Windows of a large image as everything after them wants them: levelled, with square pixels, prepared for a model."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from adatom.data.span import Span, parted
from adatom.errors import ArgumentError
from adatom.files import LazyImage
from adatom.prepare import (
    Levelling,
    contrast_of,
    mean_cell,
    normalise_by,
    resample_window,
    source_pixels,
    subtract_background,
    telling_parts,
)

Array = NDArray[np.float64]

BAND_ROWS = 256  # of working pixels that are made at a time


@dataclass(frozen=True)
class Window:
    """Values (..., y, x) and where in the image the first of them lies."""

    values: Array
    top: int
    left: int

    def part(self, rows: Span, columns: Span) -> "Window":
        """A part, by the image's rows and columns."""
        values = self.values[
            ..., rows.start - self.top : rows.stop - self.top, columns.start - self.left : columns.stop - self.left
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

    def taken_out(self, window: Window) -> Array | None:
        """What levelling took out of these pixels (y, x); None where they are no longer those that were measured."""
        if self.factor != (1.0, 1.0):
            return None
        return self.levelling.taken_out(window.values.shape, window.top, window.left)


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
        parts = [tuple(Span(part.start, part.stop) for part in parts) for parts in telling_parts(shape)]
        middle, contrast = contrast_of([unscaled._flat(rows, columns) for rows, columns in parts])
        return cls(square, true_factor, shape, unscaled.settings, sign, middle, contrast)

    @property
    def cell(self) -> int:
        """The background is seen in cells of so many working pixels, which must be the same ones for all tiles."""
        return mean_cell(self.settings["background_px"])

    @property
    def background_reach(self) -> int:
        """How far a pixel changes the background around it [working px]; a multiple of the cell."""
        return (ceil(3.2 * self.settings["background_px"]) // self.cell + 2) * self.cell

    def prepared(self, rows: Span, columns: Span) -> Array:
        """What a network gets to see there."""
        settings = {name: value for name, value in self.settings.items() if name != "background_px"}
        return normalise_by(self._flat(rows, columns), self.middle, self.contrast, **settings)

    def _flat(self, rows: Span, columns: Span) -> Array:
        """Levelled values (y, x) of a part, of bright atoms in any case, without their background; read and resampled
        in bands, as many pixels of the image may be one working pixel.
        """
        reach = self.background_reach
        wide_rows, wide_columns = (
            Span(span.start // self.cell * self.cell, span.stop).grown(reach, n)
            for span, n in zip((rows, columns), self.shape, strict=True)
        )

        def read(rows: Span, columns: Span) -> Array:
            return self.square.window(rows, columns).values

        working = np.concatenate(
            [
                resampled(read, self.square.shape, self.factor, band, wide_columns)
                for band in parted(wide_rows, BAND_ROWS)
            ]
        )
        flat = subtract_background(self.sign * working, sigma_px=self.settings["background_px"], limits=self.limits)
        return Window(flat, wide_rows.start, wide_columns.start).part(rows, columns).values

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
