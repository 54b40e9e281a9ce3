"""Lattice constants by number and by name, lattices of two kinds of atoms, and distortion taken out."""

import numpy as np
import pytest

from adatom.analyse import LATTICE_CONSTANTS_NM, find_bright_lattice, find_lattice, read_lattice_constant
from adatom.errors import ArgumentError
from adatom.simulate.lattice import fill_lattice

HEXAGONAL = np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]])


@pytest.mark.parametrize(("stated", "nm"), [(0.316, 0.316), ("0.316", 0.316), ("MoS2", 0.316), ("mos2", 0.316)])
def test_a_constant_is_a_length_or_a_name(stated, nm):
    assert read_lattice_constant(stated) == nm


@pytest.mark.parametrize("wrong", ["unobtainium", "-1", 0.0, float("nan"), ""])
def test_anything_else_is_refused_with_the_names_that_are_known(wrong):
    with pytest.raises(ArgumentError, match="graphene"):
        read_lattice_constant(wrong)


def test_all_constants_are_lengths_of_crystals():
    assert all(0.2 < nm < 3 for nm in LATTICE_CONSTANTS_NM.values())


def test_two_kinds_of_atoms_repeat_with_the_larger_cell():
    positions, site = fill_lattice(20 * np.eye(2), np.array([[0.0, 0.0], [0.5, 0.5]]), 250)
    spread = np.random.default_rng(0).normal(1, 0.08, len(positions))
    perovskite = find_bright_lattice(*positions.T, np.where(site == 0, 1.0, 0.5) * spread)
    one_kind = find_bright_lattice(*positions.T, spread)
    assert perovskite.edge == pytest.approx(20, rel=0.01)
    assert one_kind.edge == pytest.approx(20 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("handed", [1, -1])
@pytest.mark.parametrize("cell", [HEXAGONAL, np.eye(2)], ids=["hexagonal", "square"])
def test_undistorting_makes_a_lattice_regular_and_keeps_its_area(cell, handed):
    positions, _ = fill_lattice(18 * cell * [1, handed], np.zeros((1, 2)), 280)
    noise = np.random.default_rng(1).normal(0, 0.2, positions.shape)
    distorted = positions @ np.array([[1.05, 0.03], [-0.02, 0.97]]) + noise
    matrix = find_lattice(distorted).undistorting()
    regular = find_lattice(distorted @ matrix)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-6)
    assert regular.stretch == pytest.approx(1, abs=0.003)
    assert regular.angle_deg == pytest.approx(60 if cell is HEXAGONAL else 90, abs=0.3)


def test_an_oblique_lattice_is_not_undistorted():
    positions, _ = fill_lattice(np.array([[18.0, 0.0], [5.0, 31.0]]), np.zeros((1, 2)), 300)
    assert find_lattice(positions).undistorting() is None
