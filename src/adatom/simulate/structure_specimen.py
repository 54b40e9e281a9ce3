"""A crystal structure with its defects, grains, layers and particles, as atoms in the image."""

from collections import Counter
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.simulate.atoms_in_image import Parts, Specimen
from adatom.simulate.columns import atomic_number
from adatom.simulate.distortion import draw_distortion, turned
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.particles import Outline, draw_outlines, instance_mask
from adatom.simulate.probe_recipe import StemProbe
from adatom.simulate.recipe import Microscope
from adatom.simulate.structure_recipe import Grains, PointDefect, SecondLayer, Structure

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

_NEIGHBOURS = 7  # among which the next defect of a cluster is looked for
_SLICES = 5  # of a thick column that is tilted
_GRAIN_GAP = 0.65  # of the shortest distance of columns: closer ones at a grain boundary are one too many


@dataclass(frozen=True)
class _Sites:
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

    def of(self, kept: NDArray[np.bool_]) -> "_Sites":
        return _Sites(self.positions[kept], self.column[kept], self.defect[kept], self.height[kept])

    @classmethod
    def joined(cls, parts: "list[_Sites]") -> "_Sites":
        return cls(
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.column for part in parts]),
            np.concatenate([part.defect for part in parts]),
            np.concatenate([part.height for part in parts]),
        )


@dataclass(frozen=True)
class _Brightness:
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
        return sum(n * self.of_element[symbol] for symbol, n in composition.items()) / self.reference


def draw_structure(material: Structure, microscope: Microscope, rng: Generator) -> Specimen:
    """Draw a crystal that covers the image and a margin around it."""
    size = microscope.image_size
    px_per_nm = rng.uniform(*microscope.scale) / microscope.pixel_size_nm
    margin = microscope.reach_nm * px_per_nm
    brightness = _draw_brightness(material, rng)
    distortion = draw_distortion(microscope, rng)
    outlines: list[Outline] = []
    if material.particles is not None:
        outlines = draw_outlines(material.particles, size, px_per_nm, margin, rng)
        parts = [
            _cut(
                _crystal(
                    material,
                    brightness,
                    turned(rng.uniform(0, 2 * np.pi)) @ distortion * px_per_nm,
                    one.centre,
                    one.reach,
                    px_per_nm,
                    rng,
                ),
                one,
            )
            for one in outlines
        ]
        sites = _merged(_Sites.joined(parts), 0.05 * px_per_nm) if parts else _no_sites()
    else:
        sites = _grains(material, brightness, distortion, size, margin, px_per_nm, rng)
    layer = material.second_layer
    if layer is not None and rng.random() < layer.probability:
        other = _second(material, layer, brightness, distortion, size, margin, px_per_nm, rng)
        sites = _merged(_Sites.joined([sites, other]), layer.merge_nm * px_per_nm)
    x, y = sites.positions.T
    sites = sites.of((x > -margin) & (x < size + margin) & (y > -margin) & (y < size + margin))
    specimen = _specimen(material, sites, outlines, size, px_per_nm, rng)
    if isinstance(microscope.probe, StemProbe) and microscope.probe.engine == "multislice":
        specimen.structure = _in_three_dimensions(material, sites, px_per_nm, rng)
    return specimen


def _draw_brightness(material: Structure, rng: Generator) -> _Brightness:
    exponent = rng.uniform(*material.contrast_exponent)
    compositions = _compositions(material)
    symbols = {symbol for column in compositions for symbol in column}
    symbols |= {symbol for defect in material.point_defects for symbol in defect.becomes}
    of_element = {
        symbol: rng.uniform(*material.contrast[symbol])
        if symbol in material.contrast
        else float(atomic_number(symbol)) ** exponent
        for symbol in sorted(symbols)
    }
    raw = np.array([sum(n * of_element[symbol] for symbol, n in column.items()) for column in compositions])
    return _Brightness(of_element, raw / raw.max(), float(raw.max()))


