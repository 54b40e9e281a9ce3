"""A model that learns new conditions from what its members find there together."""

import numpy as np
import pytest
import torch

from adatom.errors import ArgumentError
from adatom.locate import Peaks
from adatom.models import Ensemble, Localizer, Segmenter
from adatom.models.iterating import FoundImage, Iteration, NewImage, Round, _sharpened
from adatom.simulate import simulate_image


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    return tiny_recipe.model_copy(update={"estimator": "Localizer"})


@pytest.fixture(scope="module")
def ensemble(recipe):
    return Ensemble(n_members=2).fit(recipe)


@pytest.fixture(scope="module")
def images(recipe):
    noisier = recipe.microscope.model_copy(update={"noise": (0.25, 0.3)})
    drifted = recipe.model_copy(update={"microscope": noisier})
    return [simulate_image(drifted, seed=8, index=k).image.astype(float) for k in range(2)]


def iteration(model, images, **values) -> Iteration:
    return Iteration(model, images, [(1.0, 1.0)] * len(images), steps=6, **values)


def test_the_model_stays_as_it_is_and_rounds_are_told(ensemble, images):
    before = [value.clone() for member in ensemble.members_ for value in member.net_.state_dict().values()]
    told: list[Round] = []
    steps: list[tuple[int, int]] = []
    going = iteration(
        ensemble,
        images,
        on_round=lambda judged, candidate: told.append(judged),
        on_record=lambda record: steps.append((record["round"], record["member"])),
    )
    going.learn_findings(most=1)
    after = [value for member in ensemble.members_ for value in member.net_.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert [each.number for each in told] == [0, 1] and told[0].way == "as it was" and told[1].way == "findings"
    assert set(steps) == {(1, 0), (1, 1)} and len(steps) == 12
    assert 0 < told[0].agreement <= 1 and told[0].n_sure <= told[0].n_expected + 5
    if not told[1].is_kept:
        assert going.ensemble is ensemble


def test_training_near_the_new_conditions_is_a_round_too(ensemble, recipe, images):
    going = iteration(ensemble, images)
    going.learn_simulated(recipe)
    assert [each.way for each in going.rounds] == ["as it was", "simulated"]


def test_same_seed_gives_the_same_rounds(ensemble, images):
    first, again = iteration(ensemble, images), iteration(ensemble, images)
    for each in (first, again):
        each.learn_findings(most=1)
    assert first.rounds == again.rounds


def test_a_round_that_harms_the_anchor_is_not_kept(ensemble, images, monkeypatch):
    going = iteration(ensemble, images)
    monkeypatch.setattr(going, "_anchor_f1", lambda candidate: going.rounds[0].anchor_f1 - 0.5)
    monkeypatch.setattr(going, "_agreement", lambda candidate: (1.0, 10.0, 10))
    assert not going._note("findings", ensemble)
    assert not going.rounds[-1].is_kept


def test_a_member_that_disagrees_with_itself_is_left_out(ensemble, images, monkeypatch):
    going = iteration(ensemble, images)
    worse = ensemble.members_[1]
    monkeypatch.setattr(going, "_agreement", lambda one: (0.5 if one.members_ == [worse] else 0.9, 10.0, 5))
    assert going.choose_members()
    assert going.ensemble.members_ == [ensemble.members_[0]]
    assert not iteration(going.ensemble, images).choose_members()


def test_doubtful_finds_are_drawn_as_often_as_they_are_likely():
    n = 400
    zeros, stated = np.zeros(n), np.tile([0.9, 0.1], n // 2)
    found = Peaks(
        x=np.linspace(5, 40, n),
        y=zeros + 20,
        species=np.zeros(n, dtype=np.int64),
        probability=stated,
        x_std=zeros + 0.2,
        y_std=zeros,
        flux=zeros,
        species_probability=zeros + 1,
        of_species=np.tile([[0.75, 0.25]], (n, 1)),
    )
    image = FoundImage(np.zeros((48, 48)), 1.0, found, _sharpened(stated))
    drawn = [image.drawn(np.random.default_rng(k)) for k in range(40)]
    # 0.9 sharpened is 81 / 82, and 3 : 1 is 9 : 1
    assert np.mean([len(each.x) for each in drawn]) == pytest.approx(n / 2, rel=0.02)
    assert np.mean(np.concatenate([each.species for each in drawn])) == pytest.approx(0.1, abs=0.01)
    assert all(np.isnan(each.flux).all() for each in drawn)


def test_lone_localizer_is_enough_and_other_kinds_are_told(ensemble, brief_recipe, images):
    going = iteration(ensemble.members_[0], images)
    assert isinstance(going.ensemble.members_[0], Localizer) and len(going.rounds) == 1
    with pytest.raises(ArgumentError, match="expected a Localizer"):
        iteration(Segmenter().fit(brief_recipe), images)
    with pytest.raises(ArgumentError, match="at least one"):
        iteration(ensemble, [])


def test_new_images_are_kept_as_the_networks_see_them(ensemble, images):
    assert all(isinstance(each, NewImage) and each.contrast > 0 for each in iteration(ensemble, images).images)
