"""A piece of a crystal: the columns of a structure on their sites, with its point and line defects."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.simulate.columns import z_contrast
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.structure_recipe import PointDefect, Structure

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

_NEIGHBOURS = 7  # among which the next defect of a cluster is looked for


@dataclass(frozen=True)
class Sites:
    """Sites of columns.

    Attributes
    ----------
    positions : (n, 2) x and y [px].
    column : (n,) its number in the cell; -1 for what stands between the columns.
    defect : (n,) number of the point defect, from 1; 0 for none.
    height : (n,) brightness of what stands there.
    """

    positions: Array
    column: Numbers
    defect: Numbers
    height: Array

    @classmethod
    def none(cls) -> "Sites":
        nothing = np.zeros(0, dtype=np.int64)
        return cls(np.zeros((0, 2)), nothing, nothing, np.zeros(0))

    def of(self, kept: NDArray[np.bool_]) -> "Sites":
        """Some of them."""
        return Sites(self.positions[kept], self.column[kept], self.defect[kept], self.height[kept])

    def moved(self, by: Array) -> "Sites":
        """All of them elsewhere [px]."""
        return replace(self, positions=self.positions + by)

    @classmethod
    def joined(cls, parts: "list[Sites]") -> "Sites":
        """All of several pieces."""
        return cls(
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.column for part in parts]),
            np.concatenate([part.defect for part in parts]),
            np.concatenate([part.height for part in parts]),
        )


@dataclass(frozen=True)
class Brightness:
    """How bright the columns are.

    Attributes
    ----------
    of_element : of one atom.
    column : (columns,) of each perfect one, the brightest 1.
    reference : what that one is in units of an atom's.
    """

    of_element: dict[str, float]
    column: Array
    reference: float

    def of(self, composition: dict[str, int]) -> float:
        """Of a column that holds so many atoms of each element."""
        return sum(n * self.of_element[symbol] for symbol, n in composition.items()) / self.reference


@dataclass(frozen=True)
class Placement:
    """Where a crystal lies.

    Attributes
    ----------
    matrix : (2, 2) takes its nm (x, y) to pixels.
    centre, radius : of the disc that it fills [px].
    px_per_nm : pixels a nm, whatever its strain.
    """

    matrix: Array
    centre: Array
    radius: float
    px_per_nm: float


def draw_brightness(material: Structure, rng: Generator) -> Brightness:
    """Draw how bright the elements are in an image."""
    exponent = rng.uniform(*material.contrast_exponent)
    compositions = material.columns.compositions
    symbols = {symbol for column in compositions for symbol in column}
    symbols |= {symbol for defect in material.point_defects for symbol in defect.becomes}
    of_element = {
        symbol: rng.uniform(*material.contrast[symbol])
        if symbol in material.contrast
        else z_contrast({symbol: 1}, exponent)
        for symbol in sorted(symbols)
    }
    raw = np.array([sum(n * of_element[symbol] for symbol, n in column.items()) for column in compositions])
    return Brightness(of_element, raw / raw.max(), float(raw.max()))


def fill_crystal(material: Structure, brightness: Brightness, place: Placement, rng: Generator) -> Sites:
    """Fill a place with a crystal, at an offset by chance, and put defects into it."""
    columns = material.columns
    vectors = columns.vectors @ place.matrix
    offset = rng.uniform(-0.5, 0.5, 2) @ vectors + place.centre
    positions, column = fill_lattice(vectors, columns.basis, place.radius + float(np.abs(vectors).sum()))
    sites = Sites(positions + offset, column, np.zeros(len(column), dtype=np.int64), brightness.column[column])
    names = np.array(columns.names, dtype=object)
    added = []
    for number, defect in enumerate(material.point_defects, start=1):
        if defect.at is not None:
            added.append(_between(defect, number, brightness, vectors, place.radius, rng).moved(offset))
            continue
        free = (names[sites.column] == defect.site) & (sites.defect == 0)
        chosen = _choose(sites.positions, free, rng.uniform(*defect.share), rng.uniform(*defect.clustered), rng)
        sites = _changed(sites, chosen, defect, number, brightness, rng)
    area_nm2 = np.pi * (place.radius / place.px_per_nm) ** 2
    for line in material.line_defects:
        number = next(k for k, defect in enumerate(material.point_defects, 1) if defect.name == line.defect)
        defect = material.point_defects[number - 1]
        if defect.site is None:
            continue
        for _ in range(rng.poisson(rng.uniform(*line.number) * area_nm2 / 100)):
            free = (names[sites.column] == defect.site) & (sites.defect == 0)
            length = rng.uniform(*line.length_nm) * place.px_per_nm
            sites = _changed(sites, _row(sites.positions, free, vectors, length, rng), defect, number, brightness, rng)
    return Sites.joined([sites, *added])


def _between(
    defect: PointDefect, number: int, brightness: Brightness, vectors: Array, radius: float, rng: Generator
) -> Sites:
    """Atoms between the columns of a crystal without offset."""
    places, _ = fill_lattice(vectors, np.array([defect.at]), radius)
    chosen = _choose(
        places, np.ones(len(places), bool), rng.uniform(*defect.share), rng.uniform(*defect.clustered), rng
    )
    n = int(chosen.sum())
    height = np.full(n, brightness.of(defect.becomes))
    return Sites(places[chosen], np.full(n, -1), np.full(n, number), height)


def _changed(
    sites: Sites, chosen: NDArray[np.bool_], defect: PointDefect, number: int, brightness: Brightness, rng: Generator
) -> Sites:
    """The same with a point defect on the chosen sites."""
    part = rng.uniform(*defect.column_share, size=len(chosen))
    changed = (1 - part) * sites.height + part * brightness.of(defect.becomes)
    return replace(
        sites,
        defect=np.where(chosen, number, sites.defect),
        height=np.where(chosen, changed, sites.height),
    )


def _choose(
    positions: Array, free: NDArray[np.bool_], share: float, clustered: float, rng: Generator
) -> NDArray[np.bool_]:
    """Choose a share of the free sites (n,), some of them next to others that are chosen."""
    chosen = np.zeros(len(free), dtype=bool)
    candidates = np.flatnonzero(free)
    n = int(rng.binomial(len(candidates), share)) if len(candidates) else 0
    if not n:
        return chosen
    first = max(1, round(n * (1 - clustered)))
    chosen[rng.choice(candidates, first, replace=False)] = True
    if first == n:
        return chosen
    tree = cKDTree(positions[candidates])
    for _ in range(n - first):
        start = candidates[rng.choice(np.flatnonzero(chosen[candidates]))]
        near = tree.query(positions[start], k=min(_NEIGHBOURS, len(candidates)))[1]
        left = [k for k in candidates[np.atleast_1d(near)] if not chosen[k]]
        if left:
            chosen[left[int(rng.integers(len(left)))]] = True
    return chosen


def _row(positions: Array, free: NDArray[np.bool_], vectors: Array, length: float, rng: Generator) -> NDArray[np.bool_]:
    """Free sites on a piece of a lattice row."""
    if not free.any():
        return free
    start = positions[rng.choice(np.flatnonzero(free))]
    directions = np.array([vectors[0], vectors[1], vectors[0] - vectors[1]])
    edge = directions[int(rng.integers(3))]
    unit = edge / np.linalg.norm(edge)
    away = positions - start
    along, across = away @ unit, away @ np.array([-unit[1], unit[0]])
    spacing = float(np.linalg.norm(vectors, axis=1).min())
    return free & (np.abs(across) < 0.25 * spacing) & (along > -0.25 * spacing) & (along < length)


def merged(sites: Sites, apart: float) -> Sites:
    """Columns that no microscope would tell apart become one: what the brighter one is, at their centre of gravity."""
    if len(sites.positions) < 2 or apart <= 0:
        return sites
    kept = np.ones(len(sites.positions), dtype=bool)
    positions, height = sites.positions.copy(), sites.height.copy()
    for i, j in sorted(cKDTree(positions).query_pairs(apart)):
        if not (kept[i] and kept[j]):
            continue
        bright, dim = (i, j) if height[i] >= height[j] else (j, i)
        total = height[i] + height[j]
        if total > 0:
            positions[bright] += height[dim] / total * (positions[dim] - positions[bright])
        height[bright] = total
        kept[dim] = False
    return replace(sites, positions=positions, height=height).of(kept)
