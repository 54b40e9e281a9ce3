"""Structures by name, from builders and from files, and their columns along a zone axis."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from adatom.errors import AdatomError, ArgumentError, FileFormatError, MissingFileError
from adatom.simulate.columns import project
from adatom.simulate.structures import CATALOGUE, build_structure, known_structure, read_structure

PARTLY = """data_alloy
_cell_length_a 3.9
_cell_length_b 3.9
_cell_length_c 3.9
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Sr1 Sr 0 0 0 0.7
Ba1 Ba 0 0 0 0.3
"""


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_known_structure_has_columns_apart_from_each_other(name: str) -> None:
    known = CATALOGUE[name]
    columns = project(known.build(), known.zone_axis)
    sites = columns.basis @ columns.vectors
    assert len(columns.names) == len(columns.atoms) == len(sites) > 0
    for k, site in enumerate(sites):
        away = (columns.basis - columns.basis[k] - np.round(columns.basis - columns.basis[k])) @ columns.vectors
        distance = np.delete(np.linalg.norm(away, axis=1), k)
        assert distance.size == 0 or distance.min() > 0.05, site


def test_names_are_found_whatever_their_capitals_and_unknown_ones_list_the_known() -> None:
    assert known_structure("mos2") is CATALOGUE["MoS2"]
    with pytest.raises(ArgumentError, match=r"one of graphene, .*SrTiO3.*got 'unobtainium'"):
        known_structure("unobtainium")


def test_a_name_may_end_in_a_zone_axis() -> None:
    assert known_structure("Au [110]").zone_axis == (1, 1, 0)
    assert known_structure("SrTiO3[1-10]").zone_axis == (1, -1, 0)
    assert known_structure("Au").zone_axis == (0, 0, 1)


@pytest.mark.parametrize("name", ["s.cif", "POSCAR", "s.vasp", "s.xyz"])
def test_a_file_gives_the_columns_of_the_structure_that_was_written(tmp_path: Path, name: str) -> None:
    known = CATALOGUE["SrTiO3"]
    form = {"s.cif": "cif", "s.xyz": "extxyz"}.get(name, "vasp")
    write(tmp_path / name, known.build(), format=form)
    columns = project(read_structure(tmp_path / name))
    assert sorted(columns.names) == ["O", "O", "Sr", "TiO"]
    np.testing.assert_allclose(np.linalg.norm(columns.vectors, axis=1), 0.3905, atol=1e-4)


def test_builders_of_ase_may_be_asked_for_and_nothing_else() -> None:
    assert len(build_structure("mx2", {"formula": "WSe2", "vacuum": 5})) == 3
    with pytest.raises(ArgumentError, match="builder: expected one of bulk"):
        build_structure("molecule", {"name": "H2O"})
    with pytest.raises(ArgumentError, match="cannot build"):
        build_structure("bulk", {"name": "Xx"})


def test_bad_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "partly.cif").write_text(PARTLY)
    with pytest.raises(ArgumentError, match=r"sites that are full, got one of partly.cif with Sr 0.7, Ba 0.3"):
        read_structure(tmp_path / "partly.cif")
    (tmp_path / "text.cif").write_text("nothing of the kind")
    with pytest.raises(FileFormatError, match=r"text.cif cannot be read as cif"):
        read_structure(tmp_path / "text.cif")
    (tmp_path / "unknown.xyz").write_text('1\nLattice="3 0 0 0 3 0 0 0 3"\nQq 0 0 0\n')
    with pytest.raises(AdatomError, match=r"unknown.xyz"):
        read_structure(tmp_path / "unknown.xyz")
    (tmp_path / "molecule.xyz").write_text("2\n\nO 0 0 0\nC 0 0 1.1\n")
    with pytest.raises(ArgumentError, match=r"cell with two edges in the plane, got none in molecule.xyz"):
        read_structure(tmp_path / "molecule.xyz")
    with pytest.raises(MissingFileError):
        read_structure(tmp_path / "not_there.cif")
    with pytest.raises(FileFormatError, match=r"expected \.cif"):
        read_structure(tmp_path / "picture.png")


def test_impossible_zone_axes_are_told() -> None:
    with pytest.raises(ArgumentError, match="not all 0"):
        project(CATALOGUE["Au"].build(), (0, 0, 0))
    with pytest.raises(ArgumentError, match=r"expected \[0, 0, 1\] for a layer"):
        project(CATALOGUE["MoS2"].build(), (1, 0, 0))


def test_what_one_column_holds_is_told_from_the_top_down() -> None:
    columns = project(CATALOGUE["MoS2"].build())
    sulphur = columns.atoms[columns.names.index("S2")]
    assert [symbol for symbol, _ in sulphur] == ["S", "S"]
    assert sulphur[1][1] - sulphur[0][1] == pytest.approx(0.317, abs=1e-6)
    upside_down = project(CATALOGUE["MoS2"].build(), (0, 0, -1))
    assert sorted(upside_down.names) == sorted(columns.names)


def test_atoms_too_close_to_be_told_apart_are_one_column_at_their_centre_of_gravity() -> None:
    pair = Atoms("AuC", positions=[[0, 0, 0], [0.3, 0, 1]], cell=[4, 4, 4], pbc=True)
    columns = project(pair)
    assert columns.names == ["AuC"]
    assert (columns.basis @ columns.vectors)[0, 0] == pytest.approx(0.03 * 6 / (79 + 6), abs=1e-6)
