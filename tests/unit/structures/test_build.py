"""Atom tables to structures: places, axes, heights, error bars, and back."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from adatom.data import make_atoms
from adatom.errors import ArgumentError, UnitError
from adatom.simulate.columns import project
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.structures import known_structure
from adatom.structures import atoms_to_structure, image_positions, measure_bonds, pixel_size_warning


def table(x: list[float], y: list[float], species: list[str], **columns: list[float]) -> pd.DataFrame:
    return make_atoms(
        {"x": x, "y": y, "species": species, **columns}, units="nm", image_shape=(100, 100), pixel_size=(0.05, 0.05)
    )


def crystal(name: str, radius: float = 2.0, stretch: float = 1.0, called: str | None = None) -> pd.DataFrame:
    """A table of the columns of a known structure, about the middle of an image of 5 nm."""
    known = known_structure(name)
    columns = project(known.build(), known.zone_axis)
    places, number = fill_lattice(columns.vectors, columns.basis, radius)
    places = 2.5 + stretch * places
    return table(places[:, 0], places[:, 1], [called or columns.names[k] for k in number])


def distances(structure: Atoms, up_to: float = 3.1) -> list[float]:
    return sorted(set(np.round(neighbor_list("d", structure, up_to), 2)))


class TestAxes:
    def test_a_chiral_arrangement_is_not_mirrored(self) -> None:
        """Seen from above, x to the right and y up, a structure looks as its image, x to the right and y down."""
        atoms = table([1.0, 2.0, 1.0], [1.0, 1.0, 1.6], ["C", "N", "O"])  # from C, N is at the right and O below
        structure = atoms_to_structure(atoms)
        carbon, nitrogen, oxygen = structure.positions
        assert nitrogen - carbon == pytest.approx([10.0, 0.0, 0.0])
        assert oxygen - carbon == pytest.approx([0.0, -6.0, 0.0])

    def test_the_upper_atoms_of_a_layer_face_the_viewer(self) -> None:
        structure = atoms_to_structure(crystal("MoS2"))
        metal = structure.positions[structure.symbols == "Mo", 2]
        sulphur = structure.positions[structure.symbols == "S", 2]
        assert np.ptp(metal) < 1e-9
        assert sorted(set(np.round(sulphur - metal[0], 3))) == [-1.585, 1.585]
        one = atoms_to_structure(table([1.0, 2.0, 3.0], [1.0] * 3, ["Mo", "S2", "V_S"]), template="MoS2")
        left = one.positions[one.arrays["found_as"] == "V_S", 2]
        assert left == pytest.approx(one.positions[:, 2].max())

    def test_places_go_back_to_the_image(self) -> None:
        atoms = crystal("MoS2")
        structure = atoms_to_structure(atoms)
        there = atoms[["x", "y"]].to_numpy()[structure.arrays["row"]]
        np.testing.assert_allclose(image_positions(structure), there, atol=1e-12)
        with pytest.raises(ArgumentError, match="left_nm"):
            image_positions(Atoms("C"))

    def test_the_box_has_vacuum_on_all_sides(self) -> None:
        structure = atoms_to_structure(crystal("graphene"), vacuum_nm=0.7)
        low, high = structure.positions.min(axis=0), structure.positions.max(axis=0)
        np.testing.assert_allclose(low, 7.0)
        np.testing.assert_allclose(np.diag(structure.cell.array) - high, 7.0)
        assert not structure.pbc.any()


class TestHeights:
    def test_distances_are_those_of_the_crystal(self) -> None:
        assert distances(atoms_to_structure(crystal("graphene")), 1.6) == [1.42]
        assert distances(atoms_to_structure(crystal("WS2")), 2.6) == [2.4]
        assert distances(atoms_to_structure(crystal("SrTiO3"), template="SrTiO3"), 2.5) == [1.95]

    def test_columns_of_one_name_at_two_heights_are_told_apart(self) -> None:
        gold = atoms_to_structure(crystal("Au"), template="Au", thickness_nm=1.2)
        assert distances(gold) == [2.88]
        assert len(gold) == 3 * len(crystal("Au")) and "1.22 nm thick" in gold.info["heights"]

    def test_what_tells_no_heights_is_told(self) -> None:
        with pytest.raises(ArgumentError, match="template"):
            atoms_to_structure(table([1.0], [1.0], ["Ti2"]))
        with pytest.raises(ArgumentError, match="thickness"):
            atoms_to_structure(crystal("graphene"), thickness_nm=1.0)
        with pytest.raises(ArgumentError, match="at most 5000000"):
            columns = np.arange(3000) % 60 * 0.3, np.arange(3000) // 60 * 0.3
            atoms_to_structure(table(*columns, ["Sr"] * 3000), template="SrTiO3", thickness_nm=999)
        with pytest.raises(ArgumentError, match="column"):
            atoms_to_structure(table([1.0], [1.0], ["Ti"]), template="MoS2")
        with pytest.raises(ArgumentError, match="structure"):
            atoms_to_structure(table([1.0], [1.0], ["Ti"]), template="../x")


class TestWhatIsKnownOfAnAtom:
    def test_error_bars_probabilities_and_rows(self) -> None:
        atoms = table([1.0, 2.0], [1.0, 1.0], ["none", "C"], x_std=[1, 0.002], y_std=[1, 0.003], probability=[0.5, 0.9])
        structure = atoms_to_structure(atoms, elements={"none": "none"})
        assert len(structure) == 1 and structure.info["n_empty"] == 1
        np.testing.assert_allclose(structure.arrays["position_std"], [[0.02, 0.03]])
        assert structure.arrays["row"][0] == 1 and structure.arrays["probability"][0] == 0.9
        assert structure.arrays["to_border"][0] == pytest.approx(10 * (1.0 + 0.025))

    def test_of_two_atoms_at_one_place_the_likelier_is_kept(self) -> None:
        atoms = table([1.0, 1.01, 2.0], [1.0, 1.0, 1.0], ["C"] * 3, probability=[0.6, 0.9, 0.7])
        structure = atoms_to_structure(atoms)
        assert list(structure.arrays["row"]) == [1, 2]
        assert any("rows 0" in warning for warning in structure.info["warnings"])

    def test_any_number_of_atoms_at_one_place(self) -> None:
        n = 200_000
        structure = atoms_to_structure(table(np.ones(n), np.ones(n), ["C"] * n))
        assert len(structure) == 1

    def test_a_frame_is_chosen(self) -> None:
        atoms = table([1.0, 2.0], [1.0, 1.0], ["C", "C"], frame=[0, 3])
        with pytest.raises(ArgumentError, match="frame"):
            atoms_to_structure(atoms)
        with pytest.raises(ArgumentError, match="frame"):
            atoms_to_structure(atoms, frame=1)
        assert list(atoms_to_structure(atoms, frame=3).arrays["row"]) == [1]


class TestBadTables:
    def test_pixels_are_told(self) -> None:
        atoms = make_atoms({"x": [1.0], "y": [1.0], "species": ["C"]}, units="px", image_shape=(9, 9), pixel_size=None)
        with pytest.raises(UnitError, match="--pixel-size"):
            atoms_to_structure(atoms)

    def test_nothing_is_told(self) -> None:
        with pytest.raises(ArgumentError, match="at least one atom"):
            atoms_to_structure(table([], [], []))
        with pytest.raises(ArgumentError, match="finite"):
            atoms_to_structure(table([np.nan], [1.0], ["C"]))
        with pytest.raises(ArgumentError, match="elements"):
            atoms_to_structure(table([1.0], [1.0], ["C"]), elements={"B": "N"})


class TestPixelSize:
    @pytest.mark.parametrize("name", ["graphene", "hBN", "MoS2", "Si(111)-7x7", "HOPG"])
    def test_a_right_one_is_not_doubted(self, name: str) -> None:
        template = None if name == "graphene" else name
        structure = atoms_to_structure(crystal(name, 6.0 if name.startswith("Si") else 2.0), template=template)
        assert pixel_size_warning(measure_bonds(structure)) is None

    @pytest.mark.parametrize("factor", [0.8, 0.94, 1.06, 1.38, 10.0])
    def test_a_wrong_one_is_told_with_what_would_fit(self, factor: float) -> None:
        warning = pixel_size_warning(measure_bonds(atoms_to_structure(crystal("MoS2", stretch=factor))))
        assert warning is not None and "pixel size" in warning and f"{1 / factor:.3f} times" in warning

    def test_lone_atoms_tell_nothing(self) -> None:
        x, y = np.random.default_rng(0).uniform(0, 5, (2, 60))
        assert pixel_size_warning(measure_bonds(atoms_to_structure(table(x, y, ["Pt"] * 60)))) is None
