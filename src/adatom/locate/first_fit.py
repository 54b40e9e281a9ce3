"""A first, fast fit of all atoms at once: starts for the likelihood fit, one width for all, and where no atom is.

Damped Gauss-Newton least squares without weights; in each round neighbours are subtracted as the round before left
them. A round Gaussian is a product of one along x and one along y. So are its derivatives, and so is the overlap of two
of them: all sums over pixels, but those with the image itself, are products of sums along lines.
"""

from dataclasses import dataclass, fields
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

Array = NDArray[np.float64]
# Sums over a patch need no more digits than its pixels have; parameters and pixel coordinates keep theirs.
Floats = NDArray[np.float32]

_ROUNDS = 24  # of moving all atoms at once, at most
# Before, this many rounds of so many atoms in the middle, with a width of its own for each: then there is one for all.
_FREE_WIDTH, _TELLING = 5, 400
_SETTLED = 2e-3  # of the spacing: when hardly an atom moves further, all are done
_DAMPING = 0.02
_HALF_SIDE = 0.55  # of the fitted square, in spacings
_NEIGHBOURS = 1.6  # atoms so many spacings away still reach in
# Widest and narrowest Gaussian, in spacings. Wider peaks would hardly be resolved from their neighbours, and without
# the limit the fit of a dense lattice creeps: a wider peak, more of it subtracted next door, a wider peak there.
_WIDEST, _NARROWEST = 0.33, 0.05
_LEAST_HEIGHT = 0.1  # of an atom, in those of its brighter fellows
_SURELY, _A_KIND = 3.0, 0.15  # of low peaks: so many standard deviations high, and so large a share of all atoms
_MOST_WIDER = 0.35  # a change of the logarithm of the width in a round
_HEIGHT, _X, _Y, _LOG_WIDTH, _BACKGROUND = range(5)
_ALL = [_HEIGHT, _X, _Y, _LOG_WIDTH, _BACKGROUND]
_ONE_WIDTH = [_HEIGHT, _X, _Y, _BACKGROUND]
# A derivative of the model by a parameter is a sum of products of a line along x and a line along y, by their numbers
# in `_lines`, times a factor that `_factors` knows.
_ONES = 3
_PRODUCTS = {_HEIGHT: [(0, 0)], _X: [(1, 0)], _Y: [(0, 1)], _LOG_WIDTH: [(2, 0), (0, 2)], _BACKGROUND: [(_ONES, _ONES)]}


@dataclass(frozen=True)
class FirstFit:
    """Round Gaussians of one width.

    Attributes
    ----------
    height : (n,) of the peaks, in units of `values`.
    position : (n, 2) x, y [px].
    variance : (n, 2) of the position, by the Fisher information scaled by the residuals; NaN where undetermined.
    width : standard deviation of all peaks [px].
    empty : (n,) bool: the image shows that there is no peak at the start.
    """

    height: Array
    position: Array
    variance: Array
    width: float
    empty: NDArray[np.bool_]


def fit_first(values: Array, start: Array, *, spacing_px: float) -> FirstFit:
    """Fit each atom with a Gaussian on a constant background, its neighbours subtracted.

    Parameters
    ----------
    values : (y, x) image, its slow background subtracted; NaN where nothing was measured.
    start : (n, 2) positions x, y [px]; at least one.
    spacing_px : typical distance of neighbours [px]; 1.1 of it is the side of the fitted square.

    Notes
    -----
    All have one width, the median of those that some in the middle have on their own: one instrument, one width, and at
    low dose a free width follows the noise. Where a peak at the start, of the common width, would have a height that is
    surely below a small share of its kind's, the image says that there is none: a vacancy in a lattice, say.
    """
    n_atoms = len(start)
    known = np.isfinite(values)
    level, scale = (float(of(values[known])) if known.any() else 0.0 for of in (np.mean, np.std))
    data = ((values - level) / (scale or 1.0)).astype(np.float32)  # numbers near 1: fits do not care for units
    data[~known] = 0.0

    patches = _Patches.around(start, data, known, max(2, round(_HALF_SIDE * spacing_px)))
    neighbours = _Neighbours.around(start, _NEIGHBOURS * spacing_px)
    ordered = np.sort(patches.data.reshape(n_atoms, -1), axis=1)
    low, high = (ordered[:, int(share * (ordered.shape[1] - 1))].astype(float) for share in (0.1, 0.95))
    parameters = np.column_stack(
        [np.maximum(high - low, 1e-3), start, np.full(n_atoms, np.log(0.27 * spacing_px)), low]
    )
    parameters[:, _LOG_WIDTH] = _common_width(parameters, start, patches, neighbours, spacing_px)
    for _ in range(_ROUNDS):
        before = parameters
        parameters = _moved(before, start, patches, neighbours, _ONE_WIDTH, spacing_px)
        if np.quantile(np.abs(parameters - before)[:, [_X, _Y]], 0.9) < _SETTLED * spacing_px:
            break
    return FirstFit(
        height=parameters[:, _HEIGHT] * (scale or 1.0),
        position=parameters[:, [_X, _Y]],
        variance=_Fit.at(parameters, parameters, patches).variances(patches, neighbours, _ONE_WIDTH, [_X, _Y]),
        width=float(np.exp(parameters[0, _LOG_WIDTH])),
        empty=_empty(parameters, start, patches, neighbours),
    )


