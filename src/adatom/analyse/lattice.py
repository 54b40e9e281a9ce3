"""The lattice that found atoms stand on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.filters import threshold_otsu

Array = NDArray[np.float64]

_MOST_ATOMS = 600
_FEWEST = 20
# Distance of the means of two groups in their standard deviations; one Gaussian cut in half has 2.65.
_TWO_KINDS = 3.5
# Of atoms that agree so well on a lattice nobody else is asked.
_PLAIN = 0.8
# Two differences are the same within so many neighbour distances; these are divided into so many bins, and the bins of
# the same difference lie so far around its own.
_TOLERANCE, _BINS, _DISC = 0.25, 8, 2


@dataclass(frozen=True)
class Lattice:
    """A cell of the lattice.

    Attributes
    ----------
    vectors : (2, 2) one vector a row, (x, y), in the unit of the positions, the longer one last, at 90 degrees or less:
        the two shortest of the lattice; of a hexagonal lattice the shortest and the longest of its three equivalent
        directions.
    coincidence : share of the atoms that find an atom one lattice vector away.
    """

    vectors: Array
    coincidence: float

    @property
    def lengths(self) -> Array:
        """Edges (2,), the shorter one first."""
        return np.linalg.norm(self.vectors, axis=1)

    @property
    def angle_deg(self) -> float:
        """Angle between the edges [degrees], at most 90."""
        a, b = self.vectors
        return float(np.degrees(np.arccos(np.clip(a @ b / np.prod(self.lengths), -1, 1))))

    @property
    def is_hexagonal(self) -> bool:
        """Whether three directions are as long as each other, within 25 %."""
        a, b = self.vectors
        edges = np.linalg.norm([a, b, a - b], axis=1)
        return bool(edges.max() / edges.min() < 1.25)

    @property
    def edge(self) -> float:
        """One number for the cell's edge: the edge of the regular cell of the same symmetry and area.

        For a hexagonal cell sqrt(2 area / sqrt(3)), which drift and shear change only in second order; for others the
        root of the area.
        """
        area = abs(float(np.linalg.det(self.vectors)))
        return float(np.sqrt(area * 2 / np.sqrt(3)) if self.is_hexagonal else np.sqrt(area))

    @property
    def stretch(self) -> float:
        """The longest over the shortest of the lattice directions, three if hexagonal, else two: 1 if undistorted.

        An image that is stretched between two of its lattice directions is stretched by somewhat more than this.
        """
        return float(self.lengths[1] / self.lengths[0])

    def regular(self) -> Array | None:
        """The regular cell (2, 2) of the same edge, handedness and orientation: hexagonal or square, as this one nearly
        is; None if it is neither.
        """
        if self.is_hexagonal:
            angle = np.pi / 3
        elif self.stretch < 1.25 and self.angle_deg > 70:
            angle = np.pi / 2
        else:
            return None
        a, b = self.vectors
        handed = np.sign(a[0] * b[1] - a[1] * b[0])
        cell: Array = self.edge * np.array([[1.0, 0.0], [np.cos(angle), handed * np.sin(angle)]])
        # the rotation that brings it nearest to the measured cell (polar decomposition)
        u, _, v = np.linalg.svd(cell.T @ np.array([a, b]))
        turned: Array = np.asarray(cell @ (u @ v), dtype=float)
        return turned

    def undistorting(self) -> Array | None:
        """The matrix (2, 2) that makes the lattice regular: ``positions @ matrix``; None if it is no regular one."""
        regular = self.regular()
        if regular is None:
            return None
        matrix: Array = np.asarray(np.linalg.solve(self.vectors, regular), dtype=float)
        return matrix


def find_lattice(positions: Array, *, least: int = _FEWEST) -> Lattice | None:
    """Find the translations that carry atoms onto atoms.

    Parameters
    ----------
    positions : (n, 2) x and y in any unit, of atoms of one species; of more than 600 the central ones are used.
    least : with fewer atoms there is no answer.

    Returns
    -------
    The cell of the shortest such translations, or None if less than 40 % of the atoms agree on any.

    Notes
    -----
    Differences of positions up to eight nearest-neighbour distances are collected (a Patterson map). Each of its peaks
    is a candidate; its coincidence is the share of atoms that have a partner there, of those whose partner would lie
    among the atoms. A superstructure has many shorter translations that some atoms agree on; the cell is made of the
    shortest ones that nearly as many (85 %) agree on as on the best one, fitted to all differences that are multiples
    of them. Vacancies lower all coincidences alike.
    """
    positions = np.asarray(positions, dtype=float).reshape(-1, 2)
    if len(positions) < least:
        return None
    # Six hundred neighbouring atoms tell the lattice; a million would only take longer.
    central = np.abs(positions - np.median(positions, axis=0)).max(axis=1)  # a square of them, as images are
    positions = positions[np.argsort(central, kind="stable")[:_MOST_ATOMS]]
    tree = cKDTree(positions)
    neighbour = float(np.median(tree.query(positions, k=2)[0][:, 1]))
    if not neighbour > 0:
        return None
    extent = np.ptp(positions, axis=0).max()
    reach = min(8 * neighbour, 0.5 * extent)
    pairs = tree.query_pairs(reach, output_type="ndarray")
    difference = positions[pairs[:, 1]] - positions[pairs[:, 0]]  # that of i and j, but not also of j and i
    scored = sorted(_candidates(positions, difference, reach, neighbour), key=lambda scored: scored[0])
    best = max((share for _, share, _ in scored), default=0.0)
    if best < 0.4:
        return None
    good = [(length, vector) for length, share, vector in scored if share >= 0.85 * best]
    first = good[0][1]
    for length, vector in good[1:]:
        sine = abs(first[0] * vector[1] - first[1] * vector[0]) / (np.linalg.norm(first) * length)
        if sine > 0.3:
            vectors = _fit_vectors(np.array([first, vector]), difference, _TOLERANCE * neighbour)
            return Lattice(vectors=_reduce(vectors), coincidence=best)
    return None


def find_species_lattice(x: Array, y: Array, species: NDArray[Any]) -> Lattice | None:
    """`find_lattice` of the most frequent species: on a honeycomb, each sublattice has the lattice of the cell."""
    names, counts = np.unique(np.asarray(species).astype(str), return_counts=True)
    if not len(names):
        return None
    chosen = np.asarray(species).astype(str) == names[counts.argmax()]
    return find_lattice(np.column_stack([x[chosen], y[chosen]]))


def find_bright_lattice(x: Array, y: Array, flux: Array) -> Lattice | None:
    """`find_lattice` of atoms of unknown species: of the brighter ones where there are plainly two kinds.

    Two kinds on one regular lattice, as in a perovskite, repeat only with the larger cell of each.
    """
    positions = np.column_stack([x, y])
    known = np.isfinite(flux)
    if known.sum() < 2 * _FEWEST or np.ptp(flux[known]) == 0:
        return find_lattice(positions)
    bright = np.zeros(len(x), dtype=bool)
    bright[known] = flux[known] > threshold_otsu(flux[known])
    dim = known & ~bright
    spread = np.sqrt((flux[bright].var() + flux[dim].var()) / 2)
    if flux[bright].mean() - flux[dim].mean() < _TWO_KINDS * spread:
        return find_lattice(positions)
    of_bright = find_lattice(positions[bright])
    if of_bright is not None and of_bright.coincidence > _PLAIN:
        return of_bright
    of_all = find_lattice(positions)
    if of_bright is None or (of_all is not None and of_all.coincidence > of_bright.coincidence + 0.1):
        return of_all
    return of_bright


def _candidates(
    positions: Array, difference: Array, reach: float, neighbour: float
) -> list[tuple[float, float, Array]]:
    """Length, coincidence and vector of each cluster of differences, one of each pair +v and -v.

    The share of the atoms that have a partner at a vector, of those whose partner would lie among the atoms, is the
    number of differences near it over theirs: no atom has two partners there, as no two atoms are so close.
    """
    bins = 2 * int(np.ceil(reach / neighbour * _BINS)) + 1
    middle = bins // 2
    column, row = (np.round(difference * (_BINS / neighbour)) + middle).astype(int).T
    histogram = np.bincount(row * bins + column, minlength=bins**2).reshape(bins, bins).astype(float)
    histogram = np.pad(histogram + histogram[::-1, ::-1], _DISC)
    smooth = ndimage.gaussian_filter(histogram, 1.0)
    row, column = np.nonzero((smooth == ndimage.maximum_filter(smooth, size=5)) & (smooth > 0.15 * smooth.max()))
    y, x = row - _DISC - middle, column - _DISC - middle
    wanted = ((y > 0) | ((y == 0) & (x > 0))) & (np.hypot(y, x) > 0.6 * _BINS)
    row, column, y, x = row[wanted], column[wanted], y[wanted], x[wanted]

    around = np.arange(-_DISC, _DISC + 1)
    disc = np.hypot(around[:, None], around) <= _TOLERANCE * _BINS
    near = histogram[row[:, None, None] + around[:, None], column[:, None, None] + around] * disc
    count = near.sum(axis=(1, 2))
    off = np.stack([(near * around).sum(axis=(1, 2)), (near * around[:, None]).sum(axis=(1, 2))], axis=1)
    vectors = (np.column_stack([x, y]) + off / np.maximum(count, 1)[:, None]) * (neighbour / _BINS)
    possible = np.ones((len(vectors), len(positions)), dtype=bool)
    for at, shift in zip(positions.T, vectors.T, strict=True):
        target = at + shift[:, None]
        possible &= (target >= at.min()) & (target <= at.max())
    return [
        (float(np.linalg.norm(vector)), min(1.0, float(found / among)), vector)
        for vector, found, among in zip(vectors, count, possible.sum(axis=1), strict=True)
        if found >= 3 and among >= 8
    ]


def _fit_vectors(vectors: Array, difference: Array, tolerance: float) -> Array:
    """Least-squares fit of the vectors to all differences that are multiples of them: long ones tell them best."""
    multiple = np.round(difference @ np.linalg.inv(vectors))
    off = difference - multiple @ vectors
    close = (off[:, 0] ** 2 + off[:, 1] ** 2 < tolerance**2) & ((multiple[:, 0] != 0) | (multiple[:, 1] != 0))
    many, apart = multiple[close], difference[close]
    fitted: Array = np.linalg.lstsq(many.T @ many, many.T @ apart, rcond=None)[0]
    return fitted


def _reduce(vectors: Array) -> Array:
    """Gauss reduction to the two shortest vectors of the same lattice, then the choice that `Lattice` states."""
    a, b = sorted(vectors, key=lambda v: float(v @ v))
    while True:
        b = b - np.round((a @ b) / (a @ a)) * a
        if b @ b >= a @ a:
            break
        a, b = b, a
    b = b if a @ b >= 0 else -b
    third = b - a
    longest = max(np.linalg.norm(b), np.linalg.norm(third))
    if longest / np.linalg.norm(a) < 1.25:  # hexagonal: three equivalent directions, take the shortest and the longest
        b = b if np.linalg.norm(b) == longest else third
    return np.array([a, b if a @ b >= 0 else -b])
