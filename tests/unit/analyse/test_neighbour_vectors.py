import numpy as np
import pytest

from adatom.analyse import neighbour_vectors
from adatom.data.atoms import make_atoms
from adatom.errors import ArgumentError

RNG = np.random.default_rng(0)


def square(n: int = 8, *, turn: float = 0.0, frame: int = 0) -> np.ndarray:
    places = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2).astype(float)
    cos, sin = np.cos(turn), np.sin(turn)
    return places @ np.array([[cos, sin], [-sin, cos]])


def as_atoms(places, frame=0, species="atom"):
    columns = {"x": places[:, 0], "y": places[:, 1], "frame": np.zeros(len(places)) + frame}
    columns["species"] = [species] * len(places) if isinstance(species, str) else species
    return make_atoms(columns, units="nm", image_shape=(9, 9), pixel_size=(1.0, 1.0))


@pytest.mark.parametrize("turn", [0.0, 0.4, np.pi / 4])
def test_neighbours_stand_in_one_order(turn):
    places = square(turn=turn) + RNG.normal(0, 0.03, (64, 2))
    found = neighbour_vectors(as_atoms(places), 4)
    assert len(found.rows) == 36  # those inside
    assert np.std(found.values, axis=0).max() < 0.1
    angle = np.unwrap(np.arctan2(found.values[:, 1::2], found.values[:, 0::2]), axis=1)
    assert np.diff(angle, axis=1) == pytest.approx(np.pi / 2, abs=0.3)


def test_turned_sets_of_two_grains_are_alike():
    both = np.concatenate([square(), square(turn=0.5) + np.array([30.0, 0])])
    found = neighbour_vectors(as_atoms(both), 4, turned=True)
    assert len(found.rows) == 72
    assert np.ptp(found.values, axis=0).max() < 1e-6


def test_atoms_beside_a_vacancy_are_left_out():
    places = np.delete(square(), 27, axis=0)
    found = neighbour_vectors(as_atoms(places), 4)
    assert len(found.rows) == 36 - 1 - 4


def test_neighbours_of_another_species():
    corners = square()
    atoms = as_atoms(np.concatenate([corners, corners + 0.5]), species=["A"] * 64 + ["B"] * 64)
    found = neighbour_vectors(atoms, 4, of="B", to="A")
    assert found.rows.min() >= 64 and len(found.rows) == 49
    assert np.abs(found.values) == pytest.approx(0.5)
    with pytest.raises(ArgumentError, match="expected one of A, B"):
        neighbour_vectors(atoms, 4, of="C")


def test_frames_are_apart():
    frame = np.repeat([0, 1], 64)
    found = neighbour_vectors(as_atoms(np.tile(square(), (2, 1)), frame), 4)
    assert len(found.rows) == 72
    assert np.abs(np.linalg.norm(found.values.reshape(-1, 2), axis=1) - 1).max() < 1e-9


def test_few_atoms_and_wrong_numbers():
    assert neighbour_vectors(as_atoms(square()[:3]), 4).values.shape == (0, 8)
    assert neighbour_vectors(as_atoms(np.zeros((0, 2))), 4).values.shape == (0, 8)
    for wrong in (1, 13):
        with pytest.raises(ArgumentError, match="n_neighbours"):
            neighbour_vectors(as_atoms(square()), wrong)
