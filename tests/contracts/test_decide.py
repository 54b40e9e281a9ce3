"""What every acquisition of the table keeps to."""

import json

import numpy as np
import pytest
from plain_gp import PlainGP

from adatom.decide import ACQUISITIONS, Search, acquisition_of
from adatom.decide.acquisitions import described


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_an_acquisition_searches_and_resumes(name):
    y, x = np.mgrid[:9, :9]
    places = np.column_stack([x.ravel(), y.ravel()]) / 8
    several = name == "expected_hypervolume_improvement"
    truth = np.column_stack([np.sin(5 * places[:, 0]), places[:, 1]])[:, : 2 if several else 1]
    search = Search(places, surrogate=PlainGP(), acquisition=name, n_initial=4)
    for _ in range(3):
        which = search.ask(3)
        search.tell(which, truth[which])
    assert len(set(search.measured)) == 9
    again = Search.resume(json.loads(json.dumps(search.state(), allow_nan=False)), places, surrogate=PlainGP())
    asked = search.ask(3)
    assert again.ask(3).tolist() == asked.tolist()
    assert not set(asked) & set(search.measured)
    settings = described(acquisition_of(name))
    assert settings is not None and settings["name"] == name
    assert acquisition_of(name).__doc__


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_an_acquisition_knows_nothing_of_a_flat_world(name):
    places = np.random.default_rng(0).random((50, 2))
    several = name == "expected_hypervolume_improvement"
    search = Search(places, surrogate=PlainGP(), acquisition=name, n_initial=4)
    for _ in range(3):
        which = search.ask(3)
        search.tell(which, np.zeros((3, 2 if several else 1)))
    assert len(search.ask(41)) == 41  # to the last one