def _compositions(material: Structure) -> list[Counter[str]]:
    """Atoms of each column, as its name has them."""
    counts = [Counter(symbol for symbol, _ in column) for column in material.columns.atoms]
    common = gcd(*(n for column in counts for n in column.values()))
    return [Counter({symbol: n // common for symbol, n in column.items()}) for column in counts]


# -------------------------------------------------------------------------------------------------- crystals


def _crystal(
    material: Structure,
    brightness: _Brightness,
    matrix: Array,
    centre: Array,
    radius: float,
    px_per_nm: float,
    rng: Generator,
) -> _Sites:
    """A crystal with its point and line defects around `centre` [px]; `matrix` (2, 2) takes its nm to pixels."""
    columns = material.columns
    vectors = columns.vectors @ matrix
    offset = rng.uniform(-0.5, 0.5, 2) @ vectors + centre
    positions, column = fill_lattice(vectors, columns.basis, radius + float(np.abs(vectors).sum()))
    sites = _Sites(positions + offset, column, np.zeros(len(column), dtype=np.int64), brightness.column[column])
    names = np.array(columns.names, dtype=object)
    added = []
    for number, defect in enumerate(material.point_defects, start=1):
        if defect.at is not None:
            added.append(_between(defect, number, brightness, vectors, offset, radius, rng))
            continue
        free = (names[sites.column] == defect.site) & (sites.defect == 0)
        chosen = _choose(sites.positions, free, rng.uniform(*defect.share), rng.uniform(*defect.clustered), rng)
        sites = _changed(sites, chosen, defect, number, brightness, rng)
    area_nm2 = np.pi * (radius / px_per_nm) ** 2
    for line in material.line_defects:
        number = next(k for k, defect in enumerate(material.point_defects, 1) if defect.name == line.defect)
        defect = material.point_defects[number - 1]
        if defect.site is None:
            continue
        for _ in range(rng.poisson(rng.uniform(*line.number) * area_nm2 / 100)):
            free = (names[sites.column] == defect.site) & (sites.defect == 0)
            length = rng.uniform(*line.length_nm) * px_per_nm
            sites = _changed(sites, _row(sites.positions, free, vectors, length, rng), defect, number, brightness, rng)
    return _Sites.joined([sites, *added])


def _between(
    defect: PointDefect,
    number: int,
    brightness: _Brightness,
    vectors: Array,
    offset: Array,
    radius: float,
    rng: Generator,
) -> _Sites:
    """Atoms between the columns."""
    places, _ = fill_lattice(vectors, np.array([defect.at]), radius)
    chosen = _choose(
        places, np.ones(len(places), bool), rng.uniform(*defect.share), rng.uniform(*defect.clustered), rng
    )
    n = int(chosen.sum())
    height = np.full(n, brightness.of(defect.becomes))
    return _Sites(places[chosen] + offset, np.full(n, -1), np.full(n, number), height)


def _changed(
    sites: _Sites, chosen: NDArray[np.bool_], defect: PointDefect, number: int, brightness: _Brightness, rng: Generator
) -> _Sites:
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


def _grains(
    material: Structure,
    brightness: _Brightness,
    distortion: Array,
    size: int,
    margin: float,
    px_per_nm: float,
    rng: Generator,
) -> _Sites:
    """One crystal, or grains of it."""
    middle, radius = np.full(2, size / 2), size / np.sqrt(2) + margin
    plan: Grains | None = material.grains
    if plan is None or rng.random() >= plan.probability:
        return _crystal(material, brightness, distortion * px_per_nm, middle, radius, px_per_nm, rng)
    n = int(rng.integers(plan.number[0], plan.number[1] + 1))
    centres = rng.uniform(0, size, (n, 2))
    parts = []
    for k in range(n):
        matrix = turned(np.deg2rad(rng.uniform(*plan.turn_deg)) if k else 0.0) @ distortion * px_per_nm
        if rng.random() < plan.mirror_probability:
            matrix = np.diag([1.0, -1.0]) @ matrix
        grain = _crystal(material, brightness, matrix, middle, radius, px_per_nm, rng)
        nearest = ((grain.positions[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        parts.append(grain.of(nearest == k))
    sites = _Sites.joined(parts)
    apart = _GRAIN_GAP * material.shortest_distance_nm * px_per_nm
    pairs = cKDTree(sites.positions).query_pairs(apart, output_type="ndarray")
    kept = np.ones(len(sites.positions), dtype=bool)
    kept[pairs.max(axis=1)] = False
    return sites.of(kept)


def _second(
    material: Structure,
    layer: SecondLayer,
    brightness: _Brightness,
    distortion: Array,
    size: int,
    margin: float,
    px_per_nm: float,
    rng: Generator,
) -> _Sites:
    matrix = turned(np.deg2rad(rng.uniform(*layer.twist_deg))) @ distortion * px_per_nm * rng.uniform(*layer.stretch)
    return _crystal(material, brightness, matrix, np.full(2, size / 2), size / np.sqrt(2) + margin, px_per_nm, rng)


def _merged(sites: _Sites, apart: float) -> _Sites:
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


def _cut(sites: _Sites, outline: Outline) -> _Sites:
    """The part of a crystal that is inside a particle, as thick as that is."""
    thickness = outline.thickness(sites.positions)
    return replace(sites, height=sites.height * thickness).of(thickness > 0)


def _no_sites() -> _Sites:
    nothing = np.zeros(0, dtype=np.int64)
    return _Sites(np.zeros((0, 2)), nothing, nothing, np.zeros(0))


# -------------------------------------------------------------------------------------------------- to the image


def _specimen(
    material: Structure, sites: _Sites, outlines: list[Outline], size: int, px_per_nm: float, rng: Generator
) -> Specimen:
    classes = material.classes
    of_column = np.array([classes.index(name) for name in material.columns.names])
    species = of_column[np.maximum(sites.column, 0)]
    labelled = np.ones(len(species), dtype=bool)
    for number, defect in enumerate(material.point_defects, start=1):
        mine = sites.defect == number
        if defect.is_class:
            species = np.where(mine, classes.index(defect.name), species)
        else:  # an empty site that is no class of its own is nothing
            labelled &= ~(mine & (sites.height <= 0))
    height = sites.height * _wedge(material, sites.positions, size, rng)
    specimen = Specimen(
        x=sites.positions[:, 0],
        y=sites.positions[:, 1],
        species=species,
        height=height,
        px_per_nm=px_per_nm,
        defect=sites.defect,
        parts=_tilted(material, sites, px_per_nm, rng) if material.tilt_deg[1] > 0 else None,
        instances=instance_mask(outlines, size) if material.particles is not None else None,
    )
    specimen.keep(labelled)
    return specimen


def _wedge(material: Structure, positions: Array, size: int, rng: Generator) -> Array:
    """Factor of the thickness at each position, 1 in the middle of the image."""
    change, angle = rng.uniform(*material.thickness_change), rng.uniform(0, 2 * np.pi)
    along = (positions - size / 2) @ np.array([np.cos(angle), np.sin(angle)]) / size
    factor: Array = np.maximum(1 + change * along, 0.05)
    return factor


def _tilted(material: Structure, sites: _Sites, px_per_nm: float, rng: Generator) -> Parts:
    """Atoms of a column lie beside each other where the crystal is tilted; changed columns are left as they are."""
    shift = np.tan(np.deg2rad(rng.uniform(*material.tilt_deg))) * px_per_nm
    angle = rng.uniform(0, 2 * np.pi)
    thickness = rng.uniform(*material.thickness_nm)
    exponent = np.mean(material.contrast_exponent)
    owner, depth, share = [], [], []
    for number, column in enumerate(material.columns.atoms):
        mine = np.flatnonzero((sites.column == number) & (sites.defect == 0))
        if material.is_layer:
            at = np.array([z for _, z in column])
            weight = np.array([float(atomic_number(symbol)) ** exponent for symbol, _ in column])
        else:
            at, weight = np.linspace(-0.5, 0.5, _SLICES) * thickness, np.ones(_SLICES)
        owner.append(np.repeat(mine, len(at)))
        depth.append(np.tile(at, len(mine)))
        share.append(np.tile(weight / weight.sum(), len(mine)))
    others = np.flatnonzero((sites.column < 0) | (sites.defect > 0))
    all_depth = np.concatenate([*depth, np.zeros(len(others))])
    return Parts(
        np.concatenate([*owner, others]),
        shift * np.cos(angle) * all_depth,
        shift * np.sin(angle) * all_depth,
        np.concatenate([*share, np.ones(len(others))]),
    )


def _in_three_dimensions(material: Structure, sites: _Sites, px_per_nm: float, rng: Generator) -> Any:
    """`ase.Atoms` of all columns as defects have left them; x and y [A] in the frame of the image, the beam along z."""
    from ase import Atoms

    columns = material.columns
    n_repeats = max(1, round(rng.uniform(*material.thickness_nm) / columns.repeat_nm)) if columns.repeat_nm else 1
    symbols: list[str] = []
    places: list[tuple[float, float, float]] = []
    for (x, y), column, number in zip(10 * sites.positions / px_per_nm, sites.column, sites.defect, strict=True):
        held = columns.atoms[column] if column >= 0 else ()
        if number:
            becomes = material.point_defects[number - 1].becomes
            now = [symbol for symbol, n in becomes.items() for _ in range(n)]
            depths = [depth for _, depth in held] or [0.0]
            held = tuple((symbol, depths[k % len(depths)]) for k, symbol in enumerate(now))
        for repeat in range(n_repeats):
            for symbol, depth in held:
                symbols.append(symbol)
                places.append((x, y, 10 * (depth + repeat * columns.repeat_nm)))
    return Atoms(symbols, positions=places)
