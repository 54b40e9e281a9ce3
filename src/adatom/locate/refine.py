"""Refinement: where exactly in the measured image each atom sits, and how sure that is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.errors import ShapeError

Array = NDArray[np.float64]

_ROUNDS = 24  # of moving all atoms at once, at most
_FREE_WIDTH = 5  # of them with a width of its own for each atom; then one for all
_SETTLED = 5e-4  # of the spacing: when hardly an atom moves further, all are done
_DAMPING = 0.02
_HALF_SIDE = 0.55  # of the fitted square, in spacings
_NEIGHBOURS = 1.8  # atoms so many spacings away still reach in
# Widest and narrowest Gaussian, in spacings. Wider peaks would hardly be resolved from their neighbours, and without
# the limit the fit of a dense lattice creeps: a wider peak, more of it subtracted next door, a wider peak there.
_WIDEST, _NARROWEST = 0.33, 0.05
_LEAST_HEIGHT = 0.1  # of an atom, in those of its brighter fellows
_HEIGHT, _X, _Y, _LOG_WIDTH, _BACKGROUND = range(5)
_ALL = [_HEIGHT, _X, _Y, _LOG_WIDTH, _BACKGROUND]
_ONE_WIDTH = [_HEIGHT, _X, _Y, _BACKGROUND]
# A derivative of the model by a parameter is a sum of products of a line along x and a line along y, by their numbers
# in `_lines`, times a factor that `_factors` knows.
_ONES = 3
_PRODUCTS = {_HEIGHT: [(0, 0)], _X: [(1, 0)], _Y: [(0, 1)], _LOG_WIDTH: [(2, 0), (0, 2)], _BACKGROUND: [(_ONES, _ONES)]}


@dataclass(frozen=True)
class Refined:
    """Fitted Gaussians, in pixels of the image; one row an atom, in the order of the starts.

    Attributes
    ----------
    x, y : (n,) positions; the start where the fit failed.
    x_std, y_std : (n,) standard deviations; NaN where the fit failed.
    flux : (n,) volume of the peak [value unit x px^2]; NaN where the fit failed.
    converged : (n,) bool.
    empty : (n,) bool: the image shows that there is no peak, see `refine_positions`.
    """

    x: Array
    y: Array
    x_std: Array
    y_std: Array
    flux: Array
    converged: NDArray[np.bool_]
    empty: NDArray[np.bool_]


def refine_positions(values: Array, x: Array, y: Array, *, spacing_px: float) -> Refined:
    """Fit each atom with a Gaussian on a local background, its neighbours subtracted.

    Parameters
    ----------
    values : (y, x) image, its slow background subtracted; NaN where nothing was measured.
    x, y : (n,) start positions [px].
    spacing_px : typical distance of neighbours [px]; 1.1 of it is the side of the fitted square.

    Returns
    -------
    Positions with standard deviations from the Fisher information of the fit, scaled by its residuals. A fit that
    leaves its start by more than a third of the spacing, is no surer than that, or finds no peak, is refused. Where a
    peak at the start, of the common width, would have a height that is surely below a small share of its kind's, the
    image says that there is none: a vacancy in a lattice, say.

    Notes
    -----
    Damped Gauss-Newton least squares, all atoms at once; in each round neighbours are subtracted as the round before
    left them. The first rounds have a width of its own for each atom, the next ones the median of these: one
    instrument, one width, and at low dose a free width follows the noise. Residuals are taken as white: correlated
    noise makes the stated deviations too small.

    A round Gaussian is a product of one along x and one along y. So are its derivatives, and so is the overlap of two
    of them: all sums over pixels, but those with the image itself, are products of sums along lines.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ShapeError(f"values: expected a (y, x) array, got shape {values.shape}.")
    n_atoms = len(x)
    start = np.column_stack([x, y]).astype(float).reshape(n_atoms, 2)
    if n_atoms == 0:
        none, never = np.zeros(0), np.zeros(0, dtype=bool)
        return Refined(none, none, none, none, none, never, never)
    known = np.isfinite(values)
    level = float(np.median(values[known])) if known.any() else 0.0
    scale = float(np.std(values[known])) if known.any() else 0.0
    data = np.where(known, (values - level) / (scale or 1.0), 0.0)  # numbers near 1: fits do not care for units

    patches = _Patches.around(start, data, known, max(2, round(_HALF_SIDE * spacing_px)))
    neighbours = _Neighbours.of(start, _NEIGHBOURS * spacing_px)
    low, high = np.percentile(patches.data.reshape(n_atoms, -1), [10, 95], axis=1)
    parameters = np.column_stack(
        [np.maximum(high - low, 1e-3), start, np.full(n_atoms, np.log(0.27 * spacing_px)), low]
    )
    narrowest, widest = np.log(_NARROWEST * spacing_px), np.log(_WIDEST * spacing_px)
    for turn in range(_ROUNDS):
        free = _ALL if turn < _FREE_WIDTH else _ONE_WIDTH
        step = _Fit.at(parameters, patches).step(patches, neighbours, free)
        step[:, [_X, _Y]] = np.clip(step[:, [_X, _Y]], -0.15 * spacing_px, 0.15 * spacing_px)
        step[:, _LOG_WIDTH] = np.clip(step[:, _LOG_WIDTH], -0.2, 0.2)
        parameters = parameters + step
        # far off, a Gaussian no longer feels its atom
        parameters[:, [_X, _Y]] = np.clip(parameters[:, [_X, _Y]], start - 0.5 * spacing_px, start + 0.5 * spacing_px)
        parameters[:, _LOG_WIDTH] = np.clip(parameters[:, _LOG_WIDTH], narrowest, widest)
        if turn == _FREE_WIDTH - 1:
            parameters[:, _LOG_WIDTH] = np.median(parameters[:, _LOG_WIDTH])
        elif turn > _FREE_WIDTH and np.quantile(np.abs(step[:, [_X, _Y]]), 0.9) < _SETTLED * spacing_px:
            break
    variance = _Fit.at(parameters, patches).variances(patches, neighbours, _ONE_WIDTH, [_X, _Y])
    empty = _empty(parameters, start, patches, neighbours)
    moved = np.hypot(*(parameters[:, [_X, _Y]] - start).T)
    converged = (
        (moved < spacing_px / 3)
        & (parameters[:, _HEIGHT] > 0)
        & np.isfinite(variance).all(axis=1)
        & (variance > 0).all(axis=1)
        & (variance < (spacing_px / 3) ** 2).all(axis=1)
    )
    std = np.sqrt(np.where(converged[:, None], variance, np.nan))
    position = np.where(converged[:, None], parameters[:, [_X, _Y]], start)
    width = np.exp(parameters[:, _LOG_WIDTH])
    flux = np.where(converged, 2 * np.pi * parameters[:, _HEIGHT] * width**2 * (scale or 1.0), np.nan)
    return Refined(position[:, 0], position[:, 1], std[:, 0], std[:, 1], flux, converged, empty)


