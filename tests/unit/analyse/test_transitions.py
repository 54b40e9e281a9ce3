import numpy as np
import pandas as pd
import pytest

from adatom.analyse import transitions
from adatom.errors import ArgumentError

TRUE = np.array([[0.9, 0.08, 0.02], [0.2, 0.75, 0.05], [0.1, 0.3, 0.6]])


def movie(seed: int, n_atoms: int = 60, n_frames: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n_atoms)
    rows = []
    for frame in range(n_frames):
        rows.append(pd.DataFrame({"frame": frame, "track": np.arange(n_atoms), "component": kind + 1}))
        kind = (rng.random((n_atoms, 1)) > TRUE[kind].cumsum(axis=1)).sum(axis=1)
    return pd.concat(rows, ignore_index=True).sample(frac=1, random_state=seed)


def test_intervals_hold_what_they_state():
    held = [(found.low <= TRUE) & (found.high >= TRUE) for found in (transitions(movie(seed)) for seed in range(40))]
    assert 0.91 < np.mean(held) < 0.99


def test_counts_are_of_neighbouring_frames_only():
    table = pd.DataFrame({"frame": [0, 1, 3, 4], "track": [7] * 4, "component": [1, 2, 1, 1]})
    found = transitions(table)
    assert found.counts.tolist() == [[1, 1], [0, 0]]
    assert found.probability[1] == pytest.approx([0.5, 0.5])
    assert found.table().query("before == 1 and after == 2")["counts"].item() == 1


def test_rates_are_changes_in_the_time_at_risk():
    """Of a rare change, the rate is its probability over the time of a frame."""
    found = transitions(movie(1), frame_time_s=0.5)
    off = ~np.eye(3, dtype=bool)
    assert np.isnan(np.diag(found.rate)).all()
    assert found.rate[0, 1] == pytest.approx(0.08 / 0.95 / 0.5, rel=0.25)
    assert (found.rate_low[off] < found.rate[off]).all() and (found.rate[off] < found.rate_high[off]).all()


def test_unknown_and_unlinked_atoms_count_for_nothing():
    table = pd.DataFrame({"frame": [0, 1, 0, 1], "track": [1, 1, -1, -1], "component": [1, 0, 1, 2]})
    assert transitions(table).counts.sum() == 0
    named = pd.DataFrame({"frame": [0, 1], "track": [1, 1], "component": ["up", "down"]})
    assert list(transitions(named).classes) == ["down", "up"]


def test_nothing_is_no_error():
    empty = pd.DataFrame({"frame": [], "track": [], "component": []})
    assert transitions(empty).counts.shape == (0, 0)


def test_wrong_arguments_are_named():
    table = pd.DataFrame({"frame": [0, 0], "track": [1, 1], "component": [1, 2]})
    with pytest.raises(ArgumentError, match="twice"):
        transitions(table)
    with pytest.raises(ArgumentError, match="column other"):
        transitions(table, "other")
    with pytest.raises(ArgumentError, match="confidence"):
        transitions(table, confidence=1.5)
    with pytest.raises(ArgumentError, match="frame_time_s"):
        transitions(table, frame_time_s=0)
