"""The edge of a step: where exactly it is, how high and how wide, and whether it is one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_REACH = 5.0  # of the fit to both sides of the edge, in cells of the coarse image in which it was found
_SAMPLES = 4  # rows and columns a cell that are looked at
_KNOTS = 24  # of an edge that is neither straight nor evenly bent
_STIFFNESS = 1e-3
_ROUNDS = 15
_SETTLED = 0.03  # when it moves by no more of its width, the fit ends
_NARROWEST = 0.1  # px
_WIDEST = 1.2  # an edge, in cells; what is wider is a slope

_LEAST_HEIGHT = 1.8  # of a step, in standard deviations of what is beside it: atoms and noise
_SEGMENTS = 8
_UNEVENNESS = 0.25  # of a step's height from segment to segment of its edge, at most
_STEEPNESS = 0.3  # rise of the terraces from the edge to the end of the fit, in heights of the step, at most
_UNLIKENESS = 2.0  # ratio of the corrugations on both sides, at most


@dataclass(frozen=True)
class Step:
    """A step whose middle is at column ``edge[y]`` of each row or, `along_x`, at row ``edge[x]`` of each column.

    Across its edge it is a logistic function of `height` and `width` [px]; `slant` is the cosine between the rows
    (columns) and the normal of the edge.
    """

    edge: Array
    slant: Array
    height: float
    width: float
    along_x: bool

    def taken_from(self, values: Array) -> Array:
        flat = values.copy()
        view = flat.T if self.along_x else flat
        # a sharp step, and near the edge the difference of the true one
        view -= np.where(np.arange(view.shape[1]) > self.edge[:, None], self.height, 0.0)
        columns = _columns_around(self.edge, int(np.ceil(14 * self.width / self.slant.min())))
        beyond = columns - self.edge[:, None]
        rest = self.height * (expit(beyond * self.slant[:, None] / self.width) - (beyond > 0))
        row, place = np.nonzero((columns >= 0) & (columns < view.shape[1]))
        view[row, columns[row, place]] -= rest[row, place]
        return flat


@dataclass(frozen=True)
class _Edge:
    """A line at column ``basis @ coefficients`` of each of some rows, evenly spread over the image."""

    rows: Array  # (y,)
    basis: Array  # (y, n)
    coefficients: Array  # (n,)
    penalty: Array  # (n, n), of bends

    @property
    def columns(self) -> Array:
        columns: Array = self.basis @ self.coefficients
        return columns

    def slant(self, cell: int) -> Array:
        """Cosine between the rows and the line's normal."""
        spacing = (self.rows[-1] - self.rows[0]) / (len(self.rows) - 1)
        smooth = ndimage.uniform_filter1d(self.columns, 2 * round(cell / spacing) + 1, mode="nearest")
        return np.maximum(1 / np.hypot(1.0, np.gradient(smooth, self.rows)), 0.2)

    def moved(self, by: Array) -> "_Edge":
        return _Edge(self.rows, self.basis, self.coefficients + by, self.penalty)

    @classmethod
    def through(cls, row: Array, column: Array, rows: Array) -> "_Edge":
        """A line from knot to knot, near some points."""
        knots = np.linspace(0, rows[-1], _KNOTS)

        def hats(at: Array) -> Array:
            heights: Array = np.clip(1 - np.abs(at[:, None] - knots) / (knots[1] - knots[0]), 0, None)
            return heights

        bends: Array = np.diff(np.eye(_KNOTS), n=2, axis=0)
        penalty = bends.T @ bends
        near = hats(row)
        gram = near.T @ near
        gram += 0.3 * np.trace(gram) / _KNOTS * penalty
        coefficients = np.asarray(np.linalg.solve(gram, near.T @ column), dtype=np.float64)
        return cls(rows, hats(rows), coefficients, penalty)

    def simplified(self, weight: Array, tolerance: float) -> "_Edge":
        """The simplest polynomial that is this line to within an rms `tolerance`, or the line itself."""
        place = 2 * self.rows / self.rows[-1] - 1
        columns, root = self.columns, np.sqrt(weight)
        for degree in (1, 2, 3):
            basis = np.asarray(np.polynomial.legendre.legvander(place, degree), dtype=np.float64)
            weighted = basis * root[:, None]
            gram = weighted.T @ weighted
            coefficients = np.asarray(np.linalg.solve(gram, weighted.T @ (columns * root)), dtype=np.float64)
            if np.average((basis @ coefficients - columns) ** 2, weights=weight) < tolerance**2:
                return _Edge(self.rows, basis, coefficients, np.zeros_like(gram))
        return self


