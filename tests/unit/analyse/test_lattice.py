import numpy as np
import pytest
from numpy.typing import NDArray

from adatom.analyse import find_lattice, find_species_lattice
from adatom.simulate.si111 import BASIS as SI111_BASIS

Array = NDArray[np.float64]
HEXAGON = np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]])
ANGLES = [0, 5, 13, 30, 50]
ONE_ATOM = np.zeros((1, 2))

# vectors [px], basis, edge [px] of the regular cell, angle [degrees], lengths [px]
CELLS = {
    "hexagonal": (10 * HEXAGON, ONE_ATOM, 10, 60, (10, 10)),
    "square": (10 * np.eye(2), ONE_ATOM, 10, 90, (10, 10)),
    "rectangular": (np.diag([10.0, 14.0]), ONE_ATOM, np.sqrt(140), 90, (10, 14)),
    "oblique": (np.array([[10.0, 0.0], [4.0, 15.0]]), ONE_ATOM, np.sqrt(150), 75.07, (10, np.hypot(4, 15))),
    "honeycomb": (10 * HEXAGON, np.array([[0, 0], [1 / 3, 1 / 3]]), 10, 60, (10, 10)),
    "Si(111)-7x7": (26.88 * HEXAGON, SI111_BASIS, 26.88, 60, (26.88, 26.88)),
}


def turn(angle_deg: float) -> Array:
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[cosine, sine], [-sine, cosine]])


def atoms(
    vectors: Array, basis: Array = ONE_ATOM, *, half: float = 90, vacancy: float = 0.1, noise: float = 0.3
) -> Array:
    """Positions (n, 2) in a square of side 2 `half` [px], some missing, each off its site by `noise` [px]."""
    rng = np.random.default_rng(4)
    cells = np.stack(np.meshgrid(np.arange(-40, 41), np.arange(-40, 41)), axis=-1).reshape(-1, 1, 2)
    sites = (cells + basis).reshape(-1, 2) @ vectors
    sites = sites[(np.abs(sites) < half).all(axis=1)]
    sites = sites[rng.random(len(sites)) >= vacancy]
    return sites + noise * rng.normal(size=sites.shape)


@pytest.mark.parametrize("angle_deg", ANGLES)
@pytest.mark.parametrize("name", CELLS)
def test_cell_is_found_in_spite_of_vacancies_and_noise(name, angle_deg):
    vectors, basis, edge, angle, lengths = CELLS[name]
    lattice = find_lattice(atoms(vectors @ turn(angle_deg), basis))
    assert lattice.edge == pytest.approx(edge, rel=0.01)
    assert lattice.angle_deg == pytest.approx(angle, abs=1)
    assert lattice.lengths == pytest.approx(lengths, rel=0.015)
    assert lattice.coincidence > 0.8


@pytest.mark.parametrize("angle_deg", ANGLES)
@pytest.mark.parametrize("name", CELLS)
def test_cell_of_perfect_atoms_is_exact(name, angle_deg):
    vectors, basis, edge, angle, lengths = CELLS[name]
    lattice = find_lattice(atoms(vectors @ turn(angle_deg), basis, vacancy=0, noise=0))
    assert lattice.edge == pytest.approx(edge)
    assert lattice.angle_deg == pytest.approx(angle, abs=0.01)
    assert lattice.lengths == pytest.approx(lengths)
    assert lattice.coincidence == 1


@pytest.mark.parametrize(
    ("name", "stretch"), [("hexagonal", 1), ("square", 1), ("Si(111)-7x7", 1), ("rectangular", 1.4)]
)
def test_undistorted_cells_have_no_stretch_and_rectangles_the_ratio_of_their_sides(name, stretch):
    vectors, basis, *_ = CELLS[name]
    assert find_lattice(atoms(vectors @ turn(13), basis)).stretch == pytest.approx(stretch, rel=0.015)


@pytest.mark.parametrize("along_deg", [0, 20, 45, 70, 90])
@pytest.mark.parametrize("angle_deg", [0, 7, 20])
def test_stretch_is_the_ratio_of_the_three_directions_of_a_distorted_hexagonal_lattice(angle_deg, along_deg):
    direction = turn(along_deg)[0]
    distorted = 10 * HEXAGON @ turn(angle_deg) @ (np.eye(2) + 0.08 * np.outer(direction, direction))
    lattice = find_lattice(atoms(distorted))
    assert lattice.is_hexagonal
    a, b = distorted
    directions = np.linalg.norm([a, b, a - b], axis=1)
    assert lattice.stretch == pytest.approx(directions.max() / directions.min(), abs=0.01)
    assert lattice.edge == pytest.approx(10 * np.sqrt(1.08), rel=0.01)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_unit_of_the_positions_does_not_matter(factor):
    positions = atoms(10 * HEXAGON)
    assert find_lattice(factor * positions).edge == pytest.approx(factor * find_lattice(positions).edge)


def test_where_the_atoms_lie_does_not_matter():
    positions = atoms(10 * HEXAGON)
    assert find_lattice(positions + np.array([5e3, -7e3])).edge == pytest.approx(find_lattice(positions).edge)


@pytest.mark.parametrize("name", CELLS)
def test_many_atoms_tell_the_same_cell(name):
    vectors, basis, edge, *_ = CELLS[name]
    positions = atoms(vectors, basis, half=250)
    assert len(positions) > 1000
    assert find_lattice(positions).edge == pytest.approx(edge, rel=0.01)


def test_vectors_are_a_cell_in_the_stated_form():
    for name, (vectors, basis, *_) in CELLS.items():
        a, b = find_lattice(atoms(vectors @ turn(13), basis)).vectors
        assert np.linalg.norm(a) <= np.linalg.norm(b), name
        assert a @ b >= 0, name


@pytest.mark.parametrize("seed", range(8))
def test_random_points_have_no_lattice(seed):
    assert find_lattice(np.random.default_rng(seed).uniform(0, 100, (300, 2))) is None


@pytest.mark.parametrize(
    "positions",
    [
        np.zeros((0, 2)),
        atoms(10 * HEXAGON)[:19],
        np.zeros((50, 2)),
        np.column_stack([np.arange(50.0), np.zeros(50)]),
        np.repeat([[0.0, 0.0], [1.0, 0.0]], 30, axis=0),
    ],
    ids=["none", "too few", "all at one place", "one row", "two places"],
)
def test_too_little_to_tell_gives_no_lattice(positions):
    assert find_lattice(positions) is None


def test_lattice_of_the_most_frequent_species():
    vectors, basis, *_ = CELLS["honeycomb"]
    of_a, of_b = atoms(vectors), atoms(vectors)[:100] + basis[1] @ vectors
    x, y = np.concatenate([of_a, of_b]).T
    lattice = find_species_lattice(x, y, np.array(["A"] * len(of_a) + ["B"] * len(of_b)))
    assert np.array_equal(lattice.vectors, find_lattice(of_a).vectors)
    assert find_species_lattice(np.zeros(0), np.zeros(0), np.array([], dtype=object)) is None
