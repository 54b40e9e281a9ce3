"""Gaussians of one shape fitted to an image by likelihood, overlapping ones together, and what that says of each."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bsr_array
from scipy.sparse.linalg import LinearOperator, cg
from scipy.spatial import cKDTree
from threadpoolctl import ThreadpoolController

from adatom.locate.gaussians import AT_ONCE, HEIGHT, Lines, Patches, Peaks, X, Y, render_steps, slope_of

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_REACH = 5.0  # widths: further atoms do not change each other's errors
_DAMPING = 1e-3
_MOST_MOVED, _MOST_CHANGED = 0.7, 0.7  # widths, and share of a height, in a round
_HIGHEST = 20.0  # typical heights
_MOST_RESHAPED = 0.15  # share of the inverse covariance in a round


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


def add_up(peaks: Peaks, patches: Patches, left: list[Floats], weight: Floats) -> Sums:
    """Sums over all patches.

    Parameters
    ----------
    left : k images (y, x), the first what the model leaves.
    weight : (y, x) one over the variance of the noise.
    """
    n = len(peaks.height)
    moments, answers = np.empty((n, 3, 3)), np.empty((len(left), n, 2, 2))  # sums by powers of dy and dx
    chi2, n_pixels = np.empty(n), np.empty(n)
    for rows in patches.chunks():
        lines = Lines.of(peaks, patches, rows)
        weights = patches.taken(weight, rows)
        moments[rows] = lines.twice(weights)
        for number, image in enumerate(left):
            taken = image.ravel()[patches.index[rows]]
            weighted = weights * taken
            if number == 0:
                chi2[rows] = np.einsum("nyx,nyx->n", weighted, taken)
            answers[number, rows] = lines.once(weighted)
        n_pixels[rows] = np.count_nonzero(weights, axis=(1, 2))
    # a derivative by x is the Gaussian times a sum of dx and dy, and so is one by y
    (xx, xy), (_, yy) = slope_of(peaks, 0), slope_of(peaks, 1)
    gradient = np.empty((n, 3, len(left)))
    gradient[:, HEIGHT] = answers[:, :, 0, 0].T
    for row, (by_dx, by_dy) in ((X, (xx, xy)), (Y, (xy, yy))):
        gradient[:, row] = (by_dx * answers[:, :, 0, 1] + by_dy * answers[:, :, 1, 0]).T
    normal = np.empty((n, 3, 3))
    normal[:, HEIGHT, HEIGHT] = moments[:, 0, 0]
    for row, (by_dx, by_dy) in ((X, (xx, xy)), (Y, (xy, yy))):
        normal[:, HEIGHT, row] = normal[:, row, HEIGHT] = by_dx * moments[:, 0, 1] + by_dy * moments[:, 1, 0]
        normal[:, row, row] = by_dx**2 * moments[:, 0, 2] + 2 * by_dx * by_dy * moments[:, 1, 1]
        normal[:, row, row] += by_dy**2 * moments[:, 2, 0]
    mixed = xx * xy * moments[:, 0, 2] + (xx * yy + xy**2) * moments[:, 1, 1] + xy * yy * moments[:, 2, 0]
    normal[:, X, Y] = normal[:, Y, X] = mixed
    return Sums(normal, gradient, chi2 / np.maximum(n_pixels - 3, 1), n_pixels)


def couple(peaks: Peaks, patches: Patches, pairs: Pairs, weight: Floats) -> Array:
    """Fisher information (m, 3, 3) between height, x and y of the two atoms of each pair, in the patch of the first."""
    blocks = np.zeros((len(pairs.mine), 3, 3))
    xx, _, yy = peaks.shape  # the ellipse's turn matters little for how sure a neighbour is
    (mine_xx, mine_xy), (_, mine_yy) = slope_of(peaks, 0), slope_of(peaks, 1)
    for rows in patches.chunks():
        some = slice(*np.searchsorted(pairs.mine, [rows.start, min(rows.stop, len(peaks.height))]))
        if some.start == some.stop:
            continue
        lines = Lines.of(peaks, patches, rows)
        weights = patches.taken(weight, rows)
        if lines.table is not None:
            weights *= lines.table
        side = patches.column.shape[1]
        step = max(1, AT_ONCE // (side * side))
        for first in range(some.start, some.stop, step):
            at = slice(first, min(first + step, some.stop))
            mine, other = pairs.mine[at], pairs.other[at]
            local = mine - rows.start
            theirs = []
            for axis, (narrow, place) in enumerate(((xx, patches.column), (yy, patches.row))):
                d = (place[mine] - peaks.position[other, axis, None]).astype(np.float32)
                reached = (place[mine] >= place[other, :1]) & (place[mine] <= place[other, -1:])
                bell = np.exp(np.float32(-0.5 * narrow) * d * d) * reached
                theirs.append((bell, np.float32(narrow) * d * bell))
            along_x, along_y = (
                # the Gaussian of the one (by the power of its distance) times that of the other (and its slope)
                np.stack([own[local, power] * bell for power in (0, 1) for bell in both], axis=1)  # (m, 4, side)
                for own, both in zip((lines.x, lines.y), theirs, strict=True)
            )
            sums = (along_y @ weights[local] @ along_x.transpose(0, 2, 1)).reshape(-1, 2, 2, 2, 2)
            # by dy of mine, slope along y of the other, dx of mine, slope along x of the other
            height = peaks.height[other]
            for column, values in (
                (HEIGHT, sums[:, :, 0, :, 0]),
                (X, height[:, None, None] * sums[:, :, 0, :, 1]),
                (Y, height[:, None, None] * sums[:, :, 1, :, 0]),
            ):
                blocks[at, HEIGHT, column] = values[:, 0, 0]
                blocks[at, X, column] = mine_xx[mine] * values[:, 0, 1] + mine_xy[mine] * values[:, 1, 0]
                blocks[at, Y, column] = mine_xy[mine] * values[:, 0, 1] + mine_yy[mine] * values[:, 1, 0]
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
    step[:, HEIGHT] = np.clip(step[:, HEIGHT], -most, most)
    step[:, HEIGHT] = np.clip(peaks.height + step[:, HEIGHT], 0.0, _HIGHEST * typical) - peaks.height
    farthest = _MOST_MOVED * peaks.width
    step[:, X:] = np.clip(step[:, X:], -farthest, farthest)
    return replace(peaks, height=peaks.height + step[:, HEIGHT], position=peaks.position + step[:, X:])


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
    result[seen[determined]] = (np.einsum("nii->ni", inverse) / size[determined] ** 2)[:, X:]
    return result


def row_information(peaks: Peaks, patches: Patches, weight: Floats, axis: int) -> Array:
    """Fisher information (n, side) on the atom's coordinate along `axis` (0: x, 1: y) in each line of its patch along
    that axis, that is, in each row or column.
    """
    information = np.empty(patches.row.shape)
    by_dx, by_dy = slope_of(peaks, axis)
    for rows in patches.chunks():
        slope = Lines.of(peaks, patches, rows).patch([(by_dx[rows], 1, 0), (by_dy[rows], 0, 1)])
        information[rows] = (slope**2 * patches.taken(weight, rows)).sum(axis=2 - axis)
    return information


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
