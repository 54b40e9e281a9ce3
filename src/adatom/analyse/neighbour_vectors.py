"""The vectors from each atom to its nearest neighbours, always in the same order."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from adatom.analyse.descriptors import Array, Descriptors
from adatom.data import check_atoms
from adatom.errors import ArgumentError

# Neighbours that leave a gap of more than this many even steps stand on one side of the atom only.
_WIDEST_GAP = 1.75
_BINS = 180  # of directions, in which the emptiest is looked for


def neighbour_vectors(
    atoms: pd.DataFrame,
    n_neighbours: int,
    *,
    of: str | None = None,
    to: str | None = None,
    longest: float = 1.35,
    turned: bool = False,
) -> Descriptors:
    """Vectors to the nearest neighbours, counted in the direction from x to y.

    Parameters
    ----------
    atoms : table of atoms; those of a frame are neighbours of each other only.
    n_neighbours : so many nearest ones, 2 to 12.
    of, to : species of the atoms and of their neighbours; any by default.
    longest : of the median distance of nearest neighbours; an atom with fewer near ones is left out. Raise it for more
        than the nearest shell (1.6 for the eight of a square lattice).
    turned : whether each set of vectors is turned into a common direction, so that grains of one crystal are alike.

    Returns
    -------
    Descriptors of shape (neighbour, 2), x before y, in the unit of the atoms. Atoms that their neighbours do not
    surround (at the image's edge, beside a hole) are left out.

    Notes
    -----
    The first neighbour is the first after the direction in which the fewest neighbours of all atoms stand. A set is
    turned by the phase of its bond-orientational order, so by less than half of the angle between two neighbours.
    """
    check_atoms(atoms)
    if not 2 <= n_neighbours <= 12:
        raise ArgumentError(f"n_neighbours: expected 2 to 12, got {n_neighbours}.")
    species = atoms["species"].to_numpy(object)
    for name, asked in (("of", of), ("to", to)):
        if asked is not None and asked not in species:
            raise ArgumentError(f"{name}: expected one of {', '.join(map(str, np.unique(species)))}, got {asked!r}.")
    position = atoms[["x", "y"]].to_numpy(float)
    is_centre = np.ones(len(atoms), dtype=bool) if of is None else species == of
    is_neighbour = np.ones(len(atoms), dtype=bool) if to is None else species == to
    vectors, distance, rows = [], [], []
    frame = atoms["frame"].to_numpy()
    for number in np.unique(frame):
        centre, other = (np.flatnonzero((frame == number) & which) for which in (is_centre, is_neighbour))
        if len(other) <= n_neighbours or not len(centre):
            continue
        away, found = cKDTree(position[other]).query(position[centre], k=n_neighbours + 1)
        itself = other[found] == centre[:, None]
        itself[~itself.any(axis=1), -1] = True  # leave out the farthest where the atom is none of the neighbours
        shape = (len(centre), n_neighbours)
        away, found = away[~itself].reshape(shape), found[~itself].reshape(shape)
        vectors.append(position[other[found]] - position[centre][:, None, :])  # (n, k, 2)
        distance.append(away)
        rows.append(centre)
    if not rows:
        return Descriptors(
            np.zeros((0, 2 * n_neighbours)), np.zeros(0, np.int64), (n_neighbours, 2), units=atoms.attrs["units"]
        )
    vector, away, row = np.concatenate(vectors), np.concatenate(distance), np.concatenate(rows)
    angle = np.arctan2(vector[..., 1], vector[..., 0])
    ordered = np.sort(angle, axis=1)
    gap = np.diff(ordered, axis=1, append=ordered[:, :1] + 2 * np.pi).max(axis=1)
    near = away.max(axis=1) <= longest * np.median(away[:, 0])
    kept = near & (gap < _WIDEST_GAP * 2 * np.pi / n_neighbours)
    vector, angle, row = vector[kept], angle[kept], row[kept]
    if turned and len(row):
        vector, angle = _turned(vector, angle, n_neighbours)
    order = np.argsort((angle - _emptiest(angle)) % (2 * np.pi), axis=1)
    vector = np.take_along_axis(vector, order[..., None], axis=1)
    return Descriptors(vector.reshape(len(row), -1), row, (n_neighbours, 2), units=atoms.attrs["units"])


def _turned(vector: Array, angle: Array, n: int) -> tuple[Array, Array]:
    turn = -np.angle(np.exp(1j * n * angle).mean(axis=1)) / n  # (atom,)
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    x, y = vector[..., 0], vector[..., 1]
    moved = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    return moved, np.arctan2(moved[..., 1], moved[..., 0])


def _emptiest(angle: Array) -> float:
    """The middle of the widest range of directions in which the fewest neighbours stand [radians]."""
    count = np.histogram(angle, bins=_BINS, range=(-np.pi, np.pi))[0]
    empty = np.concatenate([count, count]) <= count.min() + 0.02 * count.mean()
    best, start = (0, 0), None
    for index, is_empty in enumerate([*empty, False]):
        if is_empty and start is None:
            start = index
        elif not is_empty and start is not None:
            best, start = max(best, (index - start, start)), None
    return float(-np.pi + 2 * np.pi * (best[1] + 0.5 * best[0]) / _BINS)
