"""Domains of atoms of one class, and the walls between them.

The class of an atom is smoothed over its neighbours first, as a single atom makes no domain. Neighbours are the atoms
that share a side of a Delaunay triangle. Where two of them are of different classes the wall passes between them, at
the point where both classes are equally probable: so walls are known better than to a cell.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, identity
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, QhullError

from adatom.data import check_atoms, spacing
from adatom.errors import ArgumentError

Array = NDArray[np.float64]

# Sides of triangles longer than this many nearest-neighbour distances span a hole: more than across a single vacancy.
_LONGEST_SIDE = 2.3


@dataclass(frozen=True)
class Domains:
    """Domains and walls of one table of atoms.

    Attributes
    ----------
    atoms : the atoms with the columns ``class`` (smoothed; 0 where none was given) and ``domain`` (number from 1, the
        largest first in each frame; 0 for none).
    table : one row a domain: ``frame, domain, class, n_atoms, x, y, area`` (area: atoms times the median area of one).
    walls : one row a piece of a wall: ``frame, class_a, class_b, x0, y0, x1, y1, length``.
    n_wall_bonds : number of pairs of neighbours of different classes.
    """

    atoms: pd.DataFrame
    table: pd.DataFrame
    walls: pd.DataFrame
    n_wall_bonds: int

    def wall_lengths(self) -> pd.DataFrame:
        """Length of the walls between each two classes, in the unit of the atoms, in each frame."""
        return self.walls.groupby(["frame", "class_a", "class_b"])["length"].sum().reset_index()


def find_domains(atoms: pd.DataFrame, column: str = "component", *, smoothing: int = 2, smallest: int = 4) -> Domains:
    """Join neighbouring atoms of one class to domains, and draw the walls between them.

    Parameters
    ----------
    atoms : table with a class for each atom.
    column : integer classes from 1, 0 for atoms of unknown class; with ``<column>_probability`` beside it, unsure atoms
        weigh less.
    smoothing : how many times each atom's class becomes the mean of its own and its neighbours'.
    smallest : domains of fewer atoms are given to the class around them, where there is one.

    Raises
    ------
    ArgumentError : if there is no such column, or it holds something else than whole numbers from 0.
    """
    check_atoms(atoms)
    given = _classes(atoms, column)
    sure = atoms.get(f"{column}_probability")
    weight = np.ones(len(atoms)) if sure is None else np.nan_to_num(sure.to_numpy(float), nan=0.0)
    position, frame = atoms[["x", "y"]].to_numpy(float), atoms["frame"].to_numpy()
    longest = _LONGEST_SIDE * spacing(atoms[given > 0]) if (given > 0).sum() > 1 else 0.0
    smooth, domain = np.zeros(len(atoms), np.int64), np.zeros(len(atoms), np.int64)
    walls, tables, n_bonds = [], [], 0
    for number in np.unique(frame[given > 0]):
        mine = np.flatnonzero((frame == number) & (given > 0))
        triangles = _triangles(position[mine], longest)
        bonds = _bonds(triangles, len(mine))
        share = _smoothed(given[mine], weight[mine], bonds, given.max(), smoothing)
        kind, label = _joined(share, bonds, smallest)
        smooth[mine], domain[mine] = kind + 1, label
        n_bonds += int((kind[bonds[:, 0]] != kind[bonds[:, 1]]).sum())
        wall = _walls(position[mine], share, kind, triangles)
        wall.insert(0, "frame", number)
        walls.append(wall)
        tables.append(_table(position[mine], kind + 1, label, triangles, number))
    out = atoms.copy()
    out.attrs = dict(atoms.attrs)
    out["class"], out["domain"] = smooth, domain
    nowhere = np.zeros((0, 2)), np.zeros((0, 1)), np.zeros(0, np.int64), np.zeros((0, 3), np.int64)
    if not walls:
        empty = _walls(*nowhere)
        empty.insert(0, "frame", np.zeros(0, np.int64))
        return Domains(out, _table(nowhere[0], nowhere[2], nowhere[2], nowhere[3], 0), empty, 0)
    return Domains(out, pd.concat(tables, ignore_index=True), pd.concat(walls, ignore_index=True), n_bonds)


def _classes(atoms: pd.DataFrame, column: str) -> NDArray[np.int64]:
    if column not in atoms.columns:
        raise ArgumentError(f"column: expected one of {', '.join(map(str, atoms.columns))}, got {column!r}.")
    try:
        values = np.nan_to_num(atoms[column].to_numpy(float), nan=0.0)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"column: expected whole numbers in {column}, got others ({error}).") from error
    if (values < 0).any() or (values != np.rint(values)).any() or values.max(initial=0) > 1000:
        raise ArgumentError(f"column: expected whole numbers from 0 to 1000 in {column}, got others.")
    return values.astype(np.int64)


def _triangles(position: Array, longest: float) -> NDArray[np.int64]:
    """Corners (n, 3) of the Delaunay triangles without long sides."""
    if len(position) < 4:
        return np.zeros((0, 3), np.int64)
    try:
        corners = Delaunay(position).simplices.astype(np.int64)
    except QhullError:  # all on one line
        return np.zeros((0, 3), np.int64)
    sides = np.linalg.norm(position[corners] - position[np.roll(corners, 1, axis=1)], axis=2)
    kept: NDArray[np.int64] = corners[sides.max(axis=1) <= longest]
    return kept


def _bonds(triangles: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Pairs (m, 2) of atoms that share a side, each once."""
    pairs = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    unique: NDArray[np.int64] = np.unique(pairs, axis=0) if len(pairs) else np.zeros((0, 2), np.int64)
    return unique


