"""Gaussians of one shape fitted to an image by likelihood, overlapping ones together, and what that says of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bsr_array
from scipy.sparse.linalg import LinearOperator, cg
from scipy.spatial import cKDTree
from threadpoolctl import ThreadpoolController

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_HALF = 3.5  # of the square around an atom, in widths: beyond is less than 0.3 % of its peak
_REACH = 5.0  # widths: further atoms do not change each other's errors
_AT_ONCE = 400_000  # pixels of patches, which stay in the processor's cache
_DAMPING = 1e-3
_MOST_MOVED, _MOST_CHANGED = 0.7, 0.7  # widths, and share of a height, in a round
_HIGHEST = 20.0  # typical heights
_MOST_RESHAPED = 0.15  # share of the inverse covariance in a round
_HEIGHT, _X, _Y = range(3)


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
    index : (n, side, side) of the pixels in the flattened image.
    inside : (n, side, side) bool: pixels that were measured.
    column, row : (n, side) coordinates.
    """

    index: Integers
    inside: NDArray[np.bool_]
    column: Integers
    row: Integers

    @classmethod
    def around(cls, position: Array, known: NDArray[np.bool_], width: float) -> "Patches":
        half = max(2, int(np.ceil(_HALF * width)))
        offsets = np.arange(-half, half + 1)
        column, row = (np.round(at).astype(np.int64)[:, None] + offsets for at in position.T)
        rows, columns = known.shape
        inside = ((row >= 0) & (row < rows))[:, :, None] & ((column >= 0) & (column < columns))[:, None, :]
        index = np.clip(row, 0, rows - 1)[:, :, None] * columns + np.clip(column, 0, columns - 1)[:, None, :]
        if not known.all():
            inside &= known.ravel()[index]
        return cls(index, inside, column, row)

    def chunks(self) -> Iterator[slice]:
        """Atoms to be dealt with at once."""
        step = max(1, _AT_ONCE // self.index[0].size)
        for first in range(0, len(self.index), step):
            yield slice(first, first + step)


@dataclass(frozen=True)
class Pairs:
    """Ordered pairs (mine, other) of atoms that overlap, sorted by the first; `reverse` is the pair (other, mine)."""

    mine: Integers
    other: Integers
    reverse: Integers

    @classmethod
    def within(cls, position: Array, width: float) -> "Pairs":
        close = cKDTree(position).query_pairs(_REACH * width, output_type="ndarray").astype(np.int64).reshape(-1, 2)
        mine, other = np.concatenate([close, close[:, ::-1]]).T
        order = np.lexsort((other, mine))
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        reverse = rank[(order + len(close)) % max(1, len(order))]
        return cls(mine[order], other[order], reverse)


@dataclass(frozen=True)
class Sums:
    """What a round of the fit adds up over the patches.

    Attributes
    ----------
    normal : (n, 3, 3) Fisher information of height, x and y of each atom alone.
    gradient : (n, 3, k) of the logarithm of the likelihood, for each of k images that may be left.
    chi2 : (n,) mean square of what is left in the first image, in units of the noise.
    n_pixels : (n,) that it is the mean of.
    """

    normal: Array
    gradient: Array
    chi2: Array
    n_pixels: Array


def render(peaks: Peaks, patches: Patches, shape: tuple[int, ...]) -> Array:
    """The image (y, x) of all peaks without background."""
    return _drawn(patches, shape, lambda rows: [_peak(peaks, _derivatives(peaks, patches, rows)[0], rows)])[0]


def render_slope(peaks: Peaks, patches: Patches, shape: tuple[int, ...], *, axis: int) -> Array:
    """The change (y, x) of the image of all peaks when all are shifted along an axis (0: x, 1: y)."""
    return _drawn(patches, shape, lambda rows: [_derivatives(peaks, patches, rows)[1 + axis]])[0]


def render_steps(peaks: Peaks, patches: Patches, shape: tuple[int, ...], steps: Array) -> list[Array]:
    """The changes (y, x) of the image of all peaks by k steps (n, 3, k) of height, x and y."""
    parts = steps.astype(np.float32).transpose(0, 2, 1)

    def changes(rows: slice) -> list[Floats]:
        lines = np.stack(_derivatives(peaks, patches, rows), axis=1)
        return list((parts[rows] @ lines.reshape(len(lines), 3, -1)).transpose(1, 0, 2))

    return _drawn(patches, shape, changes)


def render_reshaped(peaks: Peaks, patches: Patches, shape: tuple[int, ...]) -> list[Array]:
    """The changes (y, x) of the image of all peaks with the three numbers of the shape."""
    return _drawn(patches, shape, lambda rows: list(_by_shape(peaks, patches, rows).transpose(1, 0, 2, 3)))


def add_up(peaks: Peaks, patches: Patches, left: list[Floats], weight: Floats) -> Sums:
    """Sums over all patches.

    Parameters
    ----------
    left : k images (y, x), the first what the model leaves.
    weight : (y, x) one over the variance of the noise.
    """
    n = len(peaks.height)
    normal, gradient = np.empty((n, 3, 3)), np.empty((n, 3, len(left)))
    chi2, n_pixels = np.empty(n), np.empty(n)
    for rows in patches.chunks():
        design, weights = _design(peaks, patches, rows, weight)
        weighted = design * weights
        normal[rows] = weighted @ design.transpose(0, 2, 1)
        images = _gathered(patches, rows, left)
        gradient[rows] = weighted @ images.transpose(0, 2, 1)
        n_pixels[rows] = (weights > 0).sum(axis=(1, 2))
        chi2[rows] = np.einsum("np,np,np->n", weights[:, 0], images[:, 0], images[:, 0])
    return Sums(normal, gradient, chi2 / np.maximum(n_pixels - 3, 1), n_pixels)


def couple(peaks: Peaks, patches: Patches, pairs: Pairs, weight: Floats) -> Array:
    """Fisher information (m, 3, 3) between height, x and y of the two atoms of each pair, in the patch of the first."""
    blocks = np.zeros((len(pairs.mine), 3, 3))
    xx, _, yy = peaks.shape  # the ellipse's turn matters little for how sure an atom is
    for rows in patches.chunks():
        some = slice(*np.searchsorted(pairs.mine, [rows.start, min(rows.stop, len(peaks.height))]))
        mine, other = pairs.mine[some] - rows.start, pairs.other[some]
        if not len(mine):
            continue
        design, weights = _design(peaks, patches, rows, weight)
        lines = design * weights
        side = patches.column.shape[1]
        dx, dy = (
            (at[rows][mine] - peaks.position[other, axis, None]).astype(np.float32)
            for axis, at in enumerate((patches.column, patches.row))
        )
        along_x, along_y = (
            np.exp(-0.5 * narrow * d * d) * ((at[rows][mine] >= at[other, :1]) & (at[rows][mine] <= at[other, -1:]))
            for narrow, d, at in ((xx, dx, patches.column), (yy, dy, patches.row))
        )
        along_x, along_y = np.stack([along_x, xx * dx * along_x], 2), np.stack([along_y, yy * dy * along_y], 2)
        step = max(1, _AT_ONCE // (3 * side * side))
        for first in range(0, len(mine), step):
            part = slice(first, first + step)
            at_once = lines[mine[part]].reshape(-1, 3 * side, side) @ along_x[part]
            products = at_once.reshape(-1, 3, side, 2).transpose(0, 1, 3, 2) @ along_y[part][:, None]  # (m, 3, x, y)
            height = peaks.height[other[part], None]
            at = slice(some.start + part.start, some.start + min(part.stop, len(mine)))
            blocks[at, :, _HEIGHT] = products[:, :, 0, 0]
            blocks[at, :, _X], blocks[at, :, _Y] = height * products[:, :, 1, 0], height * products[:, :, 0, 1]
    return 0.5 * (blocks + blocks[pairs.reverse].transpose(0, 2, 1))  # equal but for rounding and the turn


def solve(sums: Sums, pairs: Pairs, blocks: Array, prior: Array) -> Array:
    """The joint steps (n, 3, k) of height, x and y that would leave no gradient, for each of k images.

    `prior` (n, 3) is information on height, x and y beside that of the image.
    """
    n, _, k = sums.gradient.shape
    own = sums.normal + (_DAMPING * np.einsum("nii->ni", sums.normal) + prior)[:, :, None] * np.eye(3)
    inverse = np.linalg.inv(own)
    steps: Array = inverse @ sums.gradient
    if not len(pairs.mine):
        return steps
    mine, other = np.concatenate([np.arange(n), pairs.mine]), np.concatenate([np.arange(n), pairs.other])
    order = np.lexsort((other, mine))
    first = np.searchsorted(mine[order], np.arange(n + 1))
    matrix = bsr_array((np.concatenate([own, blocks])[order], other[order], first), shape=(3 * n, 3 * n))
    alone = LinearOperator(
        (3 * n, 3 * n), lambda vector: np.einsum("nij,nj->ni", inverse, vector.reshape(n, 3)).ravel(), dtype=float
    )
    with _threads().limit(limits=1, user_api="blas"):  # to wake them takes longer than such short sums
        for number in range(k):
            wanted = sums.gradient[:, :, number].ravel()
            joint, _ = cg(matrix, wanted, x0=steps[:, :, number].ravel(), M=alone, rtol=1e-6, maxiter=200)
            if np.isfinite(joint).all():
                steps[:, :, number] = joint.reshape(n, 3)
    return steps


@cache
def _threads() -> ThreadpoolController:
    """The libraries that compute with threads; to look for them takes some milliseconds."""
    return ThreadpoolController()


def move(peaks: Peaks, step: Array) -> Peaks:
    """Peaks after a step (n, 3), which is kept within reason."""
    step = step.copy()
    typical = float(np.median(np.abs(peaks.height)))
    most = _MOST_CHANGED * np.maximum(np.abs(peaks.height), 0.3 * typical)
    step[:, _HEIGHT] = np.clip(step[:, _HEIGHT], -most, most)
    step[:, _HEIGHT] = np.clip(peaks.height + step[:, _HEIGHT], 0.0, _HIGHEST * typical) - peaks.height
    farthest = _MOST_MOVED * peaks.width
    step[:, _X:] = np.clip(step[:, _X:], -farthest, farthest)
    return replace(peaks, height=peaks.height + step[:, _HEIGHT], position=peaks.position + step[:, _X:])


def share(
    peaks: Peaks,
    patches: Patches,
    images: list[Floats],
    steps: Array,
    weight: Floats,
    telling: NDArray[np.bool_],
) -> tuple[Array, Array, Floats, Floats]:
    """The step when what all peaks share, shape and level of the background, is free too.

    Parameters
    ----------
    images : what the model leaves, how it changes with the level and, where it is free, with the numbers of the shape.
    steps : (n, 3, k) of height, x and y that answer each of these images.
    telling : (y, x) the pixels that tell shape and level.

    Returns
    -------
    The step (n, 3) of height, x and y; the step (k - 1,) of level and shape; what all these steps leave (y, x); and
    what heights and positions leave of a level of 1 (y, x).

    Notes
    -----
    Heights and positions answer to a change of the shape: only what they cannot make good tells the shape. Else the fit
    of a dense lattice creeps: a wider peak, more of it subtracted next door, a wider peak there.
    """
    answers = render_steps(peaks, patches, images[0].shape, steps)
    rest = [image - answer.astype(np.float32) for image, answer in zip(images, answers, strict=True)]
    score = np.stack([(image * weight)[telling] for image in rest[1:]])
    total = (score @ np.stack([image[telling] for image in rest], axis=1)).astype(float)
    size = np.sqrt(np.maximum(np.diag(total[:, 1:]), 1e-300))
    change = np.linalg.lstsq(total[:, 1:] / size / size[:, None], total[:, 0] / size, rcond=1e-9)[0] / size
    most = _MOST_RESHAPED * peaks.width**-2
    change[1:] = np.clip(change[1:], -most, most)
    change[0] = (total[0, 0] - total[0, 2:] @ change[1:]) / (total[0, 1] or 1.0)  # the level that this shape asks for
    left = rest[0] - sum(np.float32(size) * image for size, image in zip(change, rest[1:], strict=True))
    return steps[:, :, 0] - steps[:, :, 1:] @ change, change, left, rest[1]


def variances(sums: Sums, pairs: Pairs, blocks: Array) -> Array:
    """Variances (n, 2) of x and y by the Fisher information, neighbours as unknown as the atom; NaN if undetermined.

    Notes
    -----
    The information of the neighbours, less what their own neighbours take of it, is eliminated by Schur complements:
    exact for chains, and near enough for lattices, where the next order is small.
    """
    cut = _reduced(sums.normal, sums.normal[pairs.other], pairs, blocks, len(sums.normal))
    theirs = cut[pairs.other] + _taken(sums.normal[pairs.mine], blocks[pairs.reverse])  # without the atom itself
    information = _reduced(sums.normal, theirs, pairs, blocks, len(sums.normal))
    diagonal = np.einsum("nii->ni", information)
    result = np.full((len(information), 2), np.nan)
    seen = np.flatnonzero((diagonal > 1e-9 * np.median(np.abs(diagonal), axis=0)).all(axis=1))
    size = np.sqrt(diagonal[seen])
    scaled = information[seen] / (size[:, :, None] * size[:, None, :])
    determined = np.linalg.det(scaled) > 1e-6
    inverse = np.linalg.inv(scaled[determined])
    result[seen[determined]] = (np.einsum("nii->ni", inverse) / size[determined] ** 2)[:, _X:]
    return result


def row_information(peaks: Peaks, patches: Patches, weight: Floats, axis: int) -> Array:
    """Fisher information (n, side) on the atom's coordinate along `axis` (0: x, 1: y) in each line of its patch along
    that axis, that is, in each row or column.
    """
    information = np.empty(patches.row.shape)
    for rows in patches.chunks():
        design, weights = _design(peaks, patches, rows, weight)
        each = (design[:, 1 + axis] ** 2 * weights[:, 0]).reshape(len(design), *patches.index.shape[1:])
        information[rows] = each.sum(axis=2 - axis)
    return information


def _distances(peaks: Peaks, patches: Patches, rows: slice) -> tuple[Floats, Floats]:
    dx, dy = (
        (at[rows] - peaks.position[rows, axis, None]).astype(np.float32)
        for axis, at in enumerate((patches.column, patches.row))
    )
    return dx[:, None, :], dy[:, :, None]


def _derivatives(peaks: Peaks, patches: Patches, rows: slice) -> tuple[Floats, Floats, Floats]:
    """Of the model by height, x and y: (n, side, side) each, 0 where nothing was measured."""
    dx, dy = _distances(peaks, patches, rows)
    xx, xy, yy = (np.float32(value) for value in peaks.shape)
    gaussian = np.exp(-0.5 * xx * dx * dx) * np.exp(-0.5 * yy * dy * dy)
    if xy:
        gaussian *= np.exp(-xy * dx * dy)
    gaussian *= patches.inside[rows]
    peak = peaks.height[rows, None, None].astype(np.float32) * gaussian
    return gaussian, (xx * dx + xy * dy) * peak, (xy * dx + yy * dy) * peak


def _by_shape(peaks: Peaks, patches: Patches, rows: slice) -> Floats:
    """Derivatives (n, 3, side, side) of each peak by the numbers of the shape."""
    dx, dy = _distances(peaks, patches, rows)
    peak = _peak(peaks, _derivatives(peaks, patches, rows)[0], rows)
    return np.stack([-0.5 * dx * dx * peak, -dx * dy * peak, -0.5 * dy * dy * peak], axis=1)


def _peak(peaks: Peaks, gaussian: Floats, rows: slice) -> Floats:
    peak: Floats = peaks.height[rows, None, None].astype(np.float32) * gaussian
    return peak


def _design(peaks: Peaks, patches: Patches, rows: slice, weight: Floats) -> tuple[Floats, Floats]:
    """Derivatives by height, x and y (n, 3, pixel), and weights (n, 1, pixel)."""
    design = np.stack([line.reshape(len(line), -1) for line in _derivatives(peaks, patches, rows)], axis=1)
    return design, _weights(patches, rows, weight)


def _weights(patches: Patches, rows: slice, weight: Floats) -> Floats:
    weights = weight.ravel()[patches.index[rows]] * patches.inside[rows]
    return weights.reshape(len(weights), 1, -1)


def _gathered(patches: Patches, rows: slice, images: list[Floats]) -> Floats:
    """Images in the patches (n, k, pixel)."""
    index = patches.index[rows].reshape(-1, patches.index[0].size)
    return np.stack([image.ravel()[index] for image in images], axis=1)


def _drawn(patches: Patches, shape: tuple[int, ...], parts: Callable[[slice], list[Floats]]) -> list[Array]:
    """Sums (y, x) of what each patch shows of each of some images."""
    totals: list[Array] = []
    size = int(np.prod(shape))
    for rows in patches.chunks():
        index = patches.index[rows].ravel()
        for k, part in enumerate(parts(rows)):
            if k == len(totals):
                totals.append(np.zeros(size))
            # around few atoms only a part of the image changes
            first, last = int(index.min()), int(index.max())
            totals[k][first : last + 1] += np.bincount(index - first, part.ravel())
    return [total.reshape(shape) for total in totals]


def _taken(theirs: Array, blocks: Array) -> Array:
    """What a neighbour's being unknown takes of an atom's information (m, 3, 3)."""
    safe = theirs + (1e-9 * np.einsum("nii->n", theirs) + 1e-12)[:, None, None] * np.eye(3)
    taken: Array = blocks @ np.linalg.solve(safe, blocks.transpose(0, 2, 1))
    return taken


def _reduced(normal: Array, theirs: Array, pairs: Pairs, blocks: Array, n: int) -> Array:
    """Information of each atom (n, 3, 3) after its neighbours, which have `theirs` (m, 3, 3), were eliminated."""
    if not len(pairs.mine):
        return normal
    taken = _taken(theirs, blocks).reshape(len(blocks), 9)
    total = np.column_stack([np.bincount(pairs.mine, column, minlength=n) for column in taken.T])
    return normal - total.reshape(n, 3, 3)
