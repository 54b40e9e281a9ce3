"""Walkers, hoppers and chains of states of which all is known."""

import numpy as np
import pytest
from walkers import chains, table_of, walkers

from adatom.analyse.diffusion import diffusion, mean_square_displacement
from adatom.analyse.dynamics import analyse_tracks
from adatom.analyse.hidden_chain import hidden_chain
from adatom.analyse.hops import find_hops
from adatom.analyse.lifetimes import lifetimes
from adatom.analyse.transitions import transitions


@pytest.mark.parametrize("position_std", [0.01, 0.1])
def test_diffusion_of_walkers_is_within_its_interval(position_std):
    """Also where the error of a place is more than twice a step."""
    found = [diffusion(walkers(12, 25, 1e-3, position_std, seed=seed)) for seed in range(60)]
    assert np.mean([each.low <= 1e-3 <= each.high for each in found]) >= 0.88  # 95 % of 60, by three deviations
    assert np.mean([each.coefficient for each in found]) == pytest.approx(1e-3, rel=0.1)
    assert np.mean([each.position_std for each in found]) == pytest.approx(position_std, rel=0.25)


def test_atoms_that_stand_still_do_not_diffuse():
    found = diffusion(walkers(20, 30, 0.0, 0.05, seed=1))
    assert found.low == 0 and found.high < 1e-4
    assert found.position_std == pytest.approx(0.05, rel=0.1)


def test_frame_time_makes_seconds_of_frames_and_gaps_are_no_steps():
    table = walkers(20, 40, 1e-3, 0.02, seed=2)
    whole = diffusion(table)
    assert diffusion(table, frame_time_s=0.1).coefficient == pytest.approx(10 * whole.coefficient)
    part = diffusion(table[table["frame"] % 10 != 5])
    assert part.n_steps == 20 * (39 - 4 * 2)
    assert part.coefficient == pytest.approx(whole.coefficient, rel=0.3)
    displacement = mean_square_displacement(table, frame_time_s=0.1)
    expected = 4 * 1e-3 * 10 * displacement["lag"] + 4 * 0.02**2
    assert displacement["msd"].to_numpy() == pytest.approx(expected.to_numpy(), rel=0.3)


def test_two_places_tell_no_diffusion():
    nothing = diffusion(walkers(1, 2, 1e-3, 0.01, seed=0))
    assert np.isnan(nothing.coefficient) and nothing.high == np.inf


def test_lifetimes_of_chains_are_within_their_intervals_although_the_movie_cuts_them():
    leave, n_frames = (0.1, 0.03), 20  # the second lives longer than the movie
    true = -0.5 / np.log1p(-np.array(leave))
    hits = []
    for seed in range(60):
        state = chains(15, n_frames, leave, seed=seed)
        table = lifetimes(table_of(np.zeros((15, n_frames, 2)), state=state), frame_time_s=0.5).table
        hits.append((table["lifetime_low"] <= true) & (true <= table["lifetime_high"]))
    assert np.mean(hits, axis=0).min() >= 0.88


def test_survival_of_a_chain_is_its_exponential():
    state = chains(1000, 60, (0.1, 0.2), seed=3)
    lives = lifetimes(table_of(np.zeros((1000, 60, 2)), state=state))
    curve = lives.survival[1]
    assert curve.share[:20] == pytest.approx(0.9 ** np.arange(20), abs=0.03)
    assert (curve.low <= curve.share).all() and (curve.share <= curve.high).all()


def test_transitions_and_rates_of_a_chain_are_within_their_intervals():
    hits = []
    for seed in range(60):
        state = chains(10, 30, (0.1, 0.25), seed=seed)
        found = transitions(table_of(np.zeros((10, 30, 2)), state=state), "state")
        hits.append([found.low[0, 1] <= 0.1 <= found.high[0, 1], found.low[1, 0] <= 0.25 <= found.high[1, 0]])
    assert np.mean(hits, axis=0).min() >= 0.88


def test_misjudged_frames_do_not_make_transitions_of_the_hidden_chain():
    """3 % of the frames are misjudged: counting takes each for two changes."""
    leave, hidden, counted = (0.05, 0.08), [], []
    for seed in range(8):
        state = chains(15, 40, leave, seed=seed)
        wrong = np.random.default_rng(seed).random(state.shape) < 0.03
        table = table_of(np.zeros((15, 40, 2)), state=np.where(wrong, 3 - state, state))
        found = hidden_chain(table)
        for told, within in ((found.changes, hidden), (transitions(table, "state"), counted)):
            within += [told.low[a, b] <= p <= told.high[a, b] for (a, b), p in (((0, 1), 0.05), ((1, 0), 0.08))]
    assert np.mean(hidden) >= 0.75 and np.mean(counted) < 0.5
    assert found.misjudged == pytest.approx(0.03, abs=0.015)
    true = state[table.loc[found.rows, "track"], table.loc[found.rows, "frame"]]
    told = found.changes.classes[found.state_probability.argmax(axis=1)]
    assert (told == true).mean() > (table.loc[found.rows, "state"] == true).mean()


def test_hidden_chain_without_errors_is_the_counted_one_and_goes_on_through_gaps():
    state = chains(30, 40, (0.1, 0.2), seed=1)
    table = table_of(np.zeros((30, 40, 2)), state=state)
    part = table[np.random.default_rng(0).random(len(table)) > 0.2]
    found, counted = hidden_chain(part, frame_time_s=0.5), transitions(table, "state", frame_time_s=0.5)
    assert found.changes.probability == pytest.approx(counted.probability, abs=0.05)
    assert found.changes.rate[0, 1] == pytest.approx(counted.rate[0, 1], rel=0.3)
    assert found.misjudged < 0.03
    assert np.isnan(found.changes.rate[0, 0])


def test_hidden_chain_of_one_state_or_none_is_told_too():
    table = table_of(np.zeros((3, 5, 2)), state=np.ones((3, 5), int))
    assert hidden_chain(table).changes.probability.tolist() == [[1.0]]
    assert hidden_chain(table[table["state"] > 1]).changes.probability.shape == (0, 0)


def test_hops_are_counted_and_wrong_places_are_none():
    rng = np.random.default_rng(4)
    hops = rng.random((40, 30)) < 0.03
    hops[:, 0] = False
    places = np.cumsum(np.stack([hops, np.zeros_like(hops)], axis=-1), axis=1) + rng.normal(0, 0.03, (40, 30, 2))
    wrong = places.copy()
    wrong[5, 12] += 1.0  # for one frame
    found = find_hops(table_of(places))
    assert len(found) == pytest.approx(hops.sum(), abs=1)
    assert found["length"].to_numpy() == pytest.approx(np.ones(len(found)), abs=0.2)
    assert not ((find_hops(table_of(wrong))["track"] == 5) & (find_hops(table_of(wrong))["frame"] == 12)).any()


def test_all_of_it_comes_as_one_summary():
    state = chains(10, 20, (0.1, 0.2), seed=0)
    table = walkers(10, 20, 1e-3, 0.01, seed=0).assign(state=state.ravel())
    table.attrs["units"] = "nm"
    found = analyse_tracks(table, frame_time_s=0.5)
    assert found.summary["n_tracks"] == 10 and found.summary["diffusion"]["unit"] == "nm^2/s"
    changes = (np.diff(state, axis=1) != 0).sum(axis=1)
    assert found.tracks["n_changes"].tolist() == changes.tolist()
    assert found.summary["n_changes_of_state"] == changes.sum()
    assert {"diffusion", "diffusion_low", "n_hops", "first", "last"} <= set(found.tracks)
