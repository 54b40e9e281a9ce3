"""Structures let go: what is held, what is told, and what happens when it ends early."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from adatom.data import make_atoms
from adatom.errors import ArgumentError
from adatom.simulate.columns import project
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.structures import known_structure
from adatom.structures import atoms_to_structure, relax

ERROR_NM = 0.003


def layer(name: str, side_px: int = 60, radius: float = 1.0, seed: int = 0) -> Atoms:
    """Columns of a layer, misplaced by `ERROR_NM`, in the middle of an image of 0.05 nm pixels."""
    columns = project(known_structure(name).build())
    places, number = fill_lattice(columns.vectors, columns.basis, radius)
    places = places + 0.025 * side_px + ERROR_NM * np.random.default_rng(seed).standard_normal(places.shape)
    std = np.full(len(places), ERROR_NM)
    table = {"x": places[:, 0], "y": places[:, 1], "x_std": std, "y_std": std}
    table["species"] = [columns.names[k] for k in number]
    return atoms_to_structure(
        make_atoms(table, units="nm", image_shape=(side_px, side_px), pixel_size=(0.05, 0.05)), vacuum_nm=0.5
    )


class Failing(Calculator):
    """A spring to the origin that fails at its fifth call."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012  as ase declares it

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.calls, self.error = 0, error

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        if self.calls == 5:
            raise self.error
        self.results = {"energy": float((self.atoms.positions**2).sum()), "forces": -2 * self.atoms.positions}


class TestRelax:
    def test_a_flake_loses_energy_and_says_how_far_it_moved(self) -> None:
        flake = layer("graphene")
        before = flake.positions.copy()
        done = relax(flake, "tersoff")
        np.testing.assert_array_equal(flake.positions, before)
        facts = done.facts()
        assert done.converged and facts["largest_force_ev_per_angstrom"] < 0.02
        assert facts["energy_after_ev"] < facts["energy_before_ev"]
        assert facts["n_fixed"] == 0 and facts["n_free"] == len(flake)
        # graphene of this potential is larger than graphene; beyond that, errors of the places are taken out
        assert facts["stretch"] == pytest.approx(1.027, abs=0.01)
        assert facts["within_2_std"] < 0.2 < facts["within_2_std_beyond_stretch"]
        np.testing.assert_allclose(done.moved, done.structure.positions - before)

    def test_atoms_at_the_border_of_the_image_are_held(self) -> None:
        sheet = layer("graphene", side_px=30, radius=1.0)
        done = relax(sheet, "tersoff", hold_nm=0.3)
        near = sheet.arrays["to_border"] < 3.0
        assert near.any() and not near.all()
        np.testing.assert_array_equal(done.fixed, near)
        assert np.abs(done.moved[near]).max() == 0 and np.abs(done.moved[~near]).max() > 0
        assert done.structure.arrays["fixed"].sum() == near.sum()

    def test_metals_by_effective_medium_theory(self) -> None:
        done = relax(layer("Cu(111)"), "EMT", max_force=0.05)
        assert done.energy_after < done.energy_before and done.calculator == "EMT"

    @pytest.mark.parametrize(
        ("error", "word"), [(KeyboardInterrupt(), "interrupted"), (RuntimeError("no licence"), "no licence")]
    )
    def test_what_was_reached_is_kept(self, error: BaseException, word: str) -> None:
        done = relax(layer("graphene"), Failing(error))
        assert word in done.stopped and not done.converged
        assert done.energy_after < done.energy_before and done.n_steps >= 1

    def test_too_few_steps_are_told(self) -> None:
        done = relax(layer("graphene"), "tersoff", max_steps=3)
        assert done.n_steps == 3 and not done.converged and done.energy_after < done.energy_before


class TestBadRequests:
    @pytest.mark.parametrize("name", ["no-such", "../x", "os", "", "x" * 5000])
    def test_unknown_calculators_are_told(self, name: str) -> None:
        with pytest.raises(ArgumentError, match=r"tersoff.*emt.*lj"):
            relax(layer("graphene"), name)

    def test_elements_that_it_does_not_know_are_told(self) -> None:
        with pytest.raises(ArgumentError, match="got Mo, S"):
            relax(layer("MoS2"), "tersoff")
        with pytest.raises(ArgumentError, match="got C"):
            relax(layer("graphene"), "emt")

    def test_one_that_is_not_set_up_is_told(self) -> None:
        with pytest.raises(ArgumentError, match="calculator: "):
            relax(layer("graphene"), "gpaw")

    def test_nothing_left_to_move_is_told(self) -> None:
        with pytest.raises(ArgumentError, match="--hold"):
            relax(layer("graphene"), "tersoff", hold_nm=50.0)

    def test_too_many_atoms_are_told(self) -> None:
        with pytest.raises(ArgumentError, match="at most 20000"):
            relax(Atoms(["C"] * 20_001), "tersoff")
