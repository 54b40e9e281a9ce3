"""Neighbours, order, rings, lattices, strain, vacancies and dislocations of crystals of which all is known."""

import numpy as np
import pytest
from crystals import GRAPHENE_NM, disc, hexagonal, honeycomb, square, turned, with_dislocation

from adatom.analyse.bond_order import bond_order, local_symmetry
from adatom.analyse.dislocations import find_dislocations
from adatom.analyse.grains import find_grains
from adatom.analyse.lattice_sites import find_sites
from adatom.analyse.neighbours import bond_cutoff, find_neighbours
from adatom.analyse.polarisation import off_centre
from adatom.analyse.rings import find_rings
from adatom.analyse.strain import local_strain
from adatom.analyse.vacancies import find_vacancies

BOND = GRAPHENE_NM / np.sqrt(3)


def box_of(positions: np.ndarray, margin: float = 0.0) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = positions.min(axis=0) - margin, positions.max(axis=0) + margin
    return left, top, right, bottom


def inner(positions: np.ndarray, margin: float) -> np.ndarray:
    left, top, right, bottom = box_of(positions)
    x, y = positions.T
    return (x > left + margin) & (x < right - margin) & (y > top + margin) & (y < bottom - margin)


def bonds_of(positions: np.ndarray):
    return find_neighbours(positions, bond_cutoff(positions))


@pytest.mark.parametrize(
    ("crystal", "n_neighbours", "fold"),
    [(honeycomb(12), 3, 3), (square(14, 0.39), 4, 4), (hexagonal(14, 0.3), 6, 6)],
)
def test_perfect_crystals_have_their_coordination_and_symmetry(crystal, n_neighbours, fold):
    neighbours = bonds_of(turned(crystal, 17.0))
    middle = inner(crystal, 1.2 * crystal[:, 0].max() / 4)
    assert (neighbours.coordination[middle] == n_neighbours).all()
    assert (local_symmetry(neighbours)[middle] == fold).all()
    order = bond_order(neighbours)
    assert order.fold == (4 if fold == 4 else 6)
    assert order.order[middle] == pytest.approx(1)


def test_cell_that_repeats_has_no_border():
    crystal = square(6, 0.4)
    neighbours = find_neighbours(crystal, 0.5, period=(2.4, 2.4))
    assert (neighbours.coordination == 4).all()
    assert neighbours.length == pytest.approx(0.4)


def test_cutoffs_by_species_join_only_the_named_pairs():
    crystal = honeycomb(8)
    names = np.array(["B"] * 64 + ["N"] * 64)
    neighbours = find_neighbours(crystal, {("B", "N"): 1.1 * BOND}, species=names)
    assert (names[neighbours.first] != names[neighbours.second]).all()
    assert not len(find_neighbours(crystal, {("B", "B"): 1.1 * BOND}, species=names).first)


@pytest.mark.parametrize("noise", [0.0, 0.05 * BOND])
def test_rings_of_graphene_with_known_defects_are_counted_exactly(noise):
    crystal = honeycomb(16)
    perfect = find_rings(crystal, bonds_of(crystal))
    assert set(perfect.counts()) == {6}
    lone = int(np.hypot(*(crystal - crystal.mean(axis=0)).T).argmin())
    distance = np.hypot(*(crystal - crystal[lone]).T)
    partner = int(np.flatnonzero((distance > 0) & (distance < 1.1 * BOND))[0])
    noisy = crystal + noise * np.random.default_rng(0).standard_normal(crystal.shape)
    for missing, size, lost in (([lone], 12, 3), ([lone, partner], 14, 4)):
        damaged = np.delete(noisy, missing, axis=0)
        counts = find_rings(damaged, bonds_of(damaged)).counts()
        assert counts == {6: perfect.counts()[6] - lost, size: 1}


def test_stone_wales_bond_makes_two_pentagons_and_two_heptagons():
    crystal = honeycomb(14)
    lone = int(np.hypot(*(crystal - crystal.mean(axis=0)).T).argmin())
    distance = np.hypot(*(crystal - crystal[lone]).T)
    partner = int(np.flatnonzero((distance > 0) & (distance < 1.1 * BOND))[0])
    pair = [lone, partner]
    middle = crystal[pair].mean(axis=0)
    crystal[pair] = turned(crystal[pair] - middle, 90) + middle
    rings = find_rings(crystal, find_neighbours(crystal, 1.32 * BOND))
    counts = rings.counts()
    assert counts[5] == counts[7] == 2
    assert np.hypot(*(rings.centre[rings.size == 5] - middle).T).max() < 2 * GRAPHENE_NM


