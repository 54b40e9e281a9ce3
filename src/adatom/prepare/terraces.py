"""Terraces: take a step through an image out of it, up to its very edge.

Beside a step that is higher than the atoms no local mean is right: it sees both terraces. So the step itself is fitted
and subtracted, but only what surely is one: it parts the image into two terraces far larger than an atom and of like
corrugation, and its edge is narrow and of one height all along. All else stays as it is: islands, slopes, hills,
contamination, the border of a crystal.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.prepare.level import level_plane
from adatom.prepare.step_edge import Step, fit_step

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_STEPS = 5
_SMALLEST_SIDE = 24  # px; less shows no terraces

# Terraces are looked for in an image of so many cells a side, smoothed by so many cells: it hardly knows the atoms.
_CELLS, _SMOOTHING = 64, 2.0
_LEAST_KNOWN = 0.3  # of the image
_LEAST_SHARE = 0.1  # of the image, that a terrace covers
_CRUMBS = 0.1  # of the image that may be in smaller pieces
_LEVELS = 17  # heights between the terraces that are tried for the middle of the step
# So smoothed, the image rises from cell to cell at a step by 0.2 of what it rises within five cells to both sides (0.15
# if the edge is oblique or a cell wide), on a slope by 0.1.
_LEAST_RISE, _BESIDE = 0.13, 5
_PROMINENCE = 5.5  # of that rise over the median one: what atoms, noise and waves leave is rarely above 3
_FEWEST_CROSSINGS = 6


def flatten_terraces(values: Array) -> Array:
    """Bring the terraces of an image to one height.

    Parameters
    ----------
    values : (y, x) from `level_plane`; not yet from `level_lines`, which a step nearly along the lines misleads. NaN
        where nothing was measured.

    Returns
    -------
    (y, x) without its steps, its plane levelled anew, for a step misleads that as well; the very same `values` where
    there is none.
    """
    flat = values
    for _ in range(_MOST_STEPS):
        step = _find_step(flat)
        if step is None:
            break
        flat = step.taken_from(flat)
    return values if flat is values else level_plane(flat)


def _find_step(values: Array) -> Step | None:
    """The clearest step of an image."""
    if min(values.shape) < _SMALLEST_SIDE:
        return None
    cell = max(1, round(max(values.shape) / _CELLS))
    coarse = _coarse(values, cell)
    if coarse is None:
        return None
    # Levelling left a tilt: steps touch many of the differences that it takes. They touch few of shorter ones, and
    # these are true where atoms are averaged out.
    slopes = [_most_common(part[2:] - part[:-2]) / 2 for part in (coarse, coarse.T)]
    found = _find_contour(coarse - _plane(slopes, coarse.shape))
    if found is None:
        return None
    row, column, along_x = found
    if along_x:
        values, slopes = values.T, slopes[::-1]
    plane = _plane([slope / cell for slope in slopes], values.shape)
    return fit_step(values - plane, (row + 0.5) * cell - 0.5, (column + 0.5) * cell - 0.5, cell, along_x)


def _coarse(values: Array, cell: int) -> Array | None:
    """Means over cells, smoothed; NaN where most of a cell is unmeasured, None where most cells are."""
    means = _sums(values, cell) / cell**2
    if np.isfinite(means).all():
        return _smoothed(means)
    n = _sums(np.isfinite(values).astype(float), cell)
    known = n > 0.5 * cell**2
    if known.mean() < _LEAST_KNOWN:
        return None
    means = np.where(known, _sums(np.nan_to_num(values), cell) / np.maximum(n, 1), 0.0)
    return np.where(known, _smoothed(means) / np.maximum(_smoothed(known.astype(float)), 1e-6), np.nan)


def _smoothed(coarse: Array) -> Array:
    smooth: Array = ndimage.gaussian_filter(coarse, _SMOOTHING, truncate=3)
    return smooth


def _most_common(values: Array) -> float:
    """Mean of the half of the values that are closest to each other: unlike a median not moved by a one-sided tail."""
    ordered = np.sort(values[np.isfinite(values)])
    half = len(ordered) // 2
    if not half:
        return 0.0
    first = int((ordered[half:] - ordered[:-half]).argmin())
    return float(ordered[first : first + half + 1].mean())


def _plane(slopes: list[float], shape: tuple[int, ...]) -> Array:
    plane: Array = slopes[0] * np.arange(shape[0])[:, None] + slopes[1] * np.arange(shape[1])
    return plane


def _sums(values: Array, cell: int) -> Array:
    """Sums over cells; what is left at the end of rows and columns is left out."""
    rows, columns = (n // cell for n in values.shape)
    sums: Array = values[: rows * cell, : columns * cell].reshape(rows, cell, -1).sum(axis=1)
    sums = sums.reshape(rows, columns, cell).sum(axis=2)
    return sums


def _find_contour(coarse: Array) -> tuple[Array, Array, bool] | None:
    """Rows and columns of the line along which a coarse image falls most steeply from one terrace to the next.

    The line crosses each row once at most, or each column: then rows and columns change places, and the last is true.
    None where there is no such line, or no level parts the image into few pieces.
    """
    known = np.isfinite(coarse)
    least = _LEAST_SHARE * known.sum()
    low, high = np.quantile(coarse[known], [_LEAST_SHARE, 1 - _LEAST_SHARE])
    if not high > low:
        return None
    levels = np.linspace(low, high, _LEVELS + 2)[1:-1]
    pairs = [(coarse[:-1], coarse[1:]), (coarse[:, :-1], coarse[:, 1:])]
    lower = np.concatenate([np.minimum(*pair).ravel() for pair in pairs])  # NaN if one is
    higher = np.concatenate([np.maximum(*pair).ravel() for pair in pairs])
    crosses = ((lower < levels[:, None]) & (higher >= levels[:, None])).astype(float)  # (level, pair)
    rises = crosses @ np.nan_to_num(higher - lower) / np.maximum(crosses.sum(axis=1), 1)
    level = levels[rises.argmax()]
    above, below = known & (coarse >= level), known & (coarse < level)
    pieces = _large_pieces(above, least) + _large_pieces(below, least)
    if sum(piece.sum() for piece in pieces) < (1 - _CRUMBS) * known.sum():
        return None
    borders = [_border(one, other) for one, other in combinations(pieces, 2)]
    if not borders:
        return None
    along_y, along_x = max(borders, key=lambda border: sum(part.sum() for part in border))
    is_turned = bool(along_x.sum() > along_y.sum())
    lines, crossing = (coarse.T, along_x.T) if is_turned else (coarse, along_y)
    times = crossing.sum(axis=1)
    if (times == 1).sum() < max(_FEWEST_CROSSINGS, 10 * (times > 1).sum()):
        return None
    row, column = np.nonzero(crossing & (times == 1)[:, None])
    before, after = lines[row, column], lines[row, column + 1]
    ends = [np.clip(column + far, 0, lines.shape[1] - 1) for far in (-_BESIDE, _BESIDE + 1)]
    beside = np.abs(lines[row, ends[1]] - lines[row, ends[0]])
    if not np.isfinite(beside).any():  # all of the line is at what was not measured
        return None
    rise, rise_beside = float(np.mean(np.abs(after - before))), float(np.nanmean(beside))
    if rise < _LEAST_RISE * rise_beside or rise < _PROMINENCE * float(np.nanmedian(higher - lower)):
        return None
    place = column + (level - before) / (after - before)
    margin = 2 * _SMOOTHING  # a smoothed line bends where it meets the border
    inner = (place > margin) & (place < lines.shape[1] - 1 - margin)
    inner &= (row > margin) & (row < lines.shape[0] - 1 - margin)
    return (row[inner], place[inner], is_turned) if inner.sum() >= _FEWEST_CROSSINGS else None


def _large_pieces(part: Mask, least: float) -> list[Mask]:
    """The pieces of a part of the image that have at least so many cells."""
    labels, _ = ndimage.label(part)
    return [labels == k for k in np.flatnonzero(np.bincount(labels.ravel()) >= least) if k]


def _border(one: Mask, other: Mask) -> tuple[Mask, Mask]:
    """Cells from which the next in the row, and the next in the column, belongs to the other of two pieces."""
    return (one[:, :-1] & other[:, 1:]) | (other[:, :-1] & one[:, 1:]), (one[:-1] & other[1:]) | (other[:-1] & one[1:])
