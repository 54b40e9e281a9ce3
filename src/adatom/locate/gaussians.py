"""Gaussians of one shape on patches of an image: drawn, and pixels summed up under them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_HALF = 3.5  # of the square around an atom, in widths: beyond is less than 0.3 % of its peak
AT_ONCE = 400_000  # pixels of patches, which stay in the processor's cache
HEIGHT, X, Y = range(3)


@dataclass(frozen=True)
class Peaks:
    """Gaussians of one elliptical shape.

    Attributes
    ----------
    height : (n,) in units of the image.
    position : (n, 2) x, y [px].
    shape : inverse covariance (xx, xy, yy) [1/px^2] of all.
    """

    height: Array
    position: Array
    shape: tuple[float, float, float]

    @property
    def width(self) -> float:
        """Geometric mean of the standard deviations along the axes of the ellipse [px]."""
        xx, xy, yy = self.shape
        return float((xx * yy - xy * xy) ** -0.25)


@dataclass(frozen=True)
class Patches:
    """A square of pixels around each atom.

    Attributes
    ----------
    index : (n, side, side) of the pixels in the flattened image; of pixels beyond it, of one at its border.
    column, row : (n, side) coordinates.
    in_columns, in_rows : (n, side) bool, which of them are in the image.
    known : (n, side, side) bool: pixels that were measured; None where all pixels of the image were.
    """

    index: Integers
    column: Integers
    row: Integers
    in_columns: NDArray[np.bool_]
    in_rows: NDArray[np.bool_]
    known: NDArray[np.bool_] | None

    @classmethod
    def around(cls, position: Array, known: NDArray[np.bool_], width: float) -> "Patches":
        half = max(2, int(np.ceil(_HALF * width)))
        offsets = np.arange(-half, half + 1)
        column, row = (np.round(at).astype(np.int64)[:, None] + offsets for at in position.T)
        rows, columns = known.shape
        index = np.clip(row, 0, rows - 1)[:, :, None] * columns + np.clip(column, 0, columns - 1)[:, None, :]
        return cls(
            index,
            column,
            row,
            (column >= 0) & (column < columns),
            (row >= 0) & (row < rows),
            None if known.all() else known.ravel()[index],
        )

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(n, side, side) pixels that were measured."""
        inside: NDArray[np.bool_] = self.in_rows[:, :, None] & self.in_columns[:, None, :]
        return inside if self.known is None else inside & self.known

    def taken(self, weight: Floats, rows: slice) -> Floats:
        """An image of weights (y, x) in the patches of some atoms (n, side, side); 0 where nothing was measured."""
        taken: Floats = weight.ravel()[self.index[rows]]
        in_rows, in_columns = self.in_rows[rows], self.in_columns[rows]
        at_border = ~(in_rows.all(axis=1) & in_columns.all(axis=1))
        taken[at_border] *= in_rows[at_border, :, None] & in_columns[at_border, None, :]
        if self.known is not None:
            taken *= self.known[rows]
        return taken

    def chunks(self) -> Iterator[slice]:
        """Atoms to be dealt with at once."""
        step = max(1, AT_ONCE // self.index[0].size)
        for first in range(0, len(self.index), step):
            yield slice(first, first + step)


def slope_of(peaks: Peaks, axis: int) -> tuple[Floats, Floats]:
    """What the Gaussian times dx, and times dy, must be multiplied by (n,) to give the change when it moves along an
    axis (0: x, 1: y).
    """
    xx, xy, yy = peaks.shape
    height = peaks.height.astype(np.float32)
    return tuple(np.float32(value) * height for value in ((xx, xy) if axis == 0 else (xy, yy)))  # type: ignore[return-value]


@dataclass(frozen=True)
class Lines:
    """Gaussians of height 1 as products of a line along x and one along y, and so all sums over their patches.

    With distances dx = i - u and dy = j - v of pixels i, j from the centre of a patch and of the atom u, v from there,
    the mixed term exp(-xy dx dy) is exp(-xy i j), which is one table for all atoms, times exp(xy i v) along x, times
    exp(xy j u) along y, times a number.

    Attributes
    ----------
    rows : the atoms.
    x, y : (n, 3, side) the line, and it times the distance and the square of the distance; 0 beyond the image.
    table : (side, side), or None where the ellipse is upright.
    known : (n, side, side), or None where all pixels are.
    """

    rows: slice
    x: Floats
    y: Floats
    table: Floats | None
    known: NDArray[np.bool_] | None

    @classmethod
    def of(cls, peaks: Peaks, patches: Patches, rows: slice) -> "Lines":
        xx, xy, yy = (np.float32(value) for value in peaks.shape)
        dx, dy = (
            (at[rows] - peaks.position[rows, axis, None]).astype(np.float32)
            for axis, at in enumerate((patches.column, patches.row))
        )
        in_x, in_y = -0.5 * xx * dx * dx, -0.5 * yy * dy * dy
        table = None
        if xy:
            offset = np.arange(dx.shape[1], dtype=np.float32) - np.float32(dx.shape[1] // 2)
            u, v = (offset[None, 0] - d[:, 0] for d in (dx, dy))
            in_x += xy * (offset * v[:, None] - 0.5 * (u * v)[:, None])
            in_y += xy * (offset * u[:, None] - 0.5 * (u * v)[:, None])
            table = np.exp(-xy * offset[:, None] * offset).astype(np.float32)
        line_x, line_y = np.exp(in_x) * patches.in_columns[rows], np.exp(in_y) * patches.in_rows[rows]
        known = None if patches.known is None else patches.known[rows]
        x, y = (np.stack([line, d * line, d * d * line], axis=1) for d, line in ((dx, line_x), (dy, line_y)))
        return cls(rows, x, y, table, known)

    def patch(self, parts: list[tuple[Floats, int, int]]) -> Floats:
        """The sum (n, side, side) of Gaussians times some sizes (n,) and powers of dx and dy."""
        powers = [power for _, *power in parts]
        # a matrix product over few terms is a loop over all pixels for each, as is the sum written out
        drawn: Floats | None = None
        for (size, *_), (a, b) in zip(parts, powers, strict=True):
            term = (size[:, None] * self.y[:, b])[:, :, None] * self.x[:, a, None, :]
            drawn = term if drawn is None else np.add(drawn, term, out=drawn)
        assert drawn is not None
        if self.table is not None:
            np.multiply(drawn, self.table, out=drawn)
        return drawn

    def drawn(self, parts: list[tuple[Floats, int, int]]) -> Floats:
        """The same, 0 where nothing was measured."""
        patch = self.patch(parts)
        if self.known is not None:
            patch *= self.known
        return patch

    def once(self, weighted: Floats) -> Floats:
        """Sums (n, 2, 2) of pixels times the Gaussian, by powers of dy and dx."""
        if self.table is not None:
            weighted = np.multiply(weighted, self.table, dtype=np.float32)
        sums: Floats = self.y[:, :2] @ (weighted @ self.x[:, :2].transpose(0, 2, 1))
        return sums

    def twice(self, weights: Floats) -> Floats:
        """Sums (n, 3, 3) of pixels times the square of the Gaussian, by powers of dy and dx."""
        if self.table is not None:
            weights = np.multiply(weights, self.table**2, dtype=np.float32)
        sums: Floats = (self.y * self.y[:, :1]) @ weights @ (self.x * self.x[:, :1]).transpose(0, 2, 1)
        return sums


def render(peaks: Peaks, patches: Patches, shape: tuple[int, ...]) -> Array:
    """The image (y, x) of all peaks without background."""
    height = peaks.height.astype(np.float32)
    return _drawn(peaks, patches, shape, lambda lines: [lines.drawn([(height[lines.rows], 0, 0)])])[0]


def render_slope(peaks: Peaks, patches: Patches, shape: tuple[int, ...], *, axis: int) -> Array:
    """The change (y, x) of the image of all peaks when all are shifted along an axis (0: x, 1: y)."""
    by_dx, by_dy = slope_of(peaks, axis)
    return _drawn(
        peaks, patches, shape, lambda lines: [lines.drawn([(by_dx[lines.rows], 1, 0), (by_dy[lines.rows], 0, 1)])]
    )[0]


def render_steps(peaks: Peaks, patches: Patches, shape: tuple[int, ...], steps: Array) -> list[Array]:
    """The changes (y, x) of the image of all peaks by k steps (n, 3, k) of height, x and y."""
    (xx, xy), (_, yy) = slope_of(peaks, 0), slope_of(peaks, 1)
    parts = steps.astype(np.float32)
    along_x = xx[:, None] * parts[:, X] + xy[:, None] * parts[:, Y]  # (n, k)
    along_y = xy[:, None] * parts[:, X] + yy[:, None] * parts[:, Y]

    def changes(lines: Lines) -> list[Floats]:
        of = [(parts[lines.rows, HEIGHT], 0, 0), (along_x[lines.rows], 1, 0), (along_y[lines.rows], 0, 1)]
        return [lines.drawn([(size[:, k], a, b) for size, a, b in of]) for k in range(parts.shape[2])]

    return _drawn(peaks, patches, shape, changes)


def render_reshaped(peaks: Peaks, patches: Patches, shape: tuple[int, ...]) -> list[Array]:
    """The changes (y, x) of the image of all peaks with the three numbers of the shape."""
    height = peaks.height.astype(np.float32)

    def changes(lines: Lines) -> list[Floats]:
        sizes = ((-0.5, 2, 0), (-1.0, 1, 1), (-0.5, 0, 2))
        return [lines.drawn([(np.float32(size) * height[lines.rows], a, b)]) for size, a, b in sizes]

    return _drawn(peaks, patches, shape, changes)


def _drawn(
    peaks: Peaks, patches: Patches, shape: tuple[int, ...], parts: Callable[[Lines], list[Floats]]
) -> list[Array]:
    """Sums (y, x) of what each patch shows of each of some images."""
    totals: list[Array] = []
    size = int(np.prod(shape))
    for rows in patches.chunks():
        index = patches.index[rows].ravel()
        # around few atoms only a part of the image changes
        first, last = int(index.min()), int(index.max())
        index = index - first
        for k, part in enumerate(parts(Lines.of(peaks, patches, rows))):
            if k == len(totals):
                totals.append(np.zeros(size))
            totals[k][first : last + 1] += np.bincount(index, part.ravel())
    return [total.reshape(shape) for total in totals]
