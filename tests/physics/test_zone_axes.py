"""Known answers: what a beam along a zone axis sees of well-known crystals."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from adatom.errors import ArgumentError
from adatom.simulate.columns import Columns, project, z_contrast
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.structures import CATALOGUE


def seen(name: str, zone_axis: tuple[int, int, int] | None = None) -> Columns:
    known = CATALOGUE[name]
    return project(known.build(), zone_axis or known.zone_axis)


def shortest(columns: Columns, n: int = 1) -> np.ndarray:
    """The `n` shortest distances from the first column [nm]."""
    around, _ = fill_lattice(columns.vectors, columns.basis, 2.0)
    return cKDTree(around).query(columns.basis[0] @ columns.vectors, k=n + 1)[0][1:]


@pytest.mark.parametrize(("name", "edge"), [("graphene", 0.246), ("hBN", 0.2504), ("MoS2", 0.316), ("WS2", 0.3153)])
def test_honeycombs_have_three_bonds_of_a_by_root_three(name: str, edge: float) -> None:
    np.testing.assert_allclose(shortest(seen(name), 3), edge / np.sqrt(3), atol=1e-4)


def test_perovskites_along_001_have_the_titanium_column_in_the_middle_of_the_strontium_ones() -> None:
    columns = seen("SrTiO3")
    places = {name: columns.basis[k] @ columns.vectors for k, name in enumerate(columns.names)}
    assert np.linalg.norm(places["Sr"] - places["TiO"]) == pytest.approx(0.3905 / np.sqrt(2), abs=1e-4)
    assert columns.names.count("O") == 2


def test_polar_lead_titanate_along_100_shows_titanium_off_the_middle() -> None:
    """Ti is 0.038 of c off the middle of the lead cell (Nelmes & Kuhs 1985): 0.016 nm."""
    columns = seen("PbTiO3")
    np.testing.assert_allclose(np.linalg.norm(columns.vectors, axis=1), [0.3904, 0.4152], atol=1e-4)
    name = next(name for name in columns.names if "Ti" in name)
    along_c = columns.basis[columns.names.index(name)] * [0, 0.4152]
    assert 0.005 < abs(along_c[1] - 0.4152 / 2) < 0.03


def test_silicon_along_110_is_dumbbells_of_an_eighth_of_the_root_of_two_and_a_half() -> None:
    columns = seen("Si")
    assert set(columns.names) == {"Si"}
    assert shortest(columns)[0] == pytest.approx(0.5431 / 4, abs=1e-4)  # 0.1358 nm
    np.testing.assert_allclose(sorted(np.linalg.norm(columns.vectors, axis=1)), [0.3840, 0.5431], atol=1e-4)


@pytest.mark.parametrize(
    ("zone_axis", "distance"),
    [((0, 0, 1), 0.4078 / 2), ((1, 1, 0), 0.4078 * np.sqrt(3 / 8)), ((1, 1, 1), 0.4078 / np.sqrt(6))],
)
def test_columns_of_gold_are_as_far_apart_as_along_each_axis(zone_axis: tuple[int, int, int], distance: float) -> None:
    assert shortest(seen("Au", zone_axis))[0] == pytest.approx(distance, abs=1e-4)


@pytest.mark.parametrize("zone_axis", [(0, 0, 1), (1, 1, 0), (1, 1, 1), (2, 1, 0), (1, 1, 2), (3, 2, 1)])
def test_the_projected_cell_times_the_repeat_along_the_beam_holds_a_cell_of_the_crystal(
    zone_axis: tuple[int, int, int],
) -> None:
    atoms = CATALOGUE["SrTiO3"].build()
    columns = project(atoms, zone_axis)
    area = abs(np.linalg.det(columns.vectors))
    repeat = float(np.linalg.norm(np.array(zone_axis) @ atoms.cell.array)) / 10
    assert area * repeat == pytest.approx(atoms.get_volume() / 1000, rel=1e-6)
    assert sum(len(column) for column in columns.atoms) == len(atoms)


def test_brightness_goes_with_a_power_of_the_atomic_number() -> None:
    assert z_contrast({"Mo": 1}, 2.0) / z_contrast({"S": 1}, 2.0) == pytest.approx((42 / 16) ** 2)
    assert z_contrast({"S": 2}, 1.7) / z_contrast({"Mo": 1}, 1.7) == pytest.approx(2 * (16 / 42) ** 1.7)
    assert z_contrast({"Mo": 0.5, "W": 0.5}, 1.0) == pytest.approx((42 + 74) / 2)
    assert z_contrast({}, 1.7) == 0
    for composition in ({"Xx": 1}, {"X": 1}, {"C": -1}):
        with pytest.raises(ArgumentError):
            z_contrast(composition, 1.7)
