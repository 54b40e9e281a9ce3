"""Each atom on its site: the lattice is walked from neighbour to neighbour, so that a bent one is followed too."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from adatom.analyse.lattice import Lattice, find_lattice
from adatom.analyse.neighbours import Neighbours, find_neighbours

Array = NDArray[np.float64]

# A neighbour counts as one lattice vector away where it is no farther from there than this share of the shortest one;
# the two sublattices of a honeycomb are more than twice as far apart.
_TOLERANCE = 0.25
# Pieces are walked along closer steps only: a lone atom between two sublattices must not join them.
_WALKED = 0.15
_FEWEST_ATOMS = 8
# Pieces of the same lattice are one sublattice where the sites of atoms up to so many edges apart coincide within this
# share of the shorter edge.
_BESIDE, _SAME_SITES = 3.0, 0.2
# So many atoms of a piece are asked whether it is one with another.
_ASKED = 400


@dataclass(frozen=True)
class LatticeSites:
    """A lattice fitted to atoms, with the site of each.

    Attributes
    ----------
    vectors : (2, 2) one vector a row, x and y, fitted to all sites.
    spread : (2,) standard deviation of x and y of an atom about its site, in the unit of the positions.
    freedom : (2, 2) what that makes of the two vectors' errors along an axis: covariance over `spread` squared.
    cell : (n, 2) multiples of the vectors from the sublattice's origin.
    sublattice : (n,) number from 0, the one with the most atoms first; -1 for atoms on none.
    origin : (k, 2) of each sublattice, in the unit of the positions.
    steps : neighbours within a sublattice, one lattice vector apart; and the (m, 2) multiples of the vectors that
        each of these steps is.
    """

    vectors: Array
    spread: Array
    freedom: Array
    cell: NDArray[np.int64]
    sublattice: NDArray[np.int64]
    origin: Array
    steps: tuple[Neighbours, NDArray[np.int64]]

    @property
    def sites(self) -> Array:
        """Where each atom would be in the fitted lattice (n, 2); NaN for atoms on none."""
        on = self.sublattice >= 0
        place = np.full((len(self.sublattice), 2), np.nan)
        place[on] = self.origin[self.sublattice[on]] + self.cell[on] @ self.vectors
        return place

    @property
    def lengths(self) -> Array:
        """Edges (2,) of the cell."""
        return np.linalg.norm(self.vectors, axis=1)

    @property
    def vectors_std(self) -> Array:
        """Standard deviations (2, 2) of the vectors' components."""
        return np.sqrt(np.diag(self.freedom))[:, None] * self.spread[None, :]

    @property
    def lengths_std(self) -> Array:
        """Their standard deviations (2,)."""
        along = self.vectors / self.lengths[:, None]
        return np.sqrt(((along * self.vectors_std) ** 2).sum(axis=1))

    @property
    def area(self) -> float:
        """Area of the cell."""
        return abs(float(np.linalg.det(self.vectors)))

    @property
    def edge(self) -> float:
        """Edge of the regular cell of the same area, hexagonal or square: that of no direction, so without a bias
        from which direction is called the first.
        """
        return Lattice(self.vectors, 1.0).edge

    @property
    def edge_std(self) -> float:
        """Its standard deviation."""
        (ax, ay), (bx, by) = self.vectors
        return 0.5 * self.edge * self._std(np.array([[by, -bx], [-ay, ax]])) / self.area

    @property
    def angle_deg(self) -> float:
        """Angle between the vectors [degrees]."""
        a, b = self.vectors
        return float(np.degrees(np.arctan2(abs(a[0] * b[1] - a[1] * b[0]), a @ b)))

    @property
    def angle_std_deg(self) -> float:
        """Its standard deviation [degrees]."""
        (ax, ay), (bx, by) = self.vectors / self.lengths[:, None] ** 2
        return float(np.degrees(self._std(np.array([[ay, -ax], [-by, bx]]))))

    def _std(self, slope: Array) -> float:
        """Standard deviation of a number from its derivatives (2, 2) by the vectors' components."""
        variance = np.einsum("ik,ij,jk,k->", slope, self.freedom, slope, self.spread**2)
        return float(np.sqrt(variance))


