import numpy as np
import pytest

from adatom.analyse import find_domains
from adatom.data.atoms import make_atoms
from adatom.errors import ArgumentError

RNG = np.random.default_rng(0)


def lattice(n: int = 20, kind=None):
    x, y = (index.ravel().astype(float) for index in np.mgrid[:n, :n])
    atoms = make_atoms(
        {"x": x, "y": y, "species": ["atom"] * n**2}, units="nm", image_shape=(n, n), pixel_size=(1.0, 1.0)
    )
    atoms["component"] = 1 if kind is None else kind(x, y)
    return atoms


def test_circle_has_its_circumference_and_area():
    found = find_domains(lattice(40, lambda x, y: np.where(np.hypot(x - 20, y - 20) < 10.2, 2, 1)))
    assert found.wall_lengths()["length"].sum() == pytest.approx(2 * np.pi * 10.2, rel=0.08)
    assert list(found.table["class"]) == [1, 2]
    assert found.table["area"].iloc[1] == pytest.approx(np.pi * 10.2**2, rel=0.1)
    assert found.table[["x", "y"]].iloc[1].to_numpy() == pytest.approx([20, 20], abs=0.3)


def test_single_odd_atoms_make_no_domain():
    atoms = lattice(20, lambda x, y: np.where(x < 10, 1, 2))
    truth = atoms["component"].copy()
    wrong = RNG.choice(400, 30, replace=False)
    atoms.loc[wrong, "component"] = 3 - atoms.loc[wrong, "component"]
    found = find_domains(atoms)
    assert len(found.table) == 2
    assert (found.atoms["class"] == truth).mean() > 0.97
    assert 18 < found.n_wall_bonds < 80


def test_unsure_atoms_weigh_less():
    atoms = lattice(9)
    near = np.hypot(atoms["x"] - 4, atoms["y"] - 4) < 2.2
    atoms["component"] = np.where(near, 2, 1)
    atoms["component_probability"] = np.where(near, 0.05, 0.99)
    assert set(find_domains(atoms).atoms["class"]) == {1}


def test_three_domains_meet_in_a_point():
    def kind(x, y):
        return np.where(x < 9.5, 1, np.where(y < 9.5, 2, 3))

    found = find_domains(lattice(20, kind))
    lengths = found.wall_lengths()
    assert set(zip(lengths["class_a"], lengths["class_b"], strict=True)) == {(1, 2), (1, 3), (2, 3)}
    assert lengths["length"].to_numpy() == pytest.approx([9.5, 9.5, 9.5], abs=1.0)


def test_unknown_atoms_and_other_frames_stay_apart():
    atoms = lattice(12, lambda x, y: np.where(x < 6, 1, 2))
    atoms.loc[atoms["x"] > 10, "component"] = 0
    atoms.loc[atoms["y"] > 5, "frame"] = 1
    found = find_domains(atoms)
    assert (found.atoms["domain"][atoms["component"] == 0] == 0).all()
    assert found.table.groupby("frame").size().to_dict() == {0: 2, 1: 2}
    assert set(found.walls["frame"]) == {0, 1}


@pytest.mark.parametrize("n", [0, 1, 3])
def test_next_to_no_atoms(n):
    found = find_domains(lattice(2).iloc[:n].copy())
    assert found.n_wall_bonds == 0 and len(found.walls) == 0
    assert len(found.wall_lengths()) == 0


def test_atoms_on_one_line():
    atoms = lattice(6)
    atoms["y"] = 0.0
    atoms["x"] = np.arange(36.0)
    assert len(find_domains(atoms).walls) == 0


def test_wrong_columns_are_named():
    atoms = lattice(5)
    atoms["text"] = "a"
    for column, values in (("nothing", None), ("text", None), ("component", -1), ("component", 1.5)):
        if values is not None:
            atoms[column] = values
        with pytest.raises(ArgumentError, match="column"):
            find_domains(atoms, column)