def _graph(bonds: NDArray[np.int64], n: int) -> csr_matrix:
    ones = np.ones(len(bonds))
    half = coo_matrix((ones, (bonds[:, 0], bonds[:, 1])), shape=(n, n))
    return csr_matrix(half + half.T)


def _smoothed(given: NDArray[np.int64], weight: Array, bonds: NDArray[np.int64], n_classes: int, times: int) -> Array:
    """Share (n, class) of each class around each atom."""
    share = np.zeros((len(given), n_classes))
    share[np.arange(len(given)), given - 1] = np.maximum(weight, 1e-3)
    step = _graph(bonds, len(given)) + identity(len(given), format="csr")
    for _ in range(times):
        share = np.asarray(step @ share)
    total: Array = share / share.sum(axis=1, keepdims=True)
    return total


def _joined(share: Array, bonds: NDArray[np.int64], smallest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Class (n,) of each atom, from 0, and its domain from 1, the largest first; small domains go to what is around."""
    kind = share.argmax(axis=1)
    for _ in range(4):
        _, part = connected_components(_graph(bonds[kind[bonds[:, 0]] == kind[bonds[:, 1]]], len(kind)), directed=False)
        small = np.bincount(part)[part] < smallest
        across = bonds[small[bonds[:, 0]] != small[bonds[:, 1]]]
        if not len(across):
            break
        first_is_small = small[across[:, 0]]
        inner, outer = np.where(first_is_small[:, None], across, across[:, ::-1]).T
        votes = np.zeros((part.max() + 1, share.shape[1]))
        np.add.at(votes, (part[inner], kind[outer]), 1)
        asked = small & (votes.sum(axis=1) > 0)[part]
        kind = np.where(asked, votes.argmax(axis=1)[part], kind)
        share[asked] = 0.49 * share[asked] / share[asked].max(axis=1, keepdims=True)
        share[np.flatnonzero(asked), kind[asked]] = 0.51
    _, part = connected_components(_graph(bonds[kind[bonds[:, 0]] == kind[bonds[:, 1]]], len(kind)), directed=False)
    order = np.argsort(-np.bincount(part), kind="stable")
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(1, len(order) + 1)
    return kind, number[part]


def _walls(position: Array, share: Array, kind: NDArray[np.int64], triangles: NDArray[np.int64]) -> pd.DataFrame:
    """In a triangle of two classes the wall joins the points where it crosses two sides; of three, three such to their
    centre.
    """
    names = ("class_a", "class_b", "x0", "y0", "x1", "y1")
    pieces: list[NDArray[np.float64]] = []
    following = np.roll(triangles, -1, axis=1)
    cut = kind[triangles] != kind[following]  # (n, side)
    for n_cut in (2, 3):
        mine = np.flatnonzero(cut.sum(axis=1) == n_cut)
        if not len(mine):
            continue
        side = np.nonzero(cut[mine])[1].reshape(-1, n_cut)
        first = np.take_along_axis(triangles[mine], side, axis=1)
        second = np.take_along_axis(following[mine], side, axis=1)
        points = _crossings(position, share, kind, first, second)  # (n, n_cut, 2)
        classes = np.sort(np.stack([kind[first], kind[second]], axis=-1), axis=-1) + 1  # (n, n_cut, 2)
        if n_cut == 2:
            pieces.append(np.column_stack([classes[:, 0], points[:, 0], points[:, 1]]))
        else:
            centre = points.mean(axis=1)
            pieces.extend(np.column_stack([classes[:, k], points[:, k], centre]) for k in range(3))
    table = pd.DataFrame(np.concatenate(pieces) if pieces else np.zeros((0, 6)), columns=list(names))
    table[["class_a", "class_b"]] = table[["class_a", "class_b"]].astype(np.int64)
    table["length"] = np.hypot(table["x1"] - table["x0"], table["y1"] - table["y0"])
    return table


def _crossings(
    position: Array, share: Array, kind: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> Array:
    """Points (..., 2) between neighbours at which the classes of both are equally probable."""
    lead = share[first, kind[first]] - share[first, kind[second]]
    lag = share[second, kind[second]] - share[second, kind[first]]
    along = np.clip(lead / np.maximum(lead + lag, 1e-12), 0.02, 0.98)[..., None]
    between: Array = position[first] * (1 - along) + position[second] * along
    return between


def _table(
    position: Array, kind: NDArray[np.int64], label: NDArray[np.int64], triangles: NDArray[np.int64], frame: int
) -> pd.DataFrame:
    a, b, c = position[triangles].transpose(1, 0, 2) if len(triangles) else np.zeros((3, 0, 2))
    area = 0.5 * np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    of_one = 2 * float(np.median(area)) if len(area) else float("nan")  # a triangulation has two triangles an atom
    number = np.arange(1, label.max(initial=0) + 1)
    count = np.bincount(label, minlength=len(number) + 1)[1:]
    first = np.searchsorted(np.sort(label), number) if len(label) else number
    order = np.argsort(label, kind="stable")
    centre = [np.bincount(label, position[:, k], len(number) + 1)[1:] / np.maximum(count, 1) for k in (0, 1)]
    return pd.DataFrame(
        {
            "frame": np.full(len(number), frame),
            "domain": number,
            "class": kind[order[first]],
            "n_atoms": count,
            "x": centre[0],
            "y": centre[1],
            "area": count * of_one,
        }
    )
