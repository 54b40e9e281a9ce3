"""Twins: pieces of one crystal whose bonds point much the same way, but are the longer in another direction.

Bond-orientational order does not see them: in both parts of a gold twin along [110], atoms have six neighbours at
nearly the same angles. What differs is which of the three rows is the widest.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from adatom.analyse.neighbours import Neighbours

Array = NDArray[np.float64]

# Two kinds are apart by so much of the anisotropy, and by so many of its standard deviations within each: of one that
# changes steadily across a grain, halves are apart by 3.5.
_LEAST_APART, _LEAST_DEVIATIONS = 0.08, 4.0
_ROUNDS = 30


def anisotropy(neighbours: Neighbours) -> NDArray[np.complex128]:
    """How far, and in which direction, an atom's neighbours are farther away than in the others.

    Returns
    -------
    (n,) complex, sum of (x + i y)^2 over the atom's bonds and those of its neighbours, over that of their squared
    lengths: 0 for a square or a regular hexagon. Atoms of another than the usual coordination are left out of it; NaN
    where none remains.
    """
    usual = np.bincount(neighbours.coordination).argmax() if neighbours.n_atoms else 0
    whole = neighbours.coordination == usual
    step = neighbours.vector[:, 0] + 1j * neighbours.vector[:, 1]
    squares = np.where(whole, neighbours.sum(step**2), 0)
    lengths = np.where(whole, neighbours.sum(neighbours.length**2), 0.0)
    squares = squares + neighbours.sum(squares[neighbours.second])
    lengths = lengths + neighbours.sum(lengths[neighbours.second])
    return np.divide(squares, lengths, out=np.full(len(squares), np.nan, dtype=complex), where=lengths > 0)


def part_twins(neighbours: Neighbours, grain: NDArray[np.int64], *, fewest_atoms: int) -> NDArray[np.int64]:
    """Part grains whose atoms are of two kinds of anisotropy, each in pieces of its own.

    Parameters
    ----------
    grain : (n,) number of each atom's grain from 0, -1 for atoms of none.
    fewest_atoms : of a piece.

    Returns
    -------
    (n,) numbers, of which new ones follow the old; -1 too for atoms of pieces that are too small.
    """
    values = anisotropy(neighbours)
    grain, waiting = grain.copy(), list(range(int(grain.max(initial=-1)) + 1))
    while waiting:
        number = waiting.pop()
        mine = np.flatnonzero((grain == number) & np.isfinite(values))
        if len(mine) < 2 * fewest_atoms:
            continue
        second = _two_kinds(values[mine])
        if second is None:
            continue
        kind = np.full(len(grain), -1)
        kind[mine] = second
        pieces = _pieces(neighbours, kind, fewest_atoms)
        if len({int(kind[piece[0]]) for piece in pieces}) < 2:
            continue
        grain[grain == number] = -1
        following = int(grain.max(initial=number)) + 1
        for name, piece in zip([number, *range(following, following + len(pieces) - 1)], pieces, strict=True):
            grain[piece] = name
            waiting.append(name)
    return grain


def _two_kinds(values: NDArray[np.complex128]) -> NDArray[np.bool_] | None:
    """Which of them are of the second of two kinds (two means); None where they are of one."""
    centred = values - values.mean()
    # the direction in which they differ most
    along = np.exp(0.5j * np.angle((centred**2).sum()))
    means = np.quantile((centred * along.conjugate()).real, [0.1, 0.9]) * along
    second = np.zeros(len(values), dtype=bool)
    for _ in range(_ROUNDS):
        before, second = second, abs(centred - means[1]) < abs(centred - means[0])
        if second.all() or not second.any():
            return None
        means = np.array([centred[~second].mean(), centred[second].mean()])
        if (second == before).all():
            break
    within = np.sqrt((abs(centred - means[second.astype(int)]) ** 2).mean() / 2)
    apart = abs(means[1] - means[0])
    return second if apart > max(_LEAST_APART, _LEAST_DEVIATIONS * within) else None


def _pieces(neighbours: Neighbours, kind: NDArray[np.int64], fewest: int) -> list[NDArray[np.int64]]:
    """Connected atoms of one kind, the largest first; -1 is none."""
    same = (kind[neighbours.first] == kind[neighbours.second]) & (kind[neighbours.first] >= 0)
    graph = sparse.coo_array(
        (np.ones(int(same.sum())), (neighbours.first[same], neighbours.second[same])), shape=(len(kind),) * 2
    )
    label = csgraph.connected_components(graph, directed=False)[1]
    sizes = np.bincount(label[kind >= 0], minlength=int(label.max()) + 1)
    order = np.argsort(-sizes, kind="stable")
    return [np.flatnonzero((label == k) & (kind >= 0)) for k in order if sizes[k] >= fewest]
