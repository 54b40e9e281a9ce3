"""The crystal's sites are found under atoms that are turned, strained, drifted, and not all there."""

import numpy as np
import pytest

from adatom.analyse import find_bright_lattice
from adatom.matching.narrowing import Setting, recipe_at
from adatom.matching.sites import Crystal, draw_crystal, register, turn_and_strain
from adatom.models import load_recipe

ROTATION, SHEAR, STRETCH = 17.0, 0.02, 0.03


@pytest.fixture(scope="module")
def crystal() -> Crystal:
    recipe = load_recipe("hexagonal_two_atoms")
    nothing = ("row_offset", "row_shift_nm", "shear", "stretch", "rotation_deg")
    settings = {f"microscope.{name}": Setting(0.0) for name in nothing}
    settings |= {"microscope.scale": Setting(1.0), "material.height_b": Setting(0.5)}
    settings |= {"material.height_spread": Setting(0.0), "material.displacement_nm": Setting(0.0)}
    settings |= {"defects.vacancy": Setting(0.0), "defects.substitution": Setting(0.0)}
    found = draw_crystal(recipe_at(recipe, settings, is_point=True), side_px=420, pixel_nm=0.0228)
    assert found is not None
    return found


def image_of(crystal: Crystal, *, drift_px: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions and heights of nine in ten atoms of the crystal in an image of 240 px a side."""
    angle = np.deg2rad(ROTATION)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    positions = crystal.position @ turn @ np.array([[1 + STRETCH, SHEAR], [SHEAR, 1 - STRETCH]]) + 120
    positions[:, 0] += drift_px * np.sin(positions[:, 1] / 60)
    rng = np.random.default_rng(seed)
    kept = (np.abs(positions - 120) < 120).all(axis=1) & (rng.random(len(positions)) < 0.9)
    return positions[kept] + 0.2 * rng.normal(size=(kept.sum(), 2)), crystal.height[kept]


def test_strain_and_turn_are_read_off(crystal: Crystal):
    positions, heights = image_of(crystal, drift_px=0)
    lattice = find_bright_lattice(*positions.T, heights)
    assert lattice is not None
    found = register(positions, heights, crystal, lattice.vectors)
    assert found is not None and len(found.atom) / len(positions) > 0.98
    scale, angle, stretch, shear = turn_and_strain(found.affine)
    assert scale == pytest.approx(1, abs=1e-3) and stretch == pytest.approx(STRETCH, abs=1e-3)
    assert (angle - ROTATION + 60) % 120 - 60 == pytest.approx(0, abs=0.1)  # three equal directions, not six
    assert shear == pytest.approx(SHEAR, abs=1e-3)


def test_kinds_of_sites_are_right_through_drift_of_a_spacing(crystal: Crystal):
    positions, heights = image_of(crystal, drift_px=8)
    lattice = find_bright_lattice(*positions.T, heights)
    assert lattice is not None
    found = register(positions, heights, crystal, lattice.vectors)
    assert found is not None and len(found.atom) / len(positions) > 0.97
    assert (crystal.height[found.site] == heights[found.atom]).mean() > 0.99


def test_atoms_of_another_lattice_find_no_sites(crystal: Crystal):
    grid = np.stack(np.meshgrid(*[np.arange(5, 240, 11.0)] * 2), axis=-1).reshape(-1, 2)
    lattice = find_bright_lattice(*grid.T, np.ones(len(grid)))
    assert lattice is not None
    assert register(grid, np.ones(len(grid)), crystal, lattice.vectors) is None