def _common_width(
    parameters: Array, start: Array, patches: "_Patches", neighbours: "_Neighbours", spacing_px: float
) -> float:
    """Logarithm of the median width of some atoms in the middle, each fitted with its own."""
    central = np.argsort(np.hypot(*(start - np.median(start, axis=0)).T), kind="stable")
    rows = central[:_TELLING]
    parameters, start = parameters[rows], start[rows]
    patches, neighbours = patches.of(rows), neighbours.within(rows)
    for _ in range(_FREE_WIDTH):
        parameters = _moved(parameters, start, patches, neighbours, _ALL, spacing_px)
    # the outer ones have neighbours that were left out
    inner = parameters if len(rows) == len(central) else parameters[: _TELLING // 2]
    return float(np.median(inner[:, _LOG_WIDTH]))


def _moved(
    parameters: Array,
    start: Array,
    patches: "_Patches",
    neighbours: "_Neighbours",
    free: list[int],
    spacing_px: float,
) -> Array:
    """Parameters after a round of the fit, within their limits."""
    step = _Fit.at(parameters, parameters, patches).step(patches, neighbours, free)
    farthest = 0.15 * spacing_px
    step[:, [_X, _Y]] = np.clip(step[:, [_X, _Y]], -farthest, farthest)
    step[:, _LOG_WIDTH] = np.clip(step[:, _LOG_WIDTH], -_MOST_WIDER, _MOST_WIDER)
    moved: Array = parameters + step
    # far off, a Gaussian no longer feels its atom
    moved[:, [_X, _Y]] = np.clip(moved[:, [_X, _Y]], start - 0.5 * spacing_px, start + 0.5 * spacing_px)
    narrowest, widest = np.log(_NARROWEST * spacing_px), np.log(_WIDEST * spacing_px)
    moved[:, _LOG_WIDTH] = np.clip(moved[:, _LOG_WIDTH], narrowest, widest)
    return moved


def _empty(parameters: Array, start: Array, patches: "_Patches", neighbours: "_Neighbours") -> NDArray[np.bool_]:
    """Where a peak at the start would be surely too low to be one."""
    typical = float(np.quantile(parameters[:, _HEIGHT], 0.75))
    suspects = parameters[:, _HEIGHT] < 0.5 * typical
    suspects |= np.hypot(*(parameters[:, [_X, _Y]] - start).T) > np.exp(parameters[:, _LOG_WIDTH])
    if not suspects.any() or typical <= 0:
        return np.zeros(len(start), dtype=bool)
    rows = np.flatnonzero(suspects)
    patches, neighbours = patches.of(rows), neighbours.of(rows)
    everyone = parameters.copy()
    everyone[rows, _HEIGHT] = 0.0
    everyone[rows, _X : _Y + 1] = start[rows]
    free = [_HEIGHT, _BACKGROUND]
    for _ in range(3):
        everyone[rows] += _Fit.at(everyone[rows], everyone, patches).step(patches, neighbours, free)
    fit = _Fit.at(everyone[rows], everyone, patches)
    variance = fit.variances(patches, neighbours, free, [_HEIGHT])[:, 0]
    height, std = everyone[rows, _HEIGHT], np.sqrt(variance)
    empty, dim = np.zeros(len(start), dtype=bool), np.zeros(len(start), dtype=bool)
    empty[rows] = height + 2 * std < _LEAST_HEIGHT * typical
    dim[rows] = height > _SURELY * std
    # the odd spot in a vacancy is what the atoms around it leave there; many of them are a kind of light atoms
    if (empty & dim).sum() > _A_KIND * len(start):
        empty &= ~dim
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

    data: Floats
    weight: Floats
    row: Array
    column: Array
    row_weight: Floats
    column_weight: Floats

    @classmethod
    def around(cls, start: Array, data: Floats, known: NDArray[np.bool_], half: int) -> "_Patches":
        offsets = np.arange(-half, half + 1)
        row = np.round(start[:, 1]).astype(int)[:, None] + offsets
        column = np.round(start[:, 0]).astype(int)[:, None] + offsets
        in_rows = (row >= 0) & (row < data.shape[0])
        in_columns = (column >= 0) & (column < data.shape[1])
        index = np.clip(row, 0, data.shape[0] - 1)[:, :, None], np.clip(column, 0, data.shape[1] - 1)[:, None, :]
        inside = in_rows[:, :, None] & in_columns[:, None, :]
        if not known.all():
            inside &= known[index]
        weight = inside.astype(np.float32)
        return cls(
            data[index] * weight,
            weight,
            row.astype(float),
            column.astype(float),
            inside.any(axis=2).astype(np.float32),
            inside.any(axis=1).astype(np.float32),
        )

    @property
    def side(self) -> int:
        return self.column.shape[1]

    def of(self, rows: NDArray[np.int64]) -> "_Patches":
        """Those of some atoms."""
        return _Patches(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class _Neighbours:
    """The neighbours of some atoms among all atoms.

    Attributes
    ----------
    mine : (m,) numbers among the some, ascending.
    other : (m,) numbers of their neighbours, among all.
    pairs_of : (n, m) a sparse matrix of ones: which of the pairs are those of each atom.
    """

    mine: NDArray[np.int64]
    other: NDArray[np.int64]
    pairs_of: csr_array

    @classmethod
    def around(cls, start: Array, reach: float) -> "_Neighbours":
        close = cKDTree(start).query_pairs(reach, output_type="ndarray").astype(np.int64)
        mine, other = np.concatenate([close, close[:, ::-1]]).T
        order = np.argsort(mine, kind="stable")
        return cls.sorted(mine[order], other[order], len(start))

    @classmethod
    def sorted(cls, mine: NDArray[np.int64], other: NDArray[np.int64], n: int) -> "_Neighbours":
        first = np.searchsorted(mine, np.arange(n + 1))
        ones = np.ones(len(mine), dtype=np.float32)
        return cls(mine, other, csr_array((ones, np.arange(len(mine)), first), shape=(n, len(mine))))

    def of(self, rows: NDArray[np.int64]) -> "_Neighbours":
        """Those of some atoms, which are counted anew."""
        number = self._number(rows)
        kept = number[self.mine] >= 0
        return _Neighbours.sorted(number[self.mine[kept]], self.other[kept], len(rows))

    def within(self, rows: NDArray[np.int64]) -> "_Neighbours":
        """Those of some atoms among themselves, all counted anew."""
        number = self._number(rows)
        mine, other = number[self.mine], number[self.other]
        kept = (mine >= 0) & (other >= 0)
        order = np.argsort(mine[kept], kind="stable")
        return _Neighbours.sorted(mine[kept][order], other[kept][order], len(rows))

    def _number(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each of all atoms among some of them, -1 for the others."""
        number = np.full(self.pairs_of.shape[0], -1)
        number[rows] = np.arange(len(rows))
        return number

    def sum(self, values: Floats) -> Floats:
        """Sum of what each pair has (m, ...) over the pairs of each atom (n, ...)."""
        total: Floats = self.pairs_of @ values.reshape(len(values), prod(values.shape[1:]))
        return total.reshape(len(total), *values.shape[1:])


@dataclass(frozen=True)
class _Fit:
    """A state of the fit.

    Attributes
    ----------
    parameters : (n, 5) of the atoms that are fitted.
    everyone : (all, 5) of these and their neighbours.
    width : (n,) of the peaks.
    along_x, along_y : (n, 4, side) lines that the sums of the fit are made of.
    """

    parameters: Array
    everyone: Array
    width: Array
    along_x: Floats
    along_y: Floats

    @classmethod
    def at(cls, parameters: Array, everyone: Array, patches: _Patches) -> "_Fit":
        width = np.exp(parameters[:, _LOG_WIDTH])
        return cls(
            parameters,
            everyone,
            width,
            _lines(patches.column, parameters[:, _X], width, patches.column_weight),
            _lines(patches.row, parameters[:, _Y], width, patches.row_weight),
        )

    def step(self, patches: _Patches, neighbours: _Neighbours, free: list[int]) -> Array:
        """The damped Gauss-Newton step of each atom (n, 5)."""
        # what is left of each patch, summed with each product of lines: (n, 4 along y, 4 along x)
        left = self.along_y @ patches.data @ self.along_x.transpose(0, 2, 1)
        theirs_x, theirs_y = self._neighbours_in(patches, neighbours)
        sums_x = np.einsum("mas,ms->ma", self.along_x[neighbours.mine], theirs_x)
        sums_y = np.einsum("mas,ms->ma", self.along_y[neighbours.mine], theirs_y)
        left -= neighbours.sum(sums_y[:, :, None] * sums_x[:, None, :])
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
        theirs_x, theirs_y = self._neighbours_in(patches, neighbours)
        model = neighbours.sum(theirs_y[:, :, None] * theirs_x[:, None, :])
        height, background = self.parameters[:, [_HEIGHT, _BACKGROUND]].astype(np.float32).T
        model += (height[:, None] * self.along_y[:, 0])[:, :, None] * self.along_x[:, 0, None, :]
        model += background[:, None, None]
        squares = (patches.weight * (patches.data - model) ** 2).sum(axis=(1, 2))
        freedom = patches.weight.sum(axis=(1, 2)) - len(free)
        normal = self._normal(_gram(self.along_x), _gram(self.along_y), free)
        size = np.sqrt(np.maximum(np.einsum("nii->ni", normal), 1e-30))
        determined = (freedom > 0) & (np.linalg.det(normal / (size[:, :, None] * size[:, None, :])) > 1e-9)
        variance = np.full((len(self.parameters), len(wanted)), np.nan)
        inverse = np.linalg.inv(normal[determined])
        spots = [free.index(parameter) for parameter in wanted]
        variance[determined] = inverse[:, spots, spots] * (squares[determined] / freedom[determined])[:, None]
        return variance

    def _neighbours_in(self, patches: _Patches, neighbours: _Neighbours) -> tuple[Floats, Floats]:
        """Gaussians of the neighbours along the lines of each atom's patch (m, side), the heights in those along y;
        also beyond the image.
        """
        mine, theirs = neighbours.mine, self.everyone[neighbours.other]
        inverse = np.exp(-theirs[:, _LOG_WIDTH])
        pixels = (inverse[:, None] * np.arange(patches.side)).astype(np.float32)  # along a line, in widths
        lines = []
        for first, at in ((patches.column[:, 0], theirs[:, _X]), (patches.row[:, 0], theirs[:, _Y])):
            nearest = ((first[mine] - at) * inverse).astype(np.float32)
            distance = nearest[:, None] + pixels
            lines.append(np.exp(-0.5 * distance * distance))
        return lines[0], theirs[:, _HEIGHT, None].astype(np.float32) * lines[1]

    def _factors(self) -> dict[int, Array]:
        height, inverse = self.parameters[:, _HEIGHT], self.width**-2
        ones = np.ones_like(height)
        slope = height * inverse
        return {_HEIGHT: ones, _X: slope, _Y: slope, _LOG_WIDTH: slope, _BACKGROUND: ones}

    def _normal(self, overlap_x: Floats, overlap_y: Floats, free: list[int]) -> Array:
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


def _lines(at: Array, centre: Array, width: Array, weight: Floats) -> Floats:
    """Distances to the powers 0, 1 and 2 times a Gaussian, and ones, along a line of pixels: (n, 4, side)."""
    distance = (at - centre[:, None]).astype(np.float32)
    gaussian = np.exp(-0.5 * (distance / width[:, None].astype(np.float32)) ** 2) * weight
    return np.stack([gaussian, distance * gaussian, distance**2 * gaussian, weight], axis=1)


def _gram(lines: Floats) -> Floats:
    """Sums of the products of each two lines (n, 4, 4)."""
    products: Floats = lines @ lines.transpose(0, 2, 1)
    return products
