"""One page from an atom table to findings."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from crystals import GRAPHENE_NM, honeycomb, square

from adatom.analyse.motifs import Motif
from adatom.analyser import analyse_atoms
from adatom.data import make_image
from adatom.data.atoms import make_atoms
from adatom.errors import ArgumentError, ShapeError, UnitError

RNG = np.random.default_rng(5)


def table(positions: np.ndarray, species: list[str] | str = "C", std: float = 0.003, **columns) -> pd.DataFrame:
    n = len(positions)
    names = [species] * n if isinstance(species, str) else species
    low = positions.min(axis=0)
    x, y = (positions - low + 0.2).T
    values = {"x": x, "y": y, "x_std": np.full(n, std), "y_std": np.full(n, std), "species": names}
    extent = (positions.max(axis=0) - low + 0.4) / 0.02
    atoms = make_atoms(
        values | {"probability": np.full(n, 0.999)},
        units="nm",
        image_shape=(int(extent[1]), int(extent[0])),
        pixel_size=(0.02, 0.02),
    )
    for name, each in columns.items():
        atoms[name] = each
    return atoms


def boron_nitride() -> pd.DataFrame:
    """hBN with a vacancy of B, one of N, an antisite, a carbon, and an atom between the others."""
    positions = honeycomb(16, 0.25) + 0.002 * RNG.standard_normal((512, 2))
    species = ["B"] * 256 + ["N"] * 256
    species[100], species[408] = "N", "C"
    kept = np.delete(np.arange(512), [137, 380])
    between = positions[120] + [0.07, 0.12]
    return table(np.concatenate([positions[kept], [between]]), [*np.array(species)[kept], "N"])


def test_defects_of_boron_nitride_are_all_told_by_their_names():
    found = analyse_atoms(boron_nitride())
    counts = found.defects[found.defects["kind"] != "ring"]["name"].value_counts().to_dict()
    assert counts == {"V_B": 1, "V_N": 1, "N_B": 1, "C_N": 1, "N_i": 1}
    vacancies = found.defects[found.defects["kind"] == "vacancy"]
    assert (vacancies["probability"] > 0.5).all() and (vacancies["x_std"] < 0.003).all()
    assert found.summary["defects"]["V_B"]["interval_95"] == pytest.approx([0.0253, 5.572], abs=1e-3)
    assert [each["species"] for each in found.summary["lattices"][0]["sublattices"]] == ["B", "N"] or [
        each["species"] for each in found.summary["lattices"][0]["sublattices"]
    ] == ["N", "B"]


def test_atoms_come_back_in_their_order_with_their_columns_and_the_old_table_is_left_alone():
    atoms = boron_nitride()
    before = atoms.copy()
    found = analyse_atoms(atoms).atoms
    pd.testing.assert_frame_equal(atoms, before)
    pd.testing.assert_frame_equal(found[before.columns], before)
    for name in ("coordination", "bond_order", "symmetry", "grain", "exx", "exx_std", "rotation", "displacement_x"):
        assert name in found
    assert found.attrs["units"] == "nm"


def test_bonds_carry_the_errors_of_their_atoms():
    bonds = analyse_atoms(table(honeycomb(8))).bonds
    assert bonds["length"].to_numpy() == pytest.approx(GRAPHENE_NM / np.sqrt(3))
    assert bonds["length_std"].to_numpy() == pytest.approx(0.003 * np.sqrt(2))
    assert (bonds["first"] < bonds["second"]).all()


def test_strain_is_against_the_stated_constant_where_there_is_one():
    strained = analyse_atoms(table(1.01 * square(12, 0.39)), lattice_constant=0.39)
    assert strained.atoms["exx"].median() == pytest.approx(0.01, abs=1e-6)
    assert analyse_atoms(table(1.01 * square(12, 0.39))).atoms["exx"].median() == pytest.approx(0, abs=1e-6)


def test_numbers_of_atoms_are_those_of_the_rows():
    atoms = boron_nitride()
    atoms.index = atoms.index + 1000
    found = analyse_atoms(atoms, motifs=[Motif("C-B3", ("C", "B", "B", "B"), ((0, 1), (0, 2), (0, 3)))])
    motif = found.defects[found.defects["kind"] == "motif"].iloc[0]
    numbers = [int(number) for number in motif["atoms"].split()]
    assert atoms.loc[numbers, "species"].tolist() == ["C", "B", "B", "B"]
    assert set(found.bonds["first"]) <= set(atoms.index)


def shown(positions: np.ndarray, width: float = 0.035) -> xr.DataArray:
    """An image (y, x) of atoms at positions that `table` has, with noise."""
    place = (positions - positions.min(axis=0) + 0.2) / 0.02
    rows, columns = (int(n) for n in np.ceil(place.max(axis=0) + 10)[::-1])
    y, x = np.mgrid[:rows, :columns]
    image = 0.05 * np.random.default_rng(2).standard_normal((rows, columns))
    for at_x, at_y in place:
        image += np.exp(-0.5 * ((x - at_x) ** 2 + (y - at_y) ** 2) / (width / 0.02) ** 2)
    return make_image(image, pixel_size=0.02)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_image_tells_an_empty_site_from_an_atom_that_was_overlooked(sign):
    crystal = square(12, 0.4)
    found = np.delete(crystal, [40, 77], axis=0)
    image = shown(np.delete(crystal, 40, axis=0))
    defects = analyse_atoms(table(found, "Sr"), image=image.copy(data=sign * image.to_numpy())).defects
    rows = defects.set_index("kind")
    assert sorted(rows.index) == ["overlooked", "vacancy"]
    assert rows.loc["vacancy", ["x", "y"]].to_numpy(float) == pytest.approx(crystal[40] + 0.2, abs=1e-6)
    assert rows.loc["overlooked", ["x", "y"]].to_numpy(float) == pytest.approx(crystal[77] + 0.2, abs=1e-6)
    assert rows["probability"].min() > 0.99


def test_an_image_without_a_pixel_size_and_atoms_in_nm_do_not_go_together():
    with pytest.raises(UnitError, match="pixel size"):
        analyse_atoms(table(honeycomb(6)), image=make_image(np.zeros((40, 40))))


def test_inner_atoms_are_told_how_far_they_are_off_the_centre_of_their_cages():
    a_sites, b_sites = square(10, 0.4), square(9, 0.4) + 0.2 + np.array([0.012, -0.02])
    atoms = table(np.concatenate([a_sites, b_sites]), ["A"] * len(a_sites) + ["B"] * len(b_sites))
    found = analyse_atoms(atoms, off_centre_of=("B", "A")).atoms
    inner = found[found["species"] == "B"]
    assert inner["off_centre_x"].to_numpy() == pytest.approx(0.012) and inner[
        "off_centre_y"
    ].to_numpy() == pytest.approx(-0.02)
    assert inner["off_centre_x_std"].to_numpy() == pytest.approx(0.003 * np.sqrt(1.25))
    assert found.loc[found["species"] == "A", "off_centre_x"].isna().all()
    with pytest.raises(ArgumentError, match="Ti"):
        analyse_atoms(atoms, off_centre_of=("Ti", "A"))


def test_doubts_of_the_finds_lower_the_probability_of_vacancies():
    sure, unsure = boron_nitride(), boron_nitride()
    unsure.loc[:2, "probability"] = 0.6  # one of three is expected to be none, and as many to be overlooked
    low, high = (
        found.defects.query("kind == 'vacancy'")["probability"].mean()
        for found in (analyse_atoms(unsure), analyse_atoms(sure))
    )
    assert 0 < low < high < 1


def test_odd_fluxes_of_the_finder_are_defects():
    atoms = table(honeycomb(10), sublattice="A", odd_probability=0.0)
    atoms["flux"], atoms.loc[7, ["flux", "odd_probability"]] = 1.0, (1.8, 0.9)
    found = analyse_atoms(atoms).defects.query("kind == 'odd_flux'")
    assert found["name"].tolist() == ["bright_A"] and found["atoms"].tolist() == ["7"]


def test_atoms_at_random_have_no_lattice_and_break_nothing():
    found = analyse_atoms(table(np.random.default_rng(0).uniform(0, 5, (80, 2))))
    assert found.summary["lattices"] == [] and found.atoms["exx"].isna().all()
    json.dumps(found.summary, allow_nan=False)


def test_summary_is_json_in_pixels_too():
    atoms = table(honeycomb(8))
    atoms.attrs |= {"units": "px", "pixel_size": None}
    found = analyse_atoms(atoms)
    assert json.loads(json.dumps(found.summary, allow_nan=False))["units"] == "px"


@pytest.mark.parametrize("case", ["few", "frames", "columns", "cutoff", "constant"])
def test_what_cannot_be_analysed_is_told(case):
    atoms = table(honeycomb(6))
    if case == "columns":
        with pytest.raises(ShapeError, match="species"):
            analyse_atoms(atoms.drop(columns="species"))
        return
    if case == "frames":
        atoms.loc[3, "frame"] = 1
    arguments = {"cutoff": {"cutoff": 5.0}, "constant": {"lattice_constant": -1.0}}.get(case, {})
    with pytest.raises(ArgumentError, match={"few": "at least 3", "frames": "one frame"}.get(case, "expected")):
        analyse_atoms(atoms.iloc[:2] if case == "few" else atoms, **arguments)


def test_columns_of_a_perovskite_are_two_sublattices_and_no_substitutions():
    a_sites, b_sites = square(10, 0.4), square(9, 0.4) + 0.2
    positions = np.concatenate([a_sites, b_sites])
    found = analyse_atoms(table(positions, ["A"] * len(a_sites) + ["B"] * len(b_sites)))
    assert [each["species"] for each in found.summary["lattices"][0]["sublattices"]] == ["A", "B"]
    assert found.summary["lattices"][0]["edge"] == pytest.approx(0.4, abs=1e-6)
    assert not len(found.defects)
