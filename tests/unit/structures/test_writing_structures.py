"""Files of structures, read back by ase."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from adatom.data import make_atoms
from adatom.errors import ArgumentError
from adatom.structures import atoms_to_structure, write_structure
from adatom.structures.writing import structure_format


@pytest.fixture
def structure():  # type: ignore[no-untyped-def]
    columns = {"x": [1.0, 1.2, 1.4], "y": [1.0, 1.1, 1.0], "species": ["N", "my \"B'\n{x}", "N"]}
    columns |= {"x_std": [0.002] * 3, "y_std": [0.003] * 3, "probability": [0.9] * 3}
    atoms = make_atoms(columns, units="nm", image_shape=(50, 50), pixel_size=(0.05, 0.05))
    return atoms_to_structure(atoms, elements={"my \"B'\n{x}": "B"})


@pytest.mark.parametrize("name", ["POSCAR", "a.vasp", "a.cif", "a.xyz", "a.extxyz"])
def test_atoms_and_cell_come_back(structure, name: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_structure(structure, tmp_path / name)
    back = read(tmp_path / name, format=structure_format(tmp_path / name))
    order, theirs = (np.lexsort(np.round(each.positions.T, 3)) for each in (structure, back))
    np.testing.assert_allclose(back.positions[theirs], structure.positions[order], atol=2e-4)
    assert list(back.symbols[theirs]) == list(structure.symbols[order])
    np.testing.assert_allclose(back.cell.array, structure.cell.array, atol=1e-4)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_extended_xyz_tells_what_is_known(structure, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_structure(structure, tmp_path / "a.xyz")
    back = read(tmp_path / "a.xyz")
    np.testing.assert_allclose(back.arrays["position_std"], [[0.02, 0.03]] * 3)
    np.testing.assert_allclose(back.arrays["probability"], 0.9)
    assert list(back.arrays["row"]) == [0, 1, 2] and back.info["heights"].startswith("flat")
    assert back.info["bottom_nm"] == pytest.approx(structure.info["bottom_nm"])


def test_poscar_is_sorted_and_cartesian(structure, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_structure(structure, tmp_path / "POSCAR")
    lines = (tmp_path / "POSCAR").read_text().splitlines()
    assert lines[5].split() == ["B", "N"] and lines[6].split() == ["1", "2"] and lines[7].startswith("Cart")


def test_another_name_is_told() -> None:
    with pytest.raises(ArgumentError, match="POSCAR"):
        structure_format(Path("a.txt"))
