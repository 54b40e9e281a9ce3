"""Materials and defects: a piece of crystal, with what is wrong with it, as a list of atoms."""

from importlib import import_module

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.simulate.arrangements import ARRANGEMENTS
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.distortion import draw_distortion
from adatom.simulate.domain_recipe import Domains
from adatom.simulate.domains import draw_polarisation
from adatom.simulate.lattice import fill_lattice, without_the_later_of_close_pairs
from adatom.simulate.nanoparticles import draw_nanoparticles
from adatom.simulate.particle_recipe import Nanoparticles
from adatom.simulate.recipe import AnyAtoms, ImageRecipe, Microscope, SingleAtoms
from adatom.simulate.single_atoms import draw_positions
from adatom.simulate.structure_recipe import Structure
from adatom.simulate.structure_specimen import draw_structure

Array = NDArray[np.float64]

# kind of material -> module with draw_crystal(material, rng); a new material is one file and one line here
MATERIALS = {
    "hexagonal_two_atoms": "adatom.simulate.hexagonal_two_atoms",
    "si111_7x7": "adatom.simulate.si111",
}


def draw_specimen(recipe: ImageRecipe, rng: Generator) -> Specimen:
    """Draw atoms with point defects that cover the image and a margin around it; or domains, or particles."""
    material = recipe.material
    if isinstance(material, Domains):
        return _draw_domains(material, recipe.microscope, rng)
    if isinstance(material, Nanoparticles):
        return _draw_nanoparticles(material, recipe.microscope, rng)
    if isinstance(material, AnyAtoms):
        specimen = _draw_arrangement(material, recipe, rng)
    elif isinstance(material, SingleAtoms):
        specimen = _draw_single_atoms(material, recipe.microscope, rng)
    elif isinstance(material, Structure):
        specimen = draw_structure(material, recipe.microscope, rng)
    else:
        specimen = _draw_crystal(recipe, rng)
    spread = rng.uniform(*material.height_spread)
    specimen.height = specimen.height * np.clip(1 + spread * rng.standard_normal(len(specimen.x)), 0.3, 2.0)
    displacement = rng.uniform(*material.displacement_nm) * specimen.px_per_nm
    specimen.x = specimen.x + displacement * rng.standard_normal(len(specimen.x))
    specimen.y = specimen.y + displacement * rng.standard_normal(len(specimen.x))
    _remove(specimen, recipe, rng)
    return specimen


def _draw_crystal(recipe: ImageRecipe, rng: Generator) -> Specimen:
    material, microscope = recipe.material, recipe.microscope
    crystal = import_module(MATERIALS[material.kind]).draw_crystal(material, rng)
    px_per_nm = rng.uniform(*microscope.scale) / microscope.pixel_size_nm
    size = microscope.image_size
    vectors = crystal.vectors @ draw_distortion(microscope, rng) * px_per_nm  # (2, 2) px
    margin = microscope.reach_nm * px_per_nm
    positions, site = fill_lattice(vectors, crystal.basis, radius=size / np.sqrt(2) + margin + size / 8)
    offset = rng.uniform(-0.5, 0.5, 2) @ vectors if _cell_fits(vectors, size / 8) else rng.uniform(-1, 1, 2) * size / 8
    positions = positions + offset + size / 2
    near = (positions > -margin).all(axis=1) & (positions < size + margin).all(axis=1)
    positions, site = positions[near], site[near]
    specimen = Specimen(
        x=positions[:, 0],
        y=positions[:, 1],
        species=crystal.species[site],
        height=crystal.height[site],
        px_per_nm=px_per_nm,
    )
    _substitute(specimen, crystal.species, crystal.height, recipe, rng)
    return specimen