def find_sites(positions: Array, vectors: Array | None = None) -> LatticeSites | None:
    """Put atoms on the sites of a lattice.

    Parameters
    ----------
    positions : (n, 2) x and y in any unit, of one grain.
    vectors : (2, 2) of the lattice, roughly; by default those of `adatom.analyse.lattice.find_lattice`.

    Returns
    -------
    None where there is no lattice.

    Notes
    -----
    Atoms one lattice vector apart are of one piece of a sublattice; walked along a spanning tree of the closest
    fits, each gets its multiples of the vectors. Then vectors and origins are fitted by least squares, with pieces of
    the same sites joined, until nothing changes. A vacancy or a dopant changes nothing, and strain is followed as long
    as it differs little from one atom to the next.
    """
    positions = np.asarray(positions, dtype=float)
    if vectors is None:
        lattice = find_lattice(positions)
        if lattice is None:
            return None
        vectors = lattice.vectors
    vectors = np.asarray(vectors, dtype=float)
    neighbours, multiple = lattice_steps(positions, vectors)
    cell, piece = _walk(neighbours, multiple, positions, vectors)
    if not (piece >= 0).any():
        return None
    for _ in range(2):
        vectors, _, _ = _fit(positions, cell, piece)
        cell, piece = _join_pieces(positions, cell, piece, vectors)
    vectors, origin, squares = _fit(positions, cell, piece)
    on = piece >= 0
    n_free = max(1, int(on.sum()) - 2 - len(origin))
    centred = cell[on] - _means(cell[on].astype(float), piece[on], len(origin))[piece[on]]
    freedom: Array = np.asarray(np.linalg.pinv(centred.T @ centred), dtype=float)
    order = np.argsort(-np.bincount(piece[on]), kind="stable")
    number = np.argsort(order)
    sublattice = np.where(on, number[np.maximum(piece, 0)], -1)
    steps = _within(neighbours, multiple, sublattice, cell)
    return LatticeSites(vectors, np.sqrt(squares / n_free), freedom, cell, sublattice, origin[order], steps)


def lattice_steps(positions: Array, vectors: Array) -> tuple[Neighbours, NDArray[np.int64]]:
    """Pairs of atoms a lattice vector apart, and which multiples (m, 2) of the vectors it is."""
    a, b = vectors
    candidates = np.array([[1, 0], [0, 1], [1, -1], [1, 1]])
    lengths = np.linalg.norm(candidates @ vectors, axis=1)
    shortest = lengths.min()
    # the shell of nearest sites: two directions of a square or rectangular cell, three of a hexagonal one
    near = candidates[lengths < 1.25 * max(np.linalg.norm(a), np.linalg.norm(b))]
    near = np.concatenate([near, -near])
    expected = near @ vectors
    neighbours = find_neighbours(positions, float(np.linalg.norm(expected, axis=1).max() + _TOLERANCE * shortest))
    off = np.linalg.norm(neighbours.vector[:, None] - expected[None], axis=2)
    chosen = off.argmin(axis=1)
    fits = off[np.arange(len(off)), chosen] < _TOLERANCE * shortest
    return neighbours.of(fits), near[chosen[fits]]


