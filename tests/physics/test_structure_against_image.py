"""Back to the image: a structure against a simulated image of which every atom is known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from adatom.data import make_atoms, make_image
from adatom.errors import ArgumentError, ShapeError
from adatom.simulate.columns import project
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.structures import known_structure
from adatom.structures import atoms_to_structure, compare_with_image, without_unseen
from adatom.structures.against_image import Comparison

PIXEL_NM = 0.02
SIDE = 160
WIDTH_PX = 2.6
BRIGHT = {"W": 1.0, "S2": 0.2, "V_S": 0.1, "Mo_W": 0.4}
COUNTS = 400.0
BASE = 0.2


def ws2() -> pd.DataFrame:
    """WS2 with one vacancy of one atom and one lighter metal."""
    columns = project(known_structure("WS2").build())
    places, number = fill_lattice(columns.vectors, columns.basis, 0.8 * SIDE * PIXEL_NM)
    places = places + 0.5 * SIDE * PIXEL_NM
    inside = (np.abs(places / PIXEL_NM - 0.5 * (SIDE - 1)) < 0.5 * SIDE).all(axis=1)
    species = np.array([columns.names[k] for k in number], dtype=object)[inside]
    places = places[inside]
    middle = np.argsort(np.hypot(*(places - 0.5 * SIDE * PIXEL_NM).T))
    species[next(k for k in middle if species[k] == "S2")] = "V_S"
    species[next(k for k in middle[20:] if species[k] == "W")] = "Mo_W"
    table = {"x": places[:, 0], "y": places[:, 1], "species": list(species)}
    return make_atoms(table, units="nm", image_shape=(SIDE, SIDE), pixel_size=(PIXEL_NM, PIXEL_NM))


def image_of(atoms: pd.DataFrame, *, sign: int = 1, pixel: tuple[float, float] = (PIXEL_NM, PIXEL_NM)) -> xr.DataArray:
    shape = tuple(round(SIDE * PIXEL_NM / size) for size in pixel)
    along = [
        np.exp(-0.5 * ((np.arange(n) * size - at.to_numpy()[:, None]) / (WIDTH_PX * PIXEL_NM)) ** 2)
        for n, size, at in zip(shape, pixel, (atoms["y"], atoms["x"]), strict=True)
    ]
    height = np.array([BRIGHT[name] for name in atoms["species"]])
    expected = BASE + (height[:, None] * along[0]).T @ along[1]
    return make_image(sign * np.random.default_rng(2).poisson(COUNTS * expected).astype(float), pixel_size=pixel)


def renamed(atoms: pd.DataFrame, row: int, species: str) -> pd.DataFrame:
    changed = atoms.copy()
    changed.attrs = atoms.attrs
    changed.loc[row, "species"] = species
    return changed


def without(atoms: pd.DataFrame, row: int) -> pd.DataFrame:
    changed = atoms.drop(index=row).reset_index(drop=True)
    changed.attrs = atoms.attrs
    return changed


def compared(atoms: pd.DataFrame, image: xr.DataArray) -> Comparison:
    return compare_with_image(atoms_to_structure(atoms, template="WS2"), image)


def inner(atoms: pd.DataFrame, species: str) -> int:
    """A row of this species far from the border and from the middle."""
    off = np.hypot(atoms["x"] - 0.25 * SIDE * PIXEL_NM, atoms["y"] - 0.5 * SIDE * PIXEL_NM)
    return int(off[atoms["species"] == species].idxmin())


class TestCompare:
    def test_the_true_structure_is_not_contradicted(self) -> None:
        atoms = ws2()
        seen = compared(atoms, image_of(atoms))
        assert not len(seen.contradicted)
        assert seen.r2 == pytest.approx(seen.r2_possible, abs=0.01) and seen.r2 > 0.9
        assert seen.chi2 == pytest.approx(1.0, abs=0.06)
        assert seen.width_nm == pytest.approx(WIDTH_PX * PIXEL_NM, rel=0.02)
        for symbol, bright in {"W": 1.0, "S": 0.1, "Mo": 0.4}.items():
            assert seen.brightness[symbol] == pytest.approx(bright, abs=0.03)

    @pytest.mark.parametrize(
        ("true", "called", "reason"),
        [("Mo_W", "W", "too dim"), ("V_S", "W", "too dim"), ("W", "Mo_W", "too bright"), ("W", "S2", "like|bright")],
    )
    def test_a_column_that_is_called_what_it_is_not_is_told(self, true: str, called: str, reason: str) -> None:
        atoms = ws2()
        row = inner(atoms, true)
        seen = compared(renamed(atoms, row, called), image_of(atoms))
        assert list(seen.contradicted["row"]) == [row]
        assert any(word in seen.contradicted["reason"][0] for word in reason.split("|"))
        assert seen.contradicted["x"][0] == pytest.approx(atoms["x"][row])

    def test_a_missing_atom_is_told_with_its_place(self) -> None:
        atoms = ws2()
        row = inner(atoms, "W")
        seen = compared(without(atoms, row), image_of(atoms))
        assert list(seen.contradicted["row"]) == [None] and "no atom" in seen.contradicted["reason"][0]
        assert seen.contradicted["x"][0] == pytest.approx(atoms["x"][row], abs=0.02)
        assert seen.contradicted["y"][0] == pytest.approx(atoms["y"][row], abs=0.02)

    def test_an_invented_atom_is_left_out_when_asked(self) -> None:
        atoms = ws2()
        image = image_of(without(atoms, inner(atoms, "W")))
        structure = atoms_to_structure(atoms, template="WS2")
        seen = compare_with_image(structure, image)
        kept = without_unseen(structure, seen)
        assert len(kept) == len(structure) - 1 and inner(atoms, "W") not in kept.arrays["row"]
        assert "left out" in kept.info["warnings"][-1]

    def test_dark_atoms_and_oblong_pixels(self) -> None:
        atoms = ws2()
        dark = compared(atoms, image_of(atoms, sign=-1))
        assert not len(dark.contradicted) and dark.r2 > 0.9
        oblong = image_of(atoms, pixel=(PIXEL_NM, 0.8 * PIXEL_NM))
        seen = compare_with_image(atoms_to_structure(atoms, template="WS2"), oblong)
        assert seen.r2 > 0.9 and seen.width_nm == pytest.approx(WIDTH_PX * PIXEL_NM, rel=0.03)

    def test_what_cannot_be_compared_is_told(self) -> None:
        atoms = ws2()
        structure = atoms_to_structure(atoms, template="WS2")
        with pytest.raises(ArgumentError, match="--pixel-size"):
            compare_with_image(structure, make_image(np.ones((9, 9))))
        with pytest.raises(ArgumentError, match="columns of the structure"):
            compare_with_image(structure, make_image(np.random.default_rng(0).normal(size=(9, 9)), pixel_size=0.001))
        for nothing in (1.0, np.nan):
            with pytest.raises(ArgumentError, match="constant"):
                compare_with_image(structure, make_image(np.full((160, 160), nothing), pixel_size=PIXEL_NM))
        with pytest.raises(ShapeError):
            compare_with_image(structure, make_image(np.ones((2, 9, 9)), pixel_size=0.02))
