"""Who is next to whom: the bonds of found atoms, on which neighbourhoods, rings, strain and defects are built."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from adatom.errors import ArgumentError, ShapeError

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Between the first and the second shell of any lattice in the plane, in distances of nearest neighbours.
_FIRST, _LAST = 1.08, 1.62
_USUAL = 1.3
_BINS = 200
# Atoms whose pairs tell the distance up to which there are bonds.
_ASKED = 20_000
# With more neighbours than this the cut-off was meant in another unit.
_MOST_NEIGHBOURS = 60


@dataclass(frozen=True)
class Neighbours:
    """Pairs of neighbouring atoms, each in both directions, sorted by the first atom and then by the direction.

    Attributes
    ----------
    first, second : (m,) numbers of the atoms.
    vector : (m, 2) from the first to the second, x and y, in the unit of the positions.
    n_atoms : how many atoms there are, those without neighbours included.
    """

    first: Index
    second: Index
    vector: Array
    n_atoms: int

    @cached_property
    def length(self) -> Array:
        """Distance (m,) of the two."""
        return np.hypot(self.vector[:, 0], self.vector[:, 1])

    @cached_property
    def angle(self) -> Array:
        """Direction (m,) of the vector, from x towards y [radians]."""
        return np.arctan2(self.vector[:, 1], self.vector[:, 0])

    @cached_property
    def coordination(self) -> Index:
        """Number (n,) of neighbours of each atom."""
        return np.bincount(self.first, minlength=self.n_atoms)

    @cached_property
    def start(self) -> Index:
        """Number (n + 1,) of the first pair of each atom, and at the end that of all pairs."""
        return np.concatenate([[0], np.cumsum(self.coordination)])

    @cached_property
    def reverse(self) -> Index:
        """Number (m,) of the pair that is the same the other way round."""
        forward = self.first * self.n_atoms + self.second
        backward = self.second * self.n_atoms + self.first
        order = np.argsort(forward, kind="stable")
        found: Index = order[np.searchsorted(forward[order], backward)]
        return found

    def of(self, kept: NDArray[np.bool_]) -> "Neighbours":
        """Some of the pairs (m,); whoever keeps one direction keeps the other."""
        return Neighbours(self.first[kept], self.second[kept], self.vector[kept], self.n_atoms)

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum over each atom's pairs (n, ...) of values (m, ...), real or complex."""
        flat = values.reshape(len(values), -1)
        parts = [flat.real, flat.imag] if np.iscomplexobj(flat) else [flat]
        summed = [
            np.stack([np.bincount(self.first, part[:, k], self.n_atoms) for k in range(part.shape[1])], axis=1)
            for part in parts
        ]
        joined = summed[0] + 1j * summed[1] if len(summed) > 1 else summed[0]
        return joined.reshape(self.n_atoms, *values.shape[1:])

    def median(self, values: Array) -> Array:
        """Median (n,) over each atom's pairs of values (m,), NaN for atoms without any."""
        order = np.lexsort([values, self.first])
        ranked, count = values[order], self.coordination
        padded = np.append(ranked, np.nan)
        low, high = (np.minimum(self.start[:-1] + at, len(ranked)) for at in ((count - 1) // 2, count // 2))
        return np.where(count > 0, 0.5 * (padded[np.maximum(low, 0)] + padded[high]), np.nan)


def find_neighbours(
    positions: Array,
    cutoff: float | Mapping[tuple[str, str], float],
    *,
    species: NDArray[Any] | None = None,
    period: tuple[float, float] | None = None,
) -> Neighbours:
    """Pairs of atoms no farther apart than a cut-off.

    Parameters
    ----------
    positions : (n, 2) x and y in any unit.
    cutoff : longest distance in that unit; or one for each pair of species, in either order, where pairs that are not
        named are no neighbours.
    species : (n,) names, for a cut-off by species.
    period : width and height of a cell that repeats along x and y; positions lie within [0, width) and [0, height).

    Raises
    ------
    ShapeError : if the positions are not (n, 2), or a cut-off by species has no species.
    ArgumentError : if a cut-off is not above 0, or so long that atoms have more than 60 neighbours in the mean.
    """
    positions = np.asarray(positions, dtype=float)
    if positions.ndim != 2 or positions.shape[1] != 2:
        raise ShapeError(f"positions: expected (n, 2), got {positions.shape}.")
    longest = max(cutoff.values(), default=0.0) if isinstance(cutoff, Mapping) else cutoff
    if not longest > 0 or not np.isfinite(longest):
        raise ArgumentError(f"cutoff: expected a distance above 0, got {longest}.")
    if period is not None and min(period) < 2 * longest:
        raise ArgumentError(f"period: expected at least twice the cut-off ({2 * longest:.4g}), got {min(period):.4g}.")
    n = len(positions)
    tree = cKDTree(positions, boxsize=period)
    if n and tree.count_neighbors(tree, longest) > (_MOST_NEIGHBOURS + 1) * n:
        raise ArgumentError(
            f"cutoff: expected a distance between nearest and next neighbours, got {longest:.4g}, within which atoms "
            f"have more than {_MOST_NEIGHBOURS} neighbours. Check its unit."
        )
    pairs = tree.query_pairs(longest, output_type="ndarray").astype(np.int64)
    first, second = np.concatenate([pairs, pairs[:, ::-1]]).T
    vector = positions[second] - positions[first]
    if period is not None:
        vector -= np.round(vector / period) * period
    if isinstance(cutoff, Mapping):
        if species is None or len(species) != n:
            raise ShapeError("species: expected a name for each atom beside a cut-off by species, got none.")
        reach = np.zeros(len(first))
        names = np.asarray(species).astype(str)
        for (one, other), distance in cutoff.items():
            for a, b in ((one, other), (other, one)):
                reach[(names[first] == a) & (names[second] == b)] = distance
        kept = np.hypot(vector[:, 0], vector[:, 1]) <= reach
        first, second, vector = first[kept], second[kept], vector[kept]
    order = np.lexsort([np.arctan2(vector[:, 1], vector[:, 0]), first])
    return Neighbours(first[order], second[order], vector[order], n)


def bond_cutoff(positions: Array) -> float:
    """The distance up to which atoms are bonded: where pairs are rarest between the first and the second shell.

    Parameters
    ----------
    positions : (n, 2) x and y in any unit.

    Returns
    -------
    In the same unit. Between 1.08 and 1.62 median distances of nearest neighbours, which holds the gap of every
    two-dimensional lattice; 1.3 of them where there are fewer than 20 atoms. NaN with fewer than two.
    """
    positions = np.asarray(positions, dtype=float).reshape(-1, 2)
    if len(positions) < 2:
        return float("nan")
    if len(positions) > _ASKED:
        central = np.abs(positions - np.median(positions, axis=0)).max(axis=1)
        positions = positions[np.argsort(central, kind="stable")[:_ASKED]]
    tree = cKDTree(positions)
    nearest = float(np.median(tree.query(positions, k=2)[0][:, 1]))
    if len(positions) < 20 or not nearest > 0:
        return _USUAL * nearest
    pairs = tree.query_pairs(1.1 * _LAST * nearest, output_type="ndarray")
    distance = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1) / nearest
    count, edges = np.histogram(distance, bins=_BINS, range=(0.5, 1.1 * _LAST))
    middle = 0.5 * (edges[1:] + edges[:-1])
    density = ndimage.gaussian_filter1d(count / middle, 0.04 / (middle[1] - middle[0]), mode="nearest")
    between = (middle > _FIRST) & (middle < _LAST)
    lowest = density[between].min()
    # the gap may be wide and empty: its middle is the safest place in it
    gap = np.flatnonzero(between & (density <= lowest + 0.02 * density.max()))
    run = np.split(gap, np.flatnonzero(np.diff(gap) > 1) + 1)
    holding = next(part for part in run if density[part].min() == lowest)
    return nearest * float(middle[holding].mean())
