"""The simulated movie of switching dopants is what it says it is."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from adatom.errors import ArgumentError
from adatom.simulate.graphene_movie import STATES, graphene_recipe, simulate_graphene_movie
from adatom.simulate.recipe import ImageRecipe


@pytest.fixture(scope="module")
def movie():
    return simulate_graphene_movie(graphene_recipe(), n_frames=12, growth=0.3, drift_nm=0.05, seed=3)


def test_neighbours_of_silicon_are_as_many_and_as_far_as_its_state_says(movie):
    for _, frame in movie.atoms.groupby("frame"):
        places = frame[["x", "y"]].to_numpy()
        tree = cKDTree(places)
        for number, (state, bond) in {"silicon 3-fold": (3, 0.165), "silicon 4-fold": (4, 0.188)}.items():
            for at in places[(frame["state"] == number).to_numpy()]:
                near = [d for d in tree.query(at, k=8)[0][1:] if d < 0.21]
                assert len(near) == state and near == pytest.approx([bond] * state, abs=0.002)


def test_silicon_is_brighter_than_carbon_by_its_atomic_number(movie):
    still = movie.atoms[movie.atoms["frame"] == 0]
    row, column = ((still[axis] / movie.pixel_size).round().astype(int).to_numpy() for axis in ("y", "x"))
    grey = movie.frames[0][row, column]
    silicon = (still["species"] == "Si").to_numpy()
    # carbon is higher than 1 by the tails of its neighbours
    assert np.mean(grey[silicon]) == pytest.approx((14 / 6) ** 1.7 + 0.3, abs=0.6)
    assert np.mean(grey[~silicon]) == pytest.approx(1.2, abs=0.25)


def test_vacancies_only_grow_and_lose_as_many_atoms_as_is_said(movie):
    missing = movie.vacancies.pivot_table(index="frame", columns="vacancy", values="n_missing")
    assert (np.diff(missing, axis=0) >= 0).all() and missing.to_numpy().max() > 1
    assert set(np.diff(missing, axis=0).ravel()) <= {0, 1}
    assert set(movie.atoms["state"]) == set(STATES)


def test_drift_moves_all_atoms_alike(movie):
    bulk = movie.atoms[movie.atoms["state"] == "carbon"]
    places = bulk.pivot_table(index="frame", columns="site", values=["x", "y"]).dropna(axis=1)
    for axis, name in enumerate(("x", "y")):
        moved = (places[name] - places[name].loc[0]).to_numpy()
        still = np.abs(moved - movie.drift[:, [axis]]).max(axis=0) < 1e-9
        assert still.mean() > 0.8  # those beside a dopant are pushed now and then


def test_changes_are_as_likely_as_asked_for():
    seen, changed = 0, 0
    for seed in range(3):
        atoms = simulate_graphene_movie(graphene_recipe(), n_frames=40, to_four=0.2, seed=seed).atoms
        silicon = atoms[atoms["species"] == "Si"].pivot_table(
            index="frame", columns="site", values="state", aggfunc="first"
        )
        is_four = (silicon == "silicon 4-fold").to_numpy()
        seen += (~is_four[:-1]).sum()
        changed += (~is_four[:-1] & is_four[1:]).sum()
    assert changed / seen == pytest.approx(0.2, abs=3 * np.sqrt(0.2 * 0.8 / seen))


def test_the_same_seed_is_the_same_movie_and_another_material_is_refused(movie):
    again = simulate_graphene_movie(graphene_recipe(), n_frames=12, growth=0.3, drift_nm=0.05, seed=3)
    assert (again.frames == movie.frames).all() and again.atoms.equals(movie.atoms)
    other = graphene_recipe().model_dump()
    other["material"]["structure"] = "hBN"
    with pytest.raises(ArgumentError, match="graphene"):
        simulate_graphene_movie(ImageRecipe.model_validate(other))
    with pytest.raises(ArgumentError, match="to_four"):
        simulate_graphene_movie(graphene_recipe(), to_four=1.5)
