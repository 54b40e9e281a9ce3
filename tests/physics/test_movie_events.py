"""Atoms that come and go in movies of which all is known."""

import numpy as np
import pandas as pd
import pytest
from crystals import square

from adatom.analyse.events import find_events, occupation
from adatom.analyse.movie import analyse_movie
from adatom.analyse.sites_over_time import follow_sites
from adatom.data.atoms import make_atoms
from adatom.errors import ArgumentError
from adatom.simulate.movie import simulate_movie

BOX = (-0.5, -0.5, 4.5, 4.5)
N_FRAMES = 30


def movie(present: np.ndarray, *, overlooked: float = 0.0, invented: float = 0.0, noise: float = 0.01, seed: int = 0):
    """An atom table of a square lattice of 0.4 nm, whose atoms are there or not (frame, n), by an imperfect finder."""
    rng, sites = np.random.default_rng(seed), square(11, 0.4)
    rows = []
    for frame, there in enumerate(present):
        seen = np.where(there, rng.random(len(sites)) >= overlooked, rng.random(len(sites)) < invented)
        place = sites[seen] + noise * rng.standard_normal((int(seen.sum()), 2))
        stated = np.where(there[seen], rng.uniform(0.8, 1, int(seen.sum())), rng.uniform(0.3, 0.7, int(seen.sum())))
        rows.append(np.column_stack([np.full(len(place), frame), place, stated]))
    frame, x, y, probability = np.concatenate(rows).T
    std = np.full(len(x), noise)
    columns = {"frame": frame, "x": x, "y": y, "x_std": std, "y_std": std, "probability": probability}
    return make_atoms(columns, units="nm", image_shape=(100, 100), pixel_size=(0.045, 0.045))


def all_there() -> np.ndarray:
    return np.ones((N_FRAMES, 121), dtype=bool)


def test_atoms_that_are_overlooked_now_and_then_are_no_events():
    found = analyse_movie(movie(all_there(), overlooked=0.05), BOX)
    assert len(found.sites.positions) == 121
    assert found.summary["n_unstable"] == 0 and not len(found.events)
    assert found.held.overlooked == pytest.approx(0.05 + 0.95 * 0.1, abs=0.05)  # those seen with a doubt count in part


def test_an_atom_that_goes_and_one_that_comes_are_told_with_their_frames():
    present = all_there()
    present[12:, 40], present[:20, 75] = False, False
    found = analyse_movie(movie(present, overlooked=0.03, invented=0.01), BOX)
    assert found.events["kind"].tolist() == ["comes", "goes"] or found.events["kind"].tolist() == ["goes", "comes"]
    rows = found.events.set_index("kind")
    sites = square(11, 0.4)
    assert rows.loc["goes", "frame"] == 12 and rows.loc["comes", "frame"] == 20
    assert rows.loc["goes", ["x", "y"]].to_numpy(float) == pytest.approx(sites[40], abs=0.01)
    assert rows.loc["comes", ["x", "y"]].to_numpy(float) == pytest.approx(sites[75], abs=0.01)
    assert found.summary["n_unstable"] == 2


def test_an_atom_that_hops_to_an_empty_site_beside_it_is_one_event():
    present = all_there()
    present[:, 61], present[15:, 60], present[15:, 61] = False, False, True
    event = analyse_movie(movie(present), BOX).events.iloc[0]
    assert event["kind"] == "hops" and event["frame"] == 15
    assert event["to_x"] - event["x"] == pytest.approx(0.4, abs=0.01)


def test_an_atom_that_is_seen_beside_its_place_once_is_displaced():
    atoms = movie(all_there(), noise=0.005)
    row = atoms.index[(atoms["frame"] == 7) & (np.hypot(atoms["x"] - 2.0, atoms["y"] - 2.0) < 0.1)][0]
    atoms.loc[row, "x"] += 0.09
    events = analyse_movie(atoms, BOX).events
    assert events["kind"].tolist() == ["displaced"] and events["frame"].tolist() == [7]


def test_probabilities_of_change_are_honest():
    """Of the sites called unstable with a probability, about so many are."""
    stated, true = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        present, unstable = all_there(), rng.random(121) < 0.15
        for atom in np.flatnonzero(unstable):
            present[int(rng.integers(1, N_FRAMES)) :, atom] = False
        atoms = movie(present, overlooked=0.15, invented=0.05, seed=seed)
        held = occupation(sites := follow_sites(atoms, reach=0.14))
        nearest = np.hypot(*(sites.positions[:, None] - square(11, 0.4)[None]).transpose(2, 0, 1)).argmin(axis=1)
        stated.append(held.unstable)
        true.append(unstable[nearest])
    stated, true = np.concatenate(stated), np.concatenate(true)
    assert np.sum(stated) == pytest.approx(true.sum(), rel=0.25)
    assert true[stated > 0.9].mean() > 0.85 and true[stated < 0.1].mean() < 0.1


def test_what_the_border_cuts_is_no_site():
    sites = follow_sites(movie(all_there()), reach=0.14, box=(-0.05, -0.05, 4.05, 4.05))
    assert len(sites.positions) == 81


def test_finds_that_scatter_widely_are_still_of_one_site():
    sites = follow_sites(movie(all_there(), noise=0.03), reach=0.14)
    assert len(sites.positions) == 121
    assert (sites.probability > 0).mean() > 0.98


def test_one_frame_and_lone_atoms_are_told():
    with pytest.raises(ArgumentError, match="two frames"):
        analyse_movie(movie(all_there()[:1]), BOX)
    lone = make_atoms({"x": [1.0], "y": [1.0], "probability": [1.0]}, units="nm", image_shape=(9, 9), pixel_size=None)
    with pytest.raises(ArgumentError, match="at least two atoms"):
        analyse_movie(lone, BOX)


def test_events_of_no_movie_are_an_empty_table():
    sites = follow_sites(movie(all_there()), reach=0.14)
    assert isinstance(find_events(sites, occupation(sites), spacing=0.4), pd.DataFrame)


def test_simulated_movie_shows_its_atoms_when_they_are_there(tiny_recipe):
    shown = simulate_movie(tiny_recipe, n_frames=6, unstable=0.2, rate=0.3, seed=3)
    assert shown.frames.shape == (6, 48, 48)
    assert ((shown.present != shown.present[0]).any(axis=0) == shown.unstable).all()
    row, column = np.round(shown.y).astype(int), np.round(shown.x).astype(int)
    at_atoms = shown.frames[:, row, column]
    assert np.mean(at_atoms[shown.present]) > np.mean(at_atoms[~shown.present]) + 0.3
    again = simulate_movie(tiny_recipe, n_frames=6, unstable=0.2, rate=0.3, seed=3)
    assert (again.frames == shown.frames).all()
    with pytest.raises(ArgumentError, match="n_frames"):
        simulate_movie(tiny_recipe, n_frames=1, unstable=0.2, rate=0.3)
