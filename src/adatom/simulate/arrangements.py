"""How atoms may lie: one function an arrangement, for a generator that should leave nothing out.

Each takes a random generator and a radius, and returns the atoms within that radius of the origin: positions (n, 2) as
(x, y) in units of the shortest distance of neighbours (somewhat less where layers or molecules meet), and heights (n,)
in units of the brightest kind's (more where two atoms were merged).
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.simulate.lattice import fill_lattice, without_the_later_of_close_pairs
from adatom.simulate.si111 import BASIS as SI111_BASIS
from adatom.simulate.si111 import IS_CORNER, IS_FAULTED

Array = NDArray[np.float64]
Atoms = tuple[Array, Array]
Arrangement = Callable[[Generator, float], Atoms]

# Columns dimmer than this, against the brightest, are not asked for: hardly an instrument could tell them from noise.
DIMMEST = 0.06
_HEXAGONAL = np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]])


def honeycomb(rng: Generator, radius: float) -> Atoms:
    """Two sublattices, as in graphene, hBN and the dichalcogenides seen from above."""
    basis = np.array([[0.0, 0.0], [1 / 3, 1 / 3]])
    return _crystal(np.sqrt(3) * _HEXAGONAL, basis, np.array([1.0, _dimmer(rng)]), radius)


def hexagonal(rng: Generator, radius: float) -> Atoms:
    """One atom a hexagonal cell: close-packed surfaces, graphite in STM."""
    return _crystal(_HEXAGONAL, np.zeros((1, 2)), np.ones(1), radius)


def square(rng: Generator, radius: float) -> Atoms:
    """A square cell, often with another kind in its centre, and sometimes on its edges (perovskites from above)."""
    basis, height = [[0.0, 0.0]], [1.0]
    kind = rng.random()
    if kind < 0.6:
        basis.append([0.5, 0.5])
        height.append(_dimmer(rng))
    if kind < 0.2:
        dim = rng.uniform(DIMMEST, 0.4)
        basis += [[0.5, 0.0], [0.0, 0.5]]
        height += [dim, dim]
    return _crystal(np.eye(2), np.array(basis), np.array(height), radius)


def rectangular(rng: Generator, radius: float) -> Atoms:
    """A rectangular cell, plain, centred, or with dumbbells (zincblende along [110])."""
    edge, kind = rng.uniform(1.1, 2.0), rng.random()
    vectors = np.diag([1.0, edge])
    if kind < 0.35:
        return _crystal(vectors, np.zeros((1, 2)), np.ones(1), radius)
    other = 1.0 if rng.random() < 0.4 else _dimmer(rng)
    if kind < 0.65:
        return _crystal(vectors, np.array([[0.0, 0.0], [0.5, 0.5]]), np.array([1.0, other]), radius)
    between = rng.uniform(0.2, 0.35)  # of a dumbbell's atoms, in cell edges
    basis = np.array([[0.0, 0.0], [0.0, between], [0.5, 0.5], [0.5, 0.5 + between]])
    return _crystal(np.diag([1.0, rng.uniform(1.2, 1.6)]), basis, np.array([1.0, other, 1.0, other]), radius)


def oblique(rng: Generator, radius: float) -> Atoms:
    """Any cell with one to five atoms anywhere in it, none too close to another."""
    angle = np.deg2rad(rng.uniform(60, 120))
    vectors = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]]) * np.array([[1.0], [rng.uniform(1.0, 1.8)]])
    wanted = int(rng.integers(1, 6))
    vectors *= np.sqrt(wanted)
    basis = rng.uniform(0, 1, (1, 2))
    for candidate in rng.uniform(0, 1, (30, 2)):
        if len(basis) < wanted:
            apart = candidate - basis
            apart = (apart - np.round(apart)) @ vectors
            if (apart**2).sum(axis=1).min() > 0.6:
                basis = np.concatenate([basis, candidate[None]])
    height = rng.uniform(2 * DIMMEST, 1.0, len(basis))
    return _crystal(vectors, basis, height / height.max(), radius)


def si111_7x7(rng: Generator, radius: float) -> Atoms:
    """The adatoms of Si(111)-7x7: a lattice with large holes."""
    height = np.where(IS_CORNER, rng.uniform(0.85, 1.3), 1.0) * np.where(IS_FAULTED, rng.uniform(0.8, 1.3), 1.0)
    return _crystal(_HEXAGONAL, SI111_BASIS, height, radius)


def moire(rng: Generator, radius: float) -> Atoms:
    """A lattice whose heights another one modulates, or two layers, one turned, of which both are seen."""
    first = (honeycomb if rng.random() < 0.5 else hexagonal)(rng, radius)
    if rng.random() < 0.6:
        positions, height = first
        period, angle = rng.uniform(4, 14), rng.uniform(0, np.pi)
        wave = np.zeros(len(positions))
        for turn in (0, np.pi / 3, 2 * np.pi / 3):
            wave += np.cos(2 * np.pi / period * (positions @ [np.cos(angle + turn), np.sin(angle + turn)]))
        return positions, height * (1 + rng.uniform(0.1, 0.6) * wave / 3)
    positions, height = hexagonal(rng, radius)
    other = _turn(positions, np.deg2rad(rng.uniform(1, 30))) * rng.uniform(0.93, 1.07) + rng.uniform(-0.5, 0.5, 2)
    return _merge_close(
        np.concatenate([positions, other]), np.concatenate([height, rng.uniform(0.4, 1.0) * height]), 0.6
    )


def molecules(rng: Generator, radius: float) -> Atoms:
    """Small pieces of a lattice, turned at will: molecules, clusters, flakes."""
    n_kinds = int(rng.integers(1, 3))
    pieces = []
    for _ in range(n_kinds):
        cut = rng.uniform(0.8, 3.0)
        positions, height = (honeycomb if rng.random() < 0.6 else hexagonal)(rng, cut + 1)
        inside = np.hypot(*(positions - rng.uniform(-0.5, 0.5, 2)).T) < cut
        if inside.any():
            pieces.append((positions[inside], height[inside], cut))
    if not pieces:
        return isolated(rng, radius)
    apart = 2 * max(cut for *_, cut in pieces) + rng.uniform(0.5, 4.0)
    centres = _scatter(rng, radius, rng.uniform(0.2, 1.0) / apart**2, apart)
    if rng.random() < 0.3:  # ordered on the surface
        centres = fill_lattice(apart * _HEXAGONAL, np.zeros((1, 2)), radius)[0]
    parts, heights = [], []
    for centre in centres:
        positions, height, _ = pieces[int(rng.integers(len(pieces)))]
        parts.append(_turn(positions, rng.uniform(0, 2 * np.pi)) + centre)
        heights.append(height * rng.uniform(0.7, 1.0))
    if not parts:
        return np.zeros((0, 2)), np.zeros(0)
    return _merge_close(np.concatenate(parts), np.concatenate(heights), 0.8)


def isolated(rng: Generator, radius: float) -> Atoms:
    """Single atoms anywhere: heavy atoms on a light support, adatoms on a flat surface."""
    positions = _scatter(rng, radius, float(np.exp(rng.uniform(np.log(0.003), np.log(0.3)))), 1.0)
    return positions, rng.uniform(rng.uniform(0.3, 1.0), 1.0, len(positions))


def nothing(rng: Generator, radius: float) -> Atoms:
    """No atom at all: what lies around and under them must be known too."""
    return np.zeros((0, 2)), np.zeros(0)


ARRANGEMENTS: dict[str, Arrangement] = {
    "honeycomb": honeycomb,
    "hexagonal": hexagonal,
    "square": square,
    "rectangular": rectangular,
    "oblique": oblique,
    "si111_7x7": si111_7x7,
    "moire": moire,
    "molecules": molecules,
    "isolated": isolated,
    "nothing": nothing,
}


def _dimmer(rng: Generator) -> float:
    """Height of a second kind: even in the logarithm, as dim columns are the hard ones."""
    return float(np.exp(rng.uniform(np.log(DIMMEST), 0.0)))


def _crystal(vectors: Array, basis: Array, height: Array, radius: float) -> Atoms:
    """A crystal with its shortest distance of neighbours brought to 1."""
    around, _ = fill_lattice(vectors, basis, 2.5 * float(np.linalg.norm(vectors, axis=1).max()))
    sites = basis @ vectors
    distance = cKDTree(around).query(sites, k=2)[0][:, 1].min() if len(around) > 1 else 1.0
    positions, site = fill_lattice(vectors / distance, basis, radius)
    return positions, height[site]


def _scatter(rng: Generator, radius: float, density: float, apart: float) -> Array:
    """Random positions in a disc, none closer than `apart` to another."""
    n = int(rng.poisson(density * np.pi * radius**2))
    positions = rng.uniform(-radius, radius, (max(1, int(1.28 * n)), 2))
    positions = positions[np.hypot(*positions.T) < radius]
    if len(positions) < 2:
        return positions
    return positions[without_the_later_of_close_pairs(positions, apart)]


def _merge_close(positions: Array, height: Array, apart: float) -> Atoms:
    """Atoms that no microscope would tell apart become one, at their centre of gravity."""
    if len(positions) < 2:
        return positions, height
    pairs = cKDTree(positions).query_pairs(apart, output_type="ndarray")
    kept = np.ones(len(positions), dtype=bool)
    positions, height = positions.copy(), height.copy()
    for i, j in pairs[np.argsort(pairs[:, 0], kind="stable")]:
        if kept[i] and kept[j]:
            weight = height[j] / (height[i] + height[j])
            positions[i] += weight * (positions[j] - positions[i])
            height[i] += height[j]
            kept[j] = False
    return positions[kept], height[kept]


def _turn(positions: Array, angle: float) -> Array:
    cosine, sine = np.cos(angle), np.sin(angle)
    turned: Array = positions @ np.array([[cosine, sine], [-sine, cosine]])
    return turned