def test_ring_has_the_area_and_the_centre_of_its_hexagon():
    crystal = honeycomb(6)
    rings = find_rings(crystal, bonds_of(crystal))
    assert rings.area == pytest.approx(GRAPHENE_NM**2 * np.sqrt(0.75))
    corners = crystal[rings.of(0)]
    assert np.hypot(*(corners - rings.centre[0]).T) == pytest.approx(BOND)


def test_fitted_cell_is_the_crystals_with_honest_error_bars():
    noise, edges, lengths, angles = 0.006, [], [], []
    vectors = turned(GRAPHENE_NM * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]]), 11.0)
    crystal = turned(disc(honeycomb(14), 1.4), 11.0)
    for seed in range(40):
        noisy = crystal + noise * np.random.default_rng(seed).standard_normal(crystal.shape)
        sites = find_sites(noisy)
        assert sites is not None and len(sites.origin) == 2
        edges.append((sites.edge - GRAPHENE_NM) / sites.edge_std)
        sites = find_sites(noisy, vectors)
        lengths.append((sites.lengths[0] - GRAPHENE_NM) / sites.lengths_std[0])
        angles.append((sites.angle_deg - 60) / sites.angle_std_deg)
    for scores in (edges, lengths, angles):
        assert abs(np.mean(scores)) < 0.5 and 0.75 < np.std(scores) < 1.3


@pytest.mark.parametrize("crystal", [honeycomb(14), square(16, 0.39), hexagonal(16, 0.3)])
def test_strain_is_found_within_a_thousandth(crystal):
    stretch = np.array([[1.013, 0.004], [0.010, 0.992]])  # columns: what becomes of x and y
    reference = find_sites(crystal).vectors
    found = local_strain(find_sites(crystal @ stretch.T), reference=reference)
    known = np.isfinite(found.exx)
    assert known.mean() > 0.8
    for values, true in (
        (found.exx, 0.013),
        (found.eyy, -0.008),
        (found.exy, 0.007),
        (found.rotation, 0.003),
        (found.dilatation, 0.005),
    ):
        assert values[known] == pytest.approx(true, abs=1e-9)


def test_strain_that_changes_is_followed_through_the_crystal():
    crystal = square(60, 0.39)
    length = 60 * 0.39
    bent = crystal.copy()
    bent[:, 0] += 0.03 * length / (2 * np.pi) * np.sin(2 * np.pi * crystal[:, 0] / length)
    found = local_strain(find_sites(bent), reference=0.39 * np.eye(2))
    true = 0.03 * np.cos(2 * np.pi * crystal[:, 0] / length)
    middle = inner(crystal, 0.5)
    assert found.exx[middle] == pytest.approx(true[middle], abs=1e-3)


def test_error_bars_of_strain_hold():
    crystal, noise = honeycomb(16), 0.004
    reference, scores = find_sites(crystal).vectors, []
    for seed in range(6):
        noisy = crystal + noise * np.random.default_rng(seed).standard_normal(crystal.shape)
        found = local_strain(find_sites(noisy), np.full(crystal.shape, noise), reference=reference)
        known = np.isfinite(found.exx)
        for name in ("exx", "eyy", "exy", "rotation"):
            scores.append((getattr(found, name) / getattr(found, f"{name}_std"))[known])
    assert np.mean(np.abs(np.concatenate(scores)) < 1.645) == pytest.approx(0.9, abs=0.02)


def test_vacancies_are_found_where_they_are_and_none_at_the_edge():
    crystal = disc(honeycomb(20), 2.0)
    rng = np.random.default_rng(3)
    clear = np.flatnonzero(np.hypot(*(crystal - crystal.mean(axis=0)).T) < 1.6)
    missing = rng.choice(clear, 8, replace=False)
    left = np.delete(crystal, missing, axis=0) + 0.004 * rng.standard_normal((len(crystal) - 8, 2))
    found = find_vacancies(left, find_sites(left), box_of(left, 0.3))
    distance = np.hypot(*(found.positions[:, None] - crystal[missing][None]).transpose(2, 0, 1))
    assert len(found.positions) == 8
    assert distance.min(axis=0).max() < 0.02


def test_group_of_missing_atoms_is_filled_from_its_rim():
    crystal = square(12, 0.4)
    hole = np.flatnonzero(np.abs(crystal - crystal[12 * 6 + 6]).max(axis=1) < 0.5)  # 3 x 3
    left = np.delete(crystal, hole, axis=0)
    found = find_vacancies(left, find_sites(left), box_of(left, 0.4))
    assert sorted(map(tuple, found.positions.round(6))) == sorted(map(tuple, crystal[hole].round(6)))