@dataclass(frozen=True)
class _Strip:
    """The pixels on both sides of a line: (y, s) columns, values in `unit`s without outliers, and which are known."""

    columns: Array
    values: Array
    known: Mask
    unit: float

    @classmethod
    def around(cls, lines: Array, edge: _Edge, reach: int, spacing: int) -> "_Strip":
        columns = _columns_around(edge.columns, reach)[:, ::spacing]
        inside = (columns >= 0) & (columns < lines.shape[1])
        part = lines[edge.rows.astype(int)[:, None], np.clip(columns, 0, lines.shape[1] - 1)]
        known = inside & np.isfinite(part)
        some = part[::3, ::2][known[::3, ::2]]
        low, high = np.quantile(some, [0.01, 0.99]) if some.size else (0.0, 0.0)
        unit = float(high - low) or 1.0
        values = np.where(known, np.clip((part - low) / unit, -1, 2), 0.0)
        return cls(columns.astype(float), values, known, unit)


@dataclass(frozen=True)
class _Fit:
    """Level + tilt * d + climb * y + height / (1 + exp(-d / width)) at d [px] from the edge, and what it leaves over.

    y is -1 in the first and 1 in the last row.
    """

    level: float
    tilt: float
    climb: float
    height: float
    width: float
    edge: _Edge
    slant: Array  # (y,)
    beyond: Array  # (y, s), d
    up: Array  # (y, s), the logistic function
    residual: Array  # (y, s)

    @classmethod
    def at(cls, strip: _Strip, edge: _Edge, cell: int, numbers: tuple[float, ...]) -> "_Fit":
        level, tilt, climb, height, width = numbers
        slant = edge.slant(cell)
        beyond = (strip.columns - edge.columns[:, None]) * slant[:, None]
        up = expit(beyond / width)
        residual = strip.values - level - tilt * beyond - climb * _along(edge) - height * up
        residual = np.where(strip.known, residual, 0.0)
        return cls(level, tilt, climb, height, width, edge, slant, beyond, up, residual)

    def spread(self, strip: _Strip) -> float:
        """Standard deviation of atoms and noise."""
        return float(np.sqrt((self.residual**2).sum() / strip.known.sum()))

    def improved(self, strip: _Strip, cell: int) -> tuple["_Fit", float]:
        """The next of a Gauss-Newton least-squares fit, and how far it moved, in widths."""
        steep = self.height / self.width * self.up * (1 - self.up)
        derivatives = [
            np.ones_like(self.up),
            self.beyond,
            np.broadcast_to(_along(self.edge), self.up.shape),
            self.up,
            -steep * self.beyond,  # by the logarithm of the width
            -(steep + self.tilt) * self.slant[:, None],  # by the edge's column
            self.residual,
        ]
        columns = np.stack(derivatives, axis=1) * strip.known[:, None]  # (y, 7, s)
        products = columns @ columns.transpose(0, 2, 1)  # (y, 7, 7)
        total, basis = products.sum(axis=0), self.edge.basis
        of_edge = basis.T @ (basis * products[:, 5, 5, None])
        stiffness = _STIFFNESS * np.trace(of_edge) / len(of_edge) * self.edge.penalty
        mixed = basis.T @ products[:, 5, :5]
        normal = np.block([[total[:5, :5], mixed.T], [mixed, of_edge + stiffness]])
        right = np.concatenate([total[:5, 6], basis.T @ products[:, 5, 6] - stiffness @ self.edge.coefficients])
        scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
        normal = normal / scale[:, None] / scale + 1e-6 * np.eye(len(normal))
        move = np.linalg.solve(normal, right / scale) / scale
        wider, shift = float(np.clip(move[4], -0.5, 0.5)), float(np.abs(basis @ move[5:]).max()) / self.width
        numbers = (
            self.level + float(move[0]),
            self.tilt + float(move[1]),
            self.climb + float(move[2]),
            self.height + float(move[3]),
            float(np.clip(self.width * np.exp(wider), _NARROWEST, 2 * _WIDEST * cell)),
        )
        # the logistic function is straight for about a width only
        return _Fit.at(strip, self.edge.moved(move[5:] / max(1.0, shift)), cell, numbers), max(shift, abs(wider))

    def settled(self, strip: _Strip, cell: int) -> "_Fit":
        fit = self
        for _ in range(_ROUNDS):
            fit, moved = fit.improved(strip, cell)
            if moved < _SETTLED:
                break
        return fit


