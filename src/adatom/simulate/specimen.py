"""Materials and defects: a piece of crystal, with what is wrong with it, as a list of atoms."""

from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.simulate.lattice import fill_lattice
from adatom.simulate.recipe import ImageRecipe

Array = NDArray[np.float64]

# kind of material -> module with draw_crystal(material, rng); a new material is one file and one line here
MATERIALS = {
    "hexagonal_two_atoms": "adatom.simulate.hexagonal_two_atoms",
    "si111_7x7": "adatom.simulate.si111",
}


@dataclass
class Specimen:
    """Atoms in the image's frame.

    Attributes
    ----------
    x, y : (n,) positions [px].
    species : (n,) numbers from 0.
    height : (n,) relative to a normal atom.
    px_per_nm : pixels a nm, after the recipe's scale.
    """

    x: Array
    y: Array
    species: NDArray[np.int64]
    height: Array
    px_per_nm: float

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drop the atoms where `mask` is False."""
        self.x, self.y, self.height = self.x[mask], self.y[mask], self.height[mask]
        self.species = self.species[mask]


def draw_specimen(recipe: ImageRecipe, rng: Generator) -> Specimen:
    """Draw a crystal with point defects that covers the image and a margin around it."""
    material, microscope = recipe.material, recipe.microscope
    crystal = import_module(MATERIALS[material.kind]).draw_crystal(material, rng)
    px_per_nm = rng.uniform(*microscope.scale) / microscope.pixel_size_nm
    size = microscope.image_size
    angle = np.deg2rad(rng.uniform(*microscope.rotation_deg))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shear = rng.uniform(*microscope.shear)
    strain = np.array([[1 + rng.uniform(*microscope.strain), shear], [shear, 1 + rng.uniform(*microscope.strain)]])
    vectors = crystal.vectors @ turn @ strain * px_per_nm  # (2, 2) px
    margin = 4 * max(microscope.peak_width_nm) * px_per_nm
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
    spread = rng.uniform(*material.height_spread)
    specimen.height = specimen.height * np.clip(1 + spread * rng.standard_normal(len(specimen.x)), 0.3, 2.0)
    displacement = rng.uniform(*material.displacement_nm) * px_per_nm
    specimen.x = specimen.x + displacement * rng.standard_normal(len(specimen.x))
    specimen.y = specimen.y + displacement * rng.standard_normal(len(specimen.x))
    _remove(specimen, recipe, rng)
    return specimen


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