@pytest.mark.parametrize("sign", [1, -1])
def test_burgers_vector_of_a_dislocation_is_right(sign):
    constant = 0.3
    crystal = hexagonal(30, constant)
    core = crystal.mean(axis=0) + np.array([0.07, 0.05])
    bent = with_dislocation(crystal, core, sign * constant)
    found = find_dislocations(bent, constant * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]]))
    middle = np.hypot(*(found.positions - core).T) < 4 * constant
    assert middle.sum() == 1
    assert np.abs(found.vectors[middle][0]) == pytest.approx([constant, 0], abs=1e-9)
    other = find_dislocations(
        with_dislocation(crystal, core, -sign * constant), constant * np.eye(2) @ [[1, 0], [0.5, np.sqrt(0.75)]]
    )
    mirrored = other.vectors[np.hypot(*(other.positions - core).T) < 4 * constant][0]
    assert found.vectors[middle][0][0] == pytest.approx(-mirrored[0])


def test_perfect_and_noisy_crystals_have_no_dislocation():
    crystal = hexagonal(30, 0.3)
    noisy = crystal + 0.015 * np.random.default_rng(0).standard_normal(crystal.shape)
    vacant = np.delete(noisy, [435, 436, 612], axis=0)
    assert not len(find_dislocations(vacant, 0.3 * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])).burgers)


def test_two_turned_crystals_are_two_grains_with_their_boundary_between_them():
    left, right = hexagonal(24, 0.3), turned(hexagonal(36, 0.3) - 5.0, 20.0)
    wall = 3.6
    crystal = np.concatenate([left[left[:, 0] < wall - 0.1], right[(right[:, 0] > wall + 0.1) & (right[:, 0] < 7)]])
    crystal = crystal[(crystal[:, 1] > 0.5) & (crystal[:, 1] < 5.5)]
    neighbours = find_neighbours(crystal, 0.42)
    grains = find_grains(neighbours, bond_order(neighbours))
    assert len(grains.orientation) == 2
    difference = np.rad2deg(abs(grains.orientation[0] - grains.orientation[1]))
    assert min(difference, 60 - difference) == pytest.approx(20, abs=1.0)
    away = np.abs(crystal[:, 0] - wall)
    assert away[grains.is_boundary].max() < 1.2 and grains.is_boundary[away < 0.2].mean() > 0.8


def gold_along_110(noise: float, *, twinned: bool) -> np.ndarray:
    """Columns of gold along [110] [nm], above y = 0 in a twin of those below."""
    row = 0.408 * np.sqrt(6) / 4
    up = row * np.array([1 / 3, np.sqrt(8) / 3])  # {111} planes stand at 70.5 degrees
    k, n = np.meshgrid(np.arange(-40, 41), np.arange(-9, 10))
    shift = np.abs(n) if twinned else n
    places = np.stack([k * row + shift * up[0], n * up[1]], axis=-1).reshape(-1, 2)
    places = places[np.hypot(*places.T) < 2.0]
    return turned(places + noise * np.random.default_rng(4).standard_normal(places.shape), 33.0)


@pytest.mark.parametrize("vacant", [[], [31, 90, 131]])
def test_twin_of_gold_is_two_grains_of_mirrored_cells(vacant):
    columns = np.delete(gold_along_110(0.008, twinned=True), vacant, axis=0)
    grain = find_grains(bonds_of(columns), bond_order(bonds_of(columns))).grain
    side = turned(columns, -33.0)[:, 1]
    clear = (np.abs(side) > 0.3) & (grain >= 0)
    assert set(grain[clear]) == {0, 1} and len(set(grain[clear & (side > 0)])) == 1
    assert (grain[clear & (side > 0)][0] == grain[clear]).sum() == (clear & (side > 0)).sum()
    for number in (0, 1):
        sites = find_sites(columns[grain == number])
        assert sites.angle_deg == pytest.approx(54.74, abs=1.0) or sites.angle_deg == pytest.approx(70.53, abs=1.0)


def test_what_is_no_twin_stays_one_grain():
    x, y = (hexagonal(30, 0.3) + 0.006 * np.random.default_rng(1).standard_normal((900, 2))).T
    bent = np.column_stack([x * (1 + 0.008 * x), y])  # strained by 0 to 15 % along x
    for crystal in (gold_along_110(0.008, twinned=False), np.column_stack([x, y]), bent):
        assert len(find_grains(bonds_of(crystal), bond_order(bonds_of(crystal))).orientation) == 1


def test_polarisation_of_a_perovskite_is_its_off_centre_vector():
    a_sites = square(10, 0.4)
    b_sites = square(9, 0.4) + 0.2 + np.array([0.011, -0.02])
    positions = np.concatenate([a_sites, b_sites])
    is_b = np.arange(len(positions)) >= len(a_sites)
    found = off_centre(positions, is_b, ~is_b, positions_std=np.full(positions.shape, 0.002))
    assert len(found.atom) == 81
    assert found.vector == pytest.approx(np.tile([0.011, -0.02], (81, 1)), abs=1e-9)
    assert found.vector_std == pytest.approx(0.002 * np.sqrt(1 + 1 / 4))