def fit_step(lines: Array, row: Array, column: Array, cell: int, along_x: bool) -> Step | None:
    """The step near a line through some points, if it is one.

    Parameters
    ----------
    lines : (y, x) image, or (x, y) `along_x`; its terraces level.
    row, column : (n,) points of the line, once a row at most.
    cell : how far they may be off [px], and the length in which widths and distances are counted.
    """
    spacing = max(1, cell // _SAMPLES)  # of many pixels some are enough
    rows = np.round(np.linspace(0, len(lines) - 1, len(lines) // spacing))
    edge = _Edge.through(row, column, rows)
    strip = _Strip.around(lines, edge, round(_REACH * cell), spacing)
    width = 0.5 * cell
    beyond = strip.columns - edge.columns[:, None]
    before, after = (strip.values[strip.known & (side > 2 * width)] for side in (-beyond, beyond))
    if min(before.size, after.size) < 0.1 * strip.known.size:
        return None
    level = float(before.mean())
    fit = _Fit.at(strip, edge, cell, (level, 0.0, 0.0, float(after.mean()) - level, width)).settled(strip, cell)
    if not _is_step(fit, strip, cell):
        return None
    # Atoms at the edge bend a flexible line by about as much as they would have to climb; a line that is as good to
    # within that is taken if it is simpler, for it sees more atoms at a time.
    tolerance = 1.5 * fit.spread(strip) * 4 * fit.width / abs(fit.height)
    simple = fit.edge.simplified(strip.known.sum(axis=1).astype(float), tolerance)
    if simple is not fit.edge:
        numbers = (fit.level, fit.tilt, fit.climb, fit.height, fit.width)
        fit = _Fit.at(strip, simple, cell, numbers).settled(strip, cell)
        if not _is_step(fit, strip, cell):
            return None
    every = np.arange(len(lines))
    columns, slant = (np.interp(every, rows, along) for along in (fit.edge.columns, fit.slant))
    return Step(columns, slant, fit.height * strip.unit, fit.width, along_x)


def _is_step(fit: _Fit, strip: _Strip, cell: int) -> bool:
    """Whether the edge is narrow and of one height all along, and both terraces look alike."""
    height = abs(fit.height)
    if not (
        fit.width < _WIDEST * cell
        and height > _LEAST_HEIGHT * fit.spread(strip)
        and abs(fit.tilt) * _REACH * cell < _STEEPNESS * height
    ):
        return False
    beside = strip.known & (np.abs(fit.beyond) > 2 * fit.width)
    sides = [np.abs(fit.residual[beside & side]) for side in (fit.beyond < 0, fit.beyond > 0)]
    rows = np.flatnonzero(strip.known.mean(axis=1) > 0.5)
    if len(rows) < _SEGMENTS or min(side.size for side in sides) == 0:
        return False
    corrugations = [float(np.median(side)) for side in sides]
    shares = []  # of the height, in segments of the edge
    for part in np.array_split(rows, _SEGMENTS):
        up, residual = fit.up[part][strip.known[part]], fit.residual[part][strip.known[part]]
        up = up - up.mean()
        shares.append(1 + float(up @ residual) / max(float(up @ up), 1e-300) / fit.height)
    alike = 1e-6 * height < max(corrugations) < _UNLIKENESS * min(corrugations)
    return alike and min(shares) > 0 and float(np.std(shares)) < _UNEVENNESS


def _along(edge: _Edge) -> Array:
    """(y, 1) from -1 to 1."""
    return (2 * edge.rows / edge.rows[-1] - 1)[:, None]


def _columns_around(edge: Array, reach: int) -> NDArray[np.int64]:
    """(y, s) columns of the pixels within `reach` of a line."""
    middle = np.floor(np.clip(edge, -1e6, 1e6)).astype(np.int64)
    return middle[:, None] + np.arange(-reach, reach + 2)