def _empty(parameters: Array, start: Array, patches: "_Patches", neighbours: "_Neighbours") -> NDArray[np.bool_]:
    """Where a peak at the start would be surely too low to be one."""
    typical = float(np.quantile(parameters[:, _HEIGHT], 0.75))
    suspects = parameters[:, _HEIGHT] < 0.5 * typical
    suspects |= np.hypot(*(parameters[:, [_X, _Y]] - start).T) > np.exp(parameters[:, _LOG_WIDTH])
    if not suspects.any() or typical <= 0:
        return np.zeros(len(start), dtype=bool)
    fixed = parameters.copy()
    fixed[suspects, _HEIGHT] = 0.0
    fixed[suspects, _X : _Y + 1] = start[suspects]
    for _ in range(3):
        step = _Fit.at(fixed, patches).step(patches, neighbours, [_HEIGHT, _BACKGROUND])
        fixed[suspects] += step[suspects]
    variance = _Fit.at(fixed, patches).variances(patches, neighbours, [_HEIGHT, _BACKGROUND], [_HEIGHT])[:, 0]
    empty: NDArray[np.bool_] = suspects & (fixed[:, _HEIGHT] + 2 * np.sqrt(variance) < _LEAST_HEIGHT * typical)
    return empty


@dataclass(frozen=True)
class _Patches:
    """A square of pixels around each atom.

    Attributes
    ----------
    data : (n, side, side), 0 where nothing is known.
    weight : (n, side, side), 1 where something is.
    row, column : (n, side) coordinates.
    row_weight, column_weight : (n, side), 0 for lines beyond the image.
    """

    data: Array
    weight: Array
    row: Array
    column: Array
    row_weight: Array
    column_weight: Array

    @classmethod
    def around(cls, start: Array, data: Array, known: NDArray[np.bool_], half: int) -> "_Patches":
        offsets = np.arange(-half, half + 1)
        row = np.round(start[:, 1]).astype(int)[:, None] + offsets
        column = np.round(start[:, 0]).astype(int)[:, None] + offsets
        in_rows = (row >= 0) & (row < data.shape[0])
        in_columns = (column >= 0) & (column < data.shape[1])
        index = np.clip(row, 0, data.shape[0] - 1)[:, :, None], np.clip(column, 0, data.shape[1] - 1)[:, None, :]
        weight = (in_rows[:, :, None] & in_columns[:, None, :] & known[index]).astype(float)
        return cls(
            data[index] * weight,
            weight,
            row.astype(float),
            column.astype(float),
            weight.any(axis=2).astype(float),
            weight.any(axis=1).astype(float),
        )


