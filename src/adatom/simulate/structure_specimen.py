"""A crystal structure as a specimen: grains of it, particles, a second layer over it; a wedge, a tilt."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.simulate.atoms_in_image import Parts, Specimen
from adatom.simulate.crystal_sites import Brightness, Placement, Sites, draw_brightness, fill_crystal, merged
from adatom.simulate.distortion import draw_distortion, turned
from adatom.simulate.lattice import without_the_later_of_close_pairs
from adatom.simulate.particles import Outline, draw_outlines, instance_mask
from adatom.simulate.probe_recipe import StemProbe
from adatom.simulate.recipe import Microscope
from adatom.simulate.structure_recipe import Grains, Structure

Array = NDArray[np.float64]

_SLICES = 5  # of a thick column that is tilted
_GRAIN_GAP = 0.65  # of the shortest distance of columns: closer ones at a grain boundary are one too many
_PARTICLE_GAP_NM = 0.05  # closer columns of particles that overlap become one


def draw_structure(material: Structure, microscope: Microscope, rng: Generator) -> Specimen:
    """Draw a crystal that covers the image and a margin around it."""
    size = microscope.image_size
    px_per_nm = rng.uniform(*microscope.scale) / microscope.pixel_size_nm
    margin = microscope.reach_nm * px_per_nm
    brightness = draw_brightness(material, rng)
    whole = Placement(
        draw_distortion(microscope, rng) * px_per_nm, np.full(2, size / 2), size / np.sqrt(2) + margin, px_per_nm
    )
    outlines: list[Outline] = []
    if material.particles is not None:
        outlines = draw_outlines(material.particles, size, px_per_nm, margin, rng)
        sites = _particles(material, brightness, whole, outlines, rng)
    else:
        sites = _grains(material, brightness, whole, size, rng)
    layer = material.second_layer
    if layer is not None and rng.random() < layer.probability:
        turn = turned(np.deg2rad(rng.uniform(*layer.twist_deg)))
        other = replace(whole, matrix=turn @ whole.matrix * rng.uniform(*layer.stretch))
        second = fill_crystal(material, brightness, other, rng)
        sites = merged(Sites.joined([sites, second]), layer.merge_nm * px_per_nm)
    x, y = sites.positions.T
    sites = sites.of((x > -margin) & (x < size + margin) & (y > -margin) & (y < size + margin))
    specimen = _specimen(material, brightness, sites, size, px_per_nm, rng)
    if material.particles is not None:
        specimen.instances = instance_mask(outlines, size)
    if isinstance(microscope.probe, StemProbe) and microscope.probe.engine == "multislice":
        specimen.structure = _in_three_dimensions(material, sites, px_per_nm, rng)
    return specimen


def _particles(
    material: Structure, brightness: Brightness, whole: Placement, outlines: list[Outline], rng: Generator
) -> Sites:
    """The crystal inside of particles, each turned at will, as thick as these are."""
    parts = []
    for one in outlines:
        turn = turned(rng.uniform(0, 2 * np.pi))
        place = replace(whole, matrix=turn @ whole.matrix, centre=one.centre, radius=one.radius)
        sites = fill_crystal(material, brightness, place, rng)
        thickness = one.thickness(sites.positions)
        parts.append(replace(sites, height=sites.height * thickness).of(thickness > 0))
    return merged(Sites.joined(parts), _PARTICLE_GAP_NM * whole.px_per_nm) if parts else Sites.none()


def _grains(material: Structure, brightness: Brightness, whole: Placement, size: int, rng: Generator) -> Sites:
    """One crystal, or grains of it."""
    plan: Grains | None = material.grains
    if plan is None or rng.random() >= plan.probability:
        return fill_crystal(material, brightness, whole, rng)
    n = int(rng.integers(plan.number[0], plan.number[1] + 1))
    centres = rng.uniform(0, size, (n, 2))
    parts = []
    for k in range(n):
        matrix = turned(np.deg2rad(rng.uniform(*plan.turn_deg)) if k else 0.0) @ whole.matrix
        if rng.random() < plan.mirror_probability:
            matrix = np.diag([1.0, -1.0]) @ matrix
        grain = fill_crystal(material, brightness, replace(whole, matrix=matrix), rng)
        nearest = ((grain.positions[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        parts.append(grain.of(nearest == k))
    sites = Sites.joined(parts)
    apart = _GRAIN_GAP * material.shortest_distance_nm * whole.px_per_nm
    return sites.of(without_the_later_of_close_pairs(sites.positions, apart))


def _specimen(
    material: Structure, brightness: Brightness, sites: Sites, size: int, px_per_nm: float, rng: Generator
) -> Specimen:
    """Sites as atoms in the image, each with its class."""
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
        parts=_tilted(material, brightness, sites, px_per_nm, rng) if material.tilt_deg[1] > 0 else None,
    )
    specimen.keep(labelled)
    return specimen


def _wedge(material: Structure, positions: Array, size: int, rng: Generator) -> Array:
    """Factor of the thickness at each position, 1 in the middle of the image."""
    change, angle = rng.uniform(*material.thickness_change), rng.uniform(0, 2 * np.pi)
    along = (positions - size / 2) @ np.array([np.cos(angle), np.sin(angle)]) / size
    factor: Array = np.maximum(1 + change * along, 0.05)
    return factor


def _tilted(material: Structure, brightness: Brightness, sites: Sites, px_per_nm: float, rng: Generator) -> Parts:
    """Atoms of a column lie beside each other where the crystal is tilted; changed columns are left as they are."""
    shift = np.tan(np.deg2rad(rng.uniform(*material.tilt_deg))) * px_per_nm
    angle = rng.uniform(0, 2 * np.pi)
    thickness = rng.uniform(*material.thickness_nm)
    owner, depth, share = [], [], []
    for number, column in enumerate(material.columns.atoms):
        mine = np.flatnonzero((sites.column == number) & (sites.defect == 0))
        if material.is_layer:
            at = np.array([z for _, z in column])
            weight = np.array([brightness.of_element[symbol] for symbol, _ in column])
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


def _in_three_dimensions(material: Structure, sites: Sites, px_per_nm: float, rng: Generator) -> Any:
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
