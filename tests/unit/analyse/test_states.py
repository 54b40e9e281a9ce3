import numpy as np
import pandas as pd
import pytest

from adatom.analyse.states import find_states
from adatom.errors import ArgumentError


def clouds():
    """A bent cloud, a round one far from it, and what they are."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, 400)
    bent = 3 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.2, (400, 2))
    round_one = rng.normal([0.0, -3.0], 0.3, (150, 2))
    return np.vstack([bent, round_one]), np.repeat([1, 2], [400, 150])


def test_a_bent_cloud_is_one_state_although_no_gaussian_describes_it():
    values, true = clouds()
    found = find_states(values)
    assert len(found.of.weights) > 2
    assert found.state.tolist() == true.tolist()
    assert found.probability.shape == (550, 2) and found.probability.max(axis=1).min() > 0.9


def test_states_may_be_given_by_number():
    values, _ = clouds()
    assert len(find_states(values, n=2).centres) == 2
    with pytest.raises(ArgumentError, match="n"):
        find_states(values, n=0)


def test_states_go_back_into_the_table_with_0_for_atoms_that_were_not_looked_at():
    values, true = clouds()
    atoms = pd.DataFrame({"x": np.arange(600)})
    table = find_states(values).on_atoms(atoms, np.arange(50, 600))
    assert (table["state"][:50] == 0).all() and table["state"][50:].tolist() == true.tolist()
    assert table["state_probability"][:50].isna().all()


def test_one_number_and_one_cloud_are_one_state():
    assert set(find_states(np.random.default_rng(1).normal(size=(300, 1))).state) == {1}