def _draw_arrangement(material: AnyAtoms, recipe: ImageRecipe, rng: Generator) -> Specimen:
    microscope, size = recipe.microscope, recipe.microscope.image_size
    px_per_nm = rng.uniform(*microscope.scale) / microscope.pixel_size_nm
    spacing_px = px_per_nm * float(np.exp(rng.uniform(*np.log(material.spacing_nm))))
    width_px = float(np.clip(rng.uniform(*material.peak_width) * spacing_px, *_in_px(microscope, px_per_nm)))
    names, weights = list(material.arrangements), np.array(list(material.arrangements.values()))
    margin = 4 * width_px if microscope.probe is None else microscope.reach_nm * px_per_nm
    radius = (size / np.sqrt(2) + margin) / spacing_px * 1.15
    n_grains = int(rng.integers(2, 5)) if rng.random() < material.grains_probability else 1
    centres = rng.uniform(-0.5, 0.5, (n_grains, 2)) * size
    kind = names[rng.choice(len(names), p=weights / weights.sum())]
    draw_seed = int(rng.integers(2**63))
    parts, heights = [], []
    for grain in range(n_grains):
        if rng.random() < 0.15:  # another phase
            kind, draw_seed = names[rng.choice(len(names), p=weights / weights.sum())], int(rng.integers(2**63))
        # grains of a phase differ in nothing but their orientation
        positions, height = ARRANGEMENTS[kind](np.random.default_rng(draw_seed), radius)
        positions = positions @ draw_distortion(microscope, rng) * spacing_px
        if kind not in ("isolated", "molecules", "nothing"):
            positions = positions + rng.uniform(-0.5, 0.5, 2) * spacing_px
        nearest = ((positions[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        mine = nearest == grain
        parts.append(positions[mine])
        heights.append(height[mine])
    positions, height = _drop_close(np.concatenate(parts), np.concatenate(heights), 0.65 * spacing_px, n_grains > 1)
    amount = rng.uniform(*material.drift) * spacing_px
    if amount > 0:
        phase, turns = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.3, 1.5, 2)
        wave = np.sin(2 * np.pi * turns * positions[:, 1:] / size + phase)  # slow scan direction: y
        positions = positions + amount * wave
    positions = positions + size / 2
    near = (positions > -margin).all(axis=1) & (positions < size + margin).all(axis=1)
    positions, height = positions[near], height[near]
    return Specimen(
        x=positions[:, 0],
        y=positions[:, 1],
        species=np.zeros(len(positions), dtype=np.int64),
        height=height,
        px_per_nm=px_per_nm,
        peak_width_px=width_px,
    )


def _draw_single_atoms(material: SingleAtoms, microscope: Microscope, rng: Generator) -> Specimen:
    px_per_nm, size = rng.uniform(*microscope.scale) / microscope.pixel_size_nm, microscope.image_size
    side_nm = size / px_per_nm + 2 * microscope.reach_nm
    positions = draw_positions(material, side_nm, rng) * px_per_nm + (size - 1) / 2
    spread = rng.uniform(*material.width_spread)
    return Specimen(
        x=positions[:, 0],
        y=positions[:, 1],
        species=np.zeros(len(positions), dtype=np.int64),
        height=np.ones(len(positions)),
        px_per_nm=px_per_nm,
        width=np.exp(np.clip(spread * rng.standard_normal(len(positions)), -0.6, 0.6)),
    )


def _draw_domains(material: Domains, microscope: Microscope, rng: Generator) -> Specimen:
    specimen = _without_atoms(microscope, rng)
    specimen.polarisation = draw_polarisation(material, microscope.image_size, specimen.px_per_nm, rng)
    return specimen


def _draw_nanoparticles(material: Nanoparticles, microscope: Microscope, rng: Generator) -> Specimen:
    specimen = _without_atoms(microscope, rng)
    specimen.particles = draw_nanoparticles(material, microscope.image_size, specimen.px_per_nm, rng)
    specimen.instances = specimen.particles.instances
    return specimen


def _without_atoms(microscope: Microscope, rng: Generator) -> Specimen:
    nothing = np.zeros(0)
    return Specimen(
        x=nothing,
        y=nothing,
        species=np.zeros(0, dtype=np.int64),
        height=nothing,
        px_per_nm=rng.uniform(*microscope.scale) / microscope.pixel_size_nm,
    )


def _in_px(microscope: Microscope, px_per_nm: float) -> tuple[float, float]:
    low, high = microscope.peak_width_nm
    return low * px_per_nm, high * px_per_nm


def _drop_close(positions: Array, height: Array, apart: float, has_boundary: bool) -> tuple[Array, Array]:
    """Leave out one of each pair that a grain boundary brought together."""
    if not has_boundary or len(positions) < 2:
        return positions, height
    kept = without_the_later_of_close_pairs(positions, apart)
    return positions[kept], height[kept]


def _cell_fits(vectors: Array, length: float) -> bool:
    return bool(np.abs(vectors).sum(axis=0).max() / 2 <= length)


def _substitute(
    specimen: Specimen, species: NDArray[np.int64], height: Array, recipe: ImageRecipe, rng: Generator
) -> None:
    """Put the other species on some sites, or an odd height where there is only one."""
    chosen = rng.random(len(specimen.x)) < rng.uniform(*recipe.defects.substitution)
    factor = rng.uniform(*recipe.defects.substitution_height, size=len(specimen.x))
    n_species = len(recipe.material.classes)
    if n_species == 1:
        specimen.height = np.where(chosen, specimen.height * factor, specimen.height)
        return
    other = (specimen.species + 1) % n_species
    heights = np.array([height[species == s].mean() for s in range(n_species)])
    specimen.height = np.where(chosen, heights[other], specimen.height)
    specimen.species = np.where(chosen, other, specimen.species)


def _remove(specimen: Specimen, recipe: ImageRecipe, rng: Generator) -> None:
    """Take out single atoms and groups of atoms."""
    defects, size = recipe.defects, recipe.microscope.image_size
    kept = rng.random(len(specimen.x)) >= rng.uniform(*defects.vacancy)
    area = (size / specimen.px_per_nm) ** 2
    for _ in range(rng.poisson(rng.uniform(*defects.vacancy_cluster) * area / 100)):
        centre = rng.uniform(0, size, 2)
        radius = rng.uniform(*defects.vacancy_cluster_radius_nm) * specimen.px_per_nm
        kept &= np.hypot(specimen.x - centre[0], specimen.y - centre[1]) > radius
    specimen.keep(kept)
