"""The simulated Si(111)-7x7 against the DAS model: Takayanagi et al., J. Vac. Sci. Technol. A 3, 1502 (1985)."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.simulate.crystal import Crystal
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.recipe import Si111
from adatom.simulate.si111 import draw_crystal

CELL_NM = 2.688
A_NM = CELL_NM / 7  # the edge of the 1x1 cell
RADIUS_NM = 9.0

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def crystal() -> Crystal:
    one, none = (1.0, 1.0), (0.0, 0.0)
    material = Si111(
        kind="si111_7x7",
        lattice_constant_nm=CELL_NM,
        height_corner=(1.2, 1.2),
        height_faulted=one,
        height_spread=none,
        displacement_nm=none,
    )
    return draw_crystal(material, np.random.default_rng(0))


@pytest.fixture(scope="module")
def adatoms(crystal: Crystal) -> Array:
    """Positions (n, 2) [nm] of the adatoms around a corner hole at the origin."""
    return fill_lattice(crystal.vectors, crystal.basis, RADIUS_NM)[0]


def coincides(adatoms: Array, moved: Array) -> bool:
    """Whether adatoms, once moved, lie on adatoms, away from the rim of the piece."""
    inner = moved[np.hypot(*moved.T) < RADIUS_NM - CELL_NM]
    return bool(cKDTree(adatoms).query(inner)[0].max() < 1e-9)


def turned(positions: Array, angle_deg: float) -> Array:
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return positions @ np.array([[cosine, sine], [-sine, cosine]])


def test_cell_is_hexagonal_and_holds_twelve_adatoms(crystal, adatoms):
    assert len(crystal.basis) == 12
    assert np.linalg.norm(crystal.vectors, axis=1) == pytest.approx([CELL_NM, CELL_NM])
    density = 12 / (CELL_NM**2 * np.sqrt(3) / 2)
    assert len(adatoms) == pytest.approx(density * np.pi * RADIUS_NM**2, rel=0.03)


def test_neighbours_are_two_lattice_constants_apart_within_a_half_and_root_three_across_the_dimers(adatoms):
    inner = adatoms[np.hypot(*adatoms.T) < RADIUS_NM - 1]
    distances = np.round(cKDTree(adatoms).query(inner, k=5)[0][:, 1:], 6)
    found = np.unique(distances[distances < 0.8])
    assert found == pytest.approx([np.sqrt(3) * A_NM, 2 * A_NM])
    assert found == pytest.approx([0.665, 0.768], abs=5e-4)
    assert (distances[:, 0] == found[0]).all()  # each adatom faces one across a dimer row


def test_corner_holes_are_empty(adatoms):
    # six corner adatoms surround each hole, at sqrt(3) lattice constants from its centre
    distances = cKDTree(adatoms).query([[0.0, 0.0], [CELL_NM, 0.0], [CELL_NM / 2, CELL_NM * np.sqrt(3) / 2]], k=7)[0]
    assert distances[:, :6] == pytest.approx(np.sqrt(3) * A_NM)
    assert (distances[:, 6] > 2.5 * A_NM).all()


def test_positions_are_symmetric_under_inversion_and_sixfold_rotation_about_the_corner_hole(adatoms):
    assert coincides(adatoms, -adatoms)
    assert all(coincides(adatoms, turned(adatoms, angle)) for angle in (60, 120))
    assert coincides(adatoms, adatoms * [1, -1])
    assert not coincides(adatoms, turned(adatoms, 30))


def test_inversion_centre_lies_in_the_middle_of_the_cell_too(crystal, adatoms):
    assert coincides(adatoms, crystal.vectors.sum(axis=0) - adatoms)


def test_smaller_translations_do_not_keep_the_lattice(crystal, adatoms):
    assert coincides(adatoms, adatoms + crystal.vectors[0])
    assert not any(coincides(adatoms, adatoms + crystal.vectors[0] * n / 7) for n in range(1, 7))


def test_half_of_the_adatoms_are_the_brighter_corner_adatoms(crystal, adatoms):
    at = crystal.basis @ crystal.vectors
    holes = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ crystal.vectors
    beside_hole = cKDTree(holes).query(at)[0] < 2 * A_NM
    assert beside_hole.sum() == 6
    assert np.allclose(crystal.height, np.where(beside_hole, 1.2, 1.0))