@dataclass(frozen=True)
class _Neighbours:
    """Pairs of atoms, both ways, sorted by the first of each.

    Attributes
    ----------
    mine, other : (m,) rows of the atoms.
    owner, first : the atoms that have neighbours at all, and where their pairs begin.
    """

    mine: NDArray[np.int64]
    other: NDArray[np.int64]
    owner: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, start: Array, reach: float) -> "_Neighbours":
        close = cKDTree(start).query_pairs(reach, output_type="ndarray").astype(np.int64)
        both = np.concatenate([close, close[:, ::-1]])
        both = both[np.argsort(both[:, 0], kind="stable")]
        owner, first = np.unique(both[:, 0], return_index=True)
        return cls(both[:, 0], both[:, 1], owner, first)

    def sum(self, values: Array, n_atoms: int) -> Array:
        """Sum of what each pair has (m, ...) over the pairs of each atom (n, ...)."""
        total = np.zeros((n_atoms, *values.shape[1:]))
        if len(self.owner):
            total[self.owner] = np.add.reduceat(values, self.first, axis=0)
        return total


@dataclass(frozen=True)
class _Fit:
    """A state of the fit: its parameters (n, 5), and the lines (n, 4, side) along x and y that its sums are made of."""

    parameters: Array
    width: Array
    along_x: Array
    along_y: Array

    @classmethod
    def at(cls, parameters: Array, patches: _Patches) -> "_Fit":
        width = np.exp(parameters[:, _LOG_WIDTH])
        return cls(
            parameters,
            width,
            _lines(patches.column, parameters[:, _X], width, patches.column_weight),
            _lines(patches.row, parameters[:, _Y], width, patches.row_weight),
        )

    def step(self, patches: _Patches, neighbours: _Neighbours, free: list[int]) -> Array:
        """The damped Gauss-Newton step of each atom (n, 5)."""
        # what is left of each patch, summed with each product of lines: (n, 4 along y, 4 along x)
        left = self.along_y @ patches.data @ self.along_x.transpose(0, 2, 1)
        theirs_x, theirs_y = self._neighbours_in(patches, neighbours)
        sums_x = (self.along_x[neighbours.mine] @ theirs_x[:, :, None])[:, :, 0]  # (m, 4)
        sums_y = (self.along_y[neighbours.mine] @ theirs_y[:, :, None])[:, :, 0]
        left -= neighbours.sum(sums_y[:, :, None] * sums_x[:, None, :], len(left))
        overlap_x, overlap_y = _gram(self.along_x), _gram(self.along_y)
        for line, height in ((0, self.parameters[:, _HEIGHT]), (_ONES, self.parameters[:, _BACKGROUND])):
            left -= height[:, None, None] * overlap_y[:, :, line, None] * overlap_x[:, None, line, :]
        factor = self._factors()
        gradient = np.stack([factor[k] * sum(left[:, b, a] for a, b in _PRODUCTS[k]) for k in free], axis=1)
        normal = self._normal(overlap_x, overlap_y, free)
        diagonal = np.einsum("nii->ni", normal)
        damped = normal + (_DAMPING * diagonal + 1e-9)[:, :, None] * np.eye(len(free))
        step = np.zeros_like(self.parameters)
        step[:, free] = np.linalg.solve(damped, gradient[:, :, None])[:, :, 0]
        return step

    def variances(self, patches: _Patches, neighbours: _Neighbours, free: list[int], wanted: list[int]) -> Array:
        """Variances of some parameters (n, wanted) by the Fisher information of the free ones, scaled by the residuals;
        NaN where undetermined.
        """
        n_atoms = len(self.parameters)
        theirs_x, theirs_y = self._neighbours_in(patches, neighbours)
        model = neighbours.sum(theirs_y[:, :, None] * theirs_x[:, None, :], n_atoms)
        own = self.along_y[:, 0, :, None] * self.along_x[:, 0, None, :]
        model += self.parameters[:, _HEIGHT, None, None] * own + self.parameters[:, _BACKGROUND, None, None]
        squares = (patches.weight * (patches.data - model) ** 2).sum(axis=(1, 2))
        freedom = patches.weight.sum(axis=(1, 2)) - len(free)
        normal = self._normal(_gram(self.along_x), _gram(self.along_y), free)
        determined = (freedom > 0) & (np.linalg.cond(normal + 1e-12 * np.eye(len(free))) < 1e12)
        variance = np.full((n_atoms, len(wanted)), np.nan)
        inverse = np.linalg.inv(normal[determined])
        spots = [free.index(parameter) for parameter in wanted]
        variance[determined] = inverse[:, spots, spots] * (squares[determined] / freedom[determined])[:, None]
        return variance

    def _neighbours_in(self, patches: _Patches, neighbours: _Neighbours) -> tuple[Array, Array]:
        """Gaussians of the neighbours along the lines of each atom's patch (m, side), the heights in those along y."""
        mine, other = neighbours.mine, neighbours.other
        inverse = 1 / self.width[other, None]
        x = (patches.column[mine] - self.parameters[other, _X, None]) * inverse
        y = (patches.row[mine] - self.parameters[other, _Y, None]) * inverse
        height = self.parameters[other, _HEIGHT, None]
        return (
            np.exp(-0.5 * x**2) * patches.column_weight[mine],
            height * np.exp(-0.5 * y**2) * patches.row_weight[mine],
        )

    def _factors(self) -> dict[int, Array]:
        height, inverse = self.parameters[:, _HEIGHT], self.width**-2
        ones = np.ones_like(height)
        slope = height * inverse
        return {_HEIGHT: ones, _X: slope, _Y: slope, _LOG_WIDTH: slope, _BACKGROUND: ones}

    def _normal(self, overlap_x: Array, overlap_y: Array, free: list[int]) -> Array:
        """Sums of the products of each two derivatives over the patch (n, free, free)."""
        factor = self._factors()
        normal = np.empty((len(self.parameters), len(free), len(free)))
        for row, k in enumerate(free):
            for column, other in enumerate(free[: row + 1]):
                total = sum(
                    overlap_x[:, a, c] * overlap_y[:, b, d] for a, b in _PRODUCTS[k] for c, d in _PRODUCTS[other]
                )
                normal[:, row, column] = normal[:, column, row] = factor[k] * factor[other] * total
        return normal


def _lines(at: Array, centre: Array, width: Array, weight: Array) -> Array:
    """Distances to the powers 0, 1 and 2 times a Gaussian, and ones, along a line of pixels: (n, 4, side)."""
    distance = at - centre[:, None]
    gaussian = np.exp(-0.5 * (distance / width[:, None]) ** 2) * weight
    return np.stack([gaussian, distance * gaussian, distance**2 * gaussian, weight], axis=1)


def _gram(lines: Array) -> Array:
    """Sums of the products of each two lines (n, 4, 4)."""
    products: Array = lines @ lines.transpose(0, 2, 1)
    return products
