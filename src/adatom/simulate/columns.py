"""What a beam sees of a crystal: its columns of atoms, in the two-dimensional cell of the projection."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]

_NM = 0.1  # an Angstrom
# Atoms closer than this in projection stand in one column [nm]: what the best microscopes just resolve.
TOGETHER_NM = 0.05
_REACH = 4  # combinations of the edges up to so many of each are tried for the projected cell


@dataclass(frozen=True, eq=False)  # arrays have no single answer
class Columns:
    """The columns of a projected cell.

    Attributes
    ----------
    vectors : (2, 2) edges (x, y) of the projected cell [nm], one a row, the first along x.
    basis : (n, 2) fractional coordinates of the columns.
    atoms : for each column its atoms, from the top: (symbol, depth [nm] from the middle).
    repeat_nm : after which a column repeats along the beam; 0 for a layer.
    """

    vectors: Array
    basis: Array
    atoms: tuple[tuple[tuple[str, float], ...], ...]
    repeat_nm: float = 0.0

    @property
    def names(self) -> list[str]:
        """What each column is called: its elements, the heaviest first, with their number where there are several.

        ``Mo`` and ``S2``; numbers that all columns have in common are left out, so silicon's are ``Si`` however many
        atoms a repeat of them holds.
        """
        return [
            "".join(
                symbol + (str(n) if n > 1 else "")
                for symbol, n in sorted(column.items(), key=lambda pair: -atomic_number(pair[0]))
            )
            for column in self.compositions
        ]

    @property
    def compositions(self) -> list[Counter[str]]:
        """Atoms of each element in each column, without a factor that all have in common."""
        counts = [Counter(symbol for symbol, _ in column) for column in self.atoms]
        common = gcd(*(n for column in counts for n in column.values()))
        return [Counter({symbol: n // common for symbol, n in column.items()}) for column in counts]


def z_contrast(composition: Mapping[str, float], exponent: float) -> float:
    """Brightness of a column in the dark field: the sum of Z^exponent over its atoms.

    Parameters
    ----------
    composition : symbol of each element -> number of its atoms in the column (shares of sites are allowed).
    exponent : 2 for Rutherford scattering; 1.6 to 1.8 for usual dark-field detectors, as electrons screen the nucleus.

    Raises
    ------
    ArgumentError : if an element is unknown, or a number is negative.
    """
    for symbol, number in composition.items():
        if not 0 <= number < np.inf:
            raise ArgumentError(f"composition: expected numbers of atoms from 0 up, got {number} of {symbol}.")
    return float(sum(number * float(atomic_number(symbol)) ** exponent for symbol, number in composition.items()))


def atomic_number(symbol: str) -> int:
    """Of an element's symbol.

    Raises
    ------
    ArgumentError : if there is no such element.
    """
    from ase.data import atomic_numbers

    number = int(atomic_numbers.get(symbol, 0))
    if number < 1:
        raise ArgumentError(f"element: expected the symbol of one, got {symbol!r}.")
    return number


def project(structure: "Atoms", zone_axis: tuple[int, int, int] = (0, 0, 1)) -> Columns:
    """Look along a zone axis: the beam goes into the image, x to the right, y down, a right-handed frame.

    Parameters
    ----------
    structure : a crystal, or a layer (not periodic along its third edge; then only ``(0, 0, 1)`` makes sense).
    zone_axis : direction of the beam as a combination of the cell's edges.

    Raises
    ------
    ArgumentError : if the axis is no direction, or a layer is looked at from another side.
    """
    cell = np.asarray(structure.cell.array, dtype=float) * _NM
    is_layer = not structure.pbc[2] or np.linalg.norm(cell[2]) < 1e-6
    axis = np.array(zone_axis, dtype=int)
    if not axis.any():
        raise ArgumentError("zone_axis: expected three whole numbers, not all 0.")
    if is_layer and (axis[0] or axis[1]):
        raise ArgumentError(f"zone_axis: expected [0, 0, 1] for a layer, got {list(zone_axis)}.")
    edges = cell[:2] if is_layer else cell
    beam = np.cross(cell[0], cell[1]) if is_layer else axis @ cell
    beam = beam / np.linalg.norm(beam)
    if is_layer and axis[2] < 0:
        beam = -beam
    vectors = _shortest_cell(edges - np.outer(edges @ beam, beam), beam)  # (2, 3)
    x = vectors[0] / np.linalg.norm(vectors[0])
    frame = np.stack([x, np.cross(beam, x)])  # (2, 3) x and y of the image
    flat = vectors @ frame.T
    positions = np.asarray(structure.positions, dtype=float) * _NM
    place = positions @ frame.T @ np.linalg.inv(flat)  # fractional
    depth = positions @ beam
    repeat = 0.0
    if not is_layer:  # one repeat along the beam, whose zero is anywhere
        repeat = float(np.linalg.norm(axis // np.gcd.reduce(axis) @ cell))
        depth = (depth - depth.min()) % repeat
    depth = depth - depth.mean()
    basis, members = _cluster(place, flat, np.asarray(structure.numbers, dtype=float))
    atoms = tuple(
        tuple((str(structure.symbols[k]), float(depth[k])) for k in sorted(column, key=lambda k: depth[k]))
        for column in members
    )
    return Columns(flat, basis, atoms, repeat)


def _shortest_cell(edges: Array, beam: Array) -> Array:
    """The two shortest vectors (2, 3) of the lattice that `edges` (n, 3), all in one plane, make.

    Of vectors as short as each other the first is along the edges, the second at an acute angle to it, clockwise in
    the image.
    """
    counts = np.array(list(product(range(_REACH, -_REACH - 1, -1), repeat=len(edges))))
    vectors = counts @ edges
    length = np.round(np.linalg.norm(vectors, axis=1), 6)
    order = np.argsort(length, kind="stable")  # of equals, those with positive counts first
    order = order[length[order] > 1e-4]
    first = vectors[order[0]]
    handed = np.cross(first, vectors[order]) @ beam / np.linalg.norm(first)
    candidates = vectors[order][handed > 1e-3 * length[order]]
    shortest = np.linalg.norm(candidates, axis=1)
    alike = candidates[shortest < 1.001 * shortest[0]]
    second = alike[np.argmax(np.round(alike @ first, 6))]
    return np.stack([first, second])


def _cluster(place: Array, vectors: Array, weight: Array) -> tuple[Array, list[list[int]]]:
    """Columns: weighted mean of the fractional places (n, 2), and the atoms of each."""
    left = list(range(len(place)))
    basis, members = [], []
    while left:
        apart = place[left] - place[left[0]]
        apart -= np.round(apart)
        near = np.linalg.norm(apart @ vectors, axis=1) < TOGETHER_NM
        members.append([k for k, is_near in zip(left, near, strict=True) if is_near])
        basis.append((place[left[0]] + np.average(apart[near], axis=0, weights=weight[left][near])) % 1.0)
        left = [k for k, is_near in zip(left, near, strict=True) if not is_near]
    return np.array(basis), members
