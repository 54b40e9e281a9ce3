"""Tersoff's potential against what is published of it, and against ase, which has it bond by bond."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene
from scipy.optimize import minimize_scalar

from adatom.structures.tersoff import _CHI, ELEMENTS, energy_and_forces


def build(name: str, a: float) -> Atoms:
    if name == "graphene":
        return graphene("C2", a=a, vacuum=5).repeat((2, 2, 1))
    return bulk(name, "zincblende" if name == "SiC" else "diamond", a=a, cubic=True)


# Tersoff, Phys. Rev. B 39, 5566 (1989): lattice constants [A] and cohesive energies [eV an atom] of his potential
@pytest.mark.parametrize(
    ("name", "edge", "energy"),
    [
        ("C", 3.566, -7.37),
        ("Si", 5.432, -4.63),
        ("Ge", 5.657, -3.85),
        ("SiC", 4.32, -6.165),
        ("graphene", 2.53, -7.395),
    ],
)
def test_crystals_are_as_large_and_as_strong_as_published(name: str, edge: float, energy: float) -> None:
    def per_atom(a: float) -> float:
        atoms = build(name, a)
        return energy_and_forces(atoms)[0] / len(atoms)

    least = minimize_scalar(per_atom, bounds=(0.95 * edge, 1.05 * edge), method="bounded")
    assert least.x == pytest.approx(edge, abs=2e-3)
    assert least.fun == pytest.approx(energy, abs=5e-3)


@pytest.mark.parametrize("name", ["C", "SiC", "graphene"])
def test_forces_are_the_slope_of_the_energy(name: str) -> None:
    rng = np.random.default_rng(3)
    atoms = build(name, {"C": 3.57, "SiC": 4.35, "graphene": 2.5}[name])
    atoms.positions += 0.1 * rng.standard_normal(atoms.positions.shape)
    forces, way = energy_and_forces(atoms)[1], rng.standard_normal(atoms.positions.shape)
    energies = []
    for step in (1e-5, -1e-5):
        moved = atoms.copy()
        moved.positions += step * way
        energies.append(energy_and_forces(moved)[0])
    assert (energies[0] - energies[1]) / 2e-5 == pytest.approx(-float((forces * way).sum()), rel=1e-5)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-9)


def test_bonds_without_neighbours_and_lone_atoms_have_finite_forces() -> None:
    for atoms in (Atoms("C"), Atoms("C2", positions=[[0, 0, 0], [1.4, 0, 0]])):
        energy, forces = energy_and_forces(atoms)
        assert np.isfinite(energy) and np.isfinite(forces).all()


def test_it_is_the_potential_that_ase_has() -> None:
    tersoff = pytest.importorskip("ase.calculators.tersoff")
    names, parameters = ("C", "Si"), {}
    for a in names:
        for b in names:
            for c in names:
                own, other, third = ELEMENTS[a], ELEMENTS[b], ELEMENTS[c]
                inner, outer = np.sqrt(own.R * third.R), np.sqrt(own.S * third.S)
                parameters[a, b, c] = tersoff.TersoffParameters(
                    m=3, gamma=1, lambda3=0, c=own.c, d=own.d, h=own.h, n=own.n, beta=own.beta,
                    lambda2=(own.mu + other.mu) / 2, B=_CHI.get(frozenset((a, b)), 1.0) * np.sqrt(own.B * other.B),
                    R=(inner + outer) / 2, D=(outer - inner) / 2,
                    lambda1=(own.lambda_ + other.lambda_) / 2, A=np.sqrt(own.A * other.A),
                )  # fmt: skip
    atoms = build("SiC", 4.3)
    atoms.positions += 0.1 * np.random.default_rng(1).standard_normal(atoms.positions.shape)
    energy, forces = energy_and_forces(atoms)
    atoms.calc = tersoff.Tersoff(parameters)
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-9)
