"""What a beam sees of a crystal: its columns of atoms, in the two-dimensional cell of the projection."""

from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]

_NM = 0.1  # an Angstrom
# Atoms closer than this in projection stand in one column [nm]; finer than any probe.
TOGETHER_NM = 0.02
_REACH = 4  # combinations of the edges up to so many of each are tried for the projected cell


@dataclass(frozen=True)
class Columns:
    """The columns of a projected cell.

    Attributes
    ----------
    vectors : (2, 2) edges (x, y) of the projected cell [nm], one a row, the first along x.
    basis : (n, 2) fractional coordinates of the columns.
    atoms : for each column its atoms, from the top: (atomic number, depth [nm] from the middle of the crystal).
    """

    vectors: Array
    basis: Array
    atoms: tuple[tuple[tuple[int, float], ...], ...]

    @property
    def names(self) -> list[str]:
        """What each column is called: its elements, the heaviest first, with their number where there are several."""
        return [column_name(Counter(number for number, _ in column)) for column in self.atoms]


def column_name(composition: Counter[int]) -> str:
    """Name of a column by atomic numbers: ``Mo``, ``S2``, ``TiO``."""
    from ase.data import chemical_symbols

    parts = sorted(composition.items(), reverse=True)
    return "".join(chemical_symbols[number] + (str(n) if n > 1 else "") for number, n in parts)


def project(structure: "Atoms", zone_axis: tuple[int, int, int] = (0, 0, 1)) -> Columns:
    """Look along a zone axis.

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
    vectors = _shortest_cell(edges - np.outer(edges @ beam, beam))  # (2, 3)
    x = vectors[0] / np.linalg.norm(vectors[0])
    frame = np.stack([x, np.cross(beam, x)])  # (2, 3) x and y of the image
    flat = vectors @ frame.T
    positions = np.asarray(structure.positions, dtype=float) * _NM
    place = positions @ frame.T @ np.linalg.inv(flat)  # fractional
    depth = -(positions @ beam)
    if not is_layer:  # one repeat along the beam, whose zero is anywhere
        repeat = float(np.linalg.norm(axis // np.gcd.reduce(axis) @ cell))
        depth = (depth - depth.min()) % repeat
    depth = depth - depth.mean()
    basis, members = _cluster(place, flat)
    atoms = tuple(
        tuple((int(structure.numbers[k]), float(depth[k])) for k in sorted(column, key=lambda k: depth[k]))
        for column in members
    )
    return Columns(flat, basis, atoms)


def _shortest_cell(edges: Array) -> Array:
    """The two shortest vectors (2, 3) of the lattice that `edges` (n, 3), all in one plane, make."""
    counts = np.array(list(product(range(-_REACH, _REACH + 1), repeat=len(edges))))
    vectors = counts @ edges
    length = np.linalg.norm(vectors, axis=1)
    order = np.argsort(length, kind="stable")
    order = order[length[order] > 1e-4]
    first = vectors[order[0]]
    # of the vectors as short as each other, one at an acute angle to the first
    apart = np.linalg.norm(np.cross(vectors[order], first), axis=1) > 1e-3 * np.linalg.norm(first) * length[order]
    candidates = vectors[order][apart]
    shortest = np.linalg.norm(candidates[0])
    alike = candidates[np.linalg.norm(candidates, axis=1) < 1.001 * shortest]
    second = alike[np.argmax(alike @ first)]
    return np.stack([first, second])


def _cluster(place: Array, vectors: Array) -> tuple[Array, list[list[int]]]:
    """Columns: mean fractional places (n, 2), and the atoms of each."""
    left = list(range(len(place)))
    basis, members = [], []
    while left:
        apart = place[left] - place[left[0]]
        apart -= np.round(apart)
        near = np.linalg.norm(apart @ vectors, axis=1) < TOGETHER_NM
        members.append([k for k, is_near in zip(left, near, strict=True) if is_near])
        basis.append((place[left[0]] + apart[near].mean(axis=0)) % 1.0)
        left = [k for k, is_near in zip(left, near, strict=True) if not is_near]
    return np.array(basis), members