def _walk(
    steps: Neighbours, multiple: NDArray[np.int64], positions: Array, vectors: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Multiples (n, 2) of the vectors from the first atom of each piece, and number (n,) of the piece, -1 for none."""
    n = steps.n_atoms
    misfit = np.linalg.norm(steps.vector - multiple @ vectors, axis=1)
    shortest = np.linalg.norm(multiple @ vectors, axis=1).min(initial=np.inf)
    close = misfit < _WALKED * shortest
    # nor may a few atoms without order
    n_ways = len(np.unique(multiple, axis=0))
    ordered = np.bincount(steps.first[close], minlength=n) >= n_ways / 2
    close &= ordered[steps.first] & ordered[steps.second]
    weight = 1e-6 * np.linalg.norm(vectors[0]) + misfit
    graph = sparse.csr_array((weight[close], (steps.first[close], steps.second[close])), shape=(n, n))
    tree = csgraph.minimum_spanning_tree(graph)
    label = csgraph.connected_components(tree, directed=False)[1]
    size = np.bincount(label)
    kept = np.flatnonzero(size >= _FEWEST_ATOMS)
    number = np.full(len(size), -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    code = steps.first * n + steps.second  # to look a step up
    order = np.argsort(code)
    code = code[order]
    both = tree + tree.T
    first_atom = np.full(len(size), -1, dtype=np.int64)
    first_atom[label[::-1]] = np.arange(n)[::-1]
    origin = np.arange(n)  # the atom that each was walked to from; at first its neighbour in the tree
    cell = np.zeros((n, 2), dtype=np.int64)
    for piece in kept:
        walked, before = csgraph.breadth_first_order(both, first_atom[piece], directed=False)
        walked = walked[1:].astype(np.int64)  # products below exceed 32 bits
        origin[walked] = before[walked]
        cell[walked] = multiple[order[np.searchsorted(code, origin[walked] * n + walked)]]
    while True:  # each round doubles the way that is summed up
        before = origin[origin]
        cell += np.where((origin != np.arange(n))[:, None], cell[origin], 0)
        if (before == origin).all():
            break
        origin = before
    piece_of = number[label] if n else label.astype(np.int64)
    _adopt(steps, multiple, misfit, cell, piece_of)
    return cell, piece_of


def _adopt(
    steps: Neighbours, multiple: NDArray[np.int64], misfit: Array, cell: NDArray[np.int64], piece: NDArray[np.int64]
) -> None:
    """Give atoms of no piece the place that their closest step from one says, where nobody else is, from the rim on."""
    taken: set[tuple[int, ...]] = set()
    for _ in range(3):
        rim = np.flatnonzero((piece[steps.first] >= 0) & (piece[steps.second] < 0))
        if not len(rim):
            return
        if not taken:
            taken = set(map(tuple, np.column_stack([piece, cell])[piece >= 0].tolist()))
        known = piece.copy()
        for step in rim[np.argsort(misfit[rim], kind="stable")]:
            first, atom = steps.first[step], steps.second[step]
            u, v = (int(n) for n in cell[first] + multiple[step])
            place = (int(known[first]), u, v)
            if piece[atom] < 0 and place not in taken:
                taken.add(place)
                cell[atom], piece[atom] = (u, v), place[0]


def _fit(positions: Array, cell: NDArray[np.int64], piece: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Vectors (2, 2), origins (k, 2), and sums (2,) of squares that are left over, with each piece its own origin."""
    on = piece >= 0
    mine, n_pieces = piece[on], int(piece.max()) + 1
    middle_cell, middle = (_means(values, mine, n_pieces) for values in (cell[on].astype(float), positions[on]))
    u, p = cell[on] - middle_cell[mine], positions[on] - middle[mine]
    vectors: Array = np.asarray(np.linalg.lstsq(u.T @ u, u.T @ p, rcond=None)[0], dtype=float)
    left = p - u @ vectors
    return vectors, middle - middle_cell @ vectors, (left**2).sum(axis=0)


def _means(values: Array, piece: NDArray[np.int64], n_pieces: int) -> Array:
    """Mean (k, 2) over each piece."""
    count = np.maximum(np.bincount(piece, minlength=n_pieces), 1)
    return np.stack([np.bincount(piece, values[:, k], n_pieces) / count for k in (0, 1)], axis=1)


def _join_pieces(
    positions: Array, cell: NDArray[np.int64], piece: NDArray[np.int64], vectors: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Make pieces one that stand on the same sites where they are next to each other; the larger takes the smaller in.

    Far away a bent crystal's sites would be off.
    """
    size = np.bincount(piece[piece >= 0])
    lengths, inverse = np.linalg.norm(vectors, axis=1), np.linalg.inv(vectors)
    members = [np.flatnonzero(piece == k) for k in range(len(size))]
    trees = [cKDTree(positions[mine]) for mine in members]
    asked = [mine[:: -(-len(mine) // _ASKED)] for mine in members]
    order, cell, piece = np.argsort(-size, kind="stable"), cell.copy(), piece.copy()
    whole_ones: list[int] = []
    for k in order:
        for other in whole_ones:
            near = trees[other].query_ball_point(positions[asked[k]], _BESIDE * lengths.max())
            pairs = np.array([(a, b) for a, those in enumerate(near) for b in those], dtype=np.int64).reshape(-1, 2)
            if not len(pairs):
                continue
            mine, its = asked[k][pairs[:, 0]], members[other][pairs[:, 1]]
            away = (positions[mine] - positions[its]) @ inverse
            shifts = cell[its] + np.round(away).astype(np.int64) - cell[mine]
            ways, which, votes = np.unique(shifts, axis=0, return_inverse=True, return_counts=True)
            off = np.linalg.norm((away - np.round(away)) @ vectors, axis=1)
            agreeing = which.ravel() == votes.argmax()
            if votes.max() > 0.5 * len(pairs) and np.median(off[agreeing]) < _SAME_SITES * lengths.min():
                cell[members[k]] += ways[votes.argmax()]
                piece[members[k]] = other
                break
        else:
            whole_ones.append(int(k))
    number = np.full(len(size) + 1, -1)
    number[whole_ones] = np.arange(len(whole_ones))
    return cell, number[piece]


def _within(
    steps: Neighbours, multiple: NDArray[np.int64], sublattice: NDArray[np.int64], cell: NDArray[np.int64]
) -> tuple[Neighbours, NDArray[np.int64]]:
    """Steps between atoms of one sublattice that are what the cells of the two say."""
    first, second = steps.first, steps.second
    kept = (sublattice[first] == sublattice[second]) & (sublattice[first] >= 0)
    kept &= ((cell[second] - cell[first]) == multiple).all(axis=1)
    return steps.of(kept), multiple[kept]
