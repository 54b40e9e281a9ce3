"""A model adapted to images of which no atom is known: what comes out, and what is told where that cannot be."""

import numpy as np
import pytest

import adatom as ad
from adatom import adapter
from adatom.adapter import adapt_to_images, concluded, for_any_orientation
from adatom.errors import ArgumentError
from adatom.models import Ensemble, Localizer, Segmenter
from adatom.models.calibration import Calibration
from adatom.models.iterating import Iteration
from adatom.models.recipe import load_recipe
from adatom.simulate import simulate_image


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    """Images of 48 x 48 px, a training of no length."""
    training = {"steps": 6, "batch_size": 2, "validate_every": 6, "validation_images": 4}
    return tiny_recipe.model_copy(
        update={"estimator": "Localizer", "training": tiny_recipe.training.model_copy(update=training)}
    )


@pytest.fixture(scope="module")
def ensemble(recipe):
    return Ensemble(n_members=2).fit(recipe)


@pytest.fixture(scope="module")
def image(recipe):
    return ad.make_image(simulate_image(recipe, seed=8, index=0).image.astype(float), pixel_size=0.1)


class FoundMatch:
    """What `match` would have found: the recipe in one orientation, a little larger, at a scale of its own."""

    def __init__(self, recipe, factor=2.0):
        microscope = recipe.microscope.model_copy(update={"rotation_deg": (10.0, 20.0), "scale": (1.1, 1.2)})
        self.recipe = recipe.model_copy(update={"name": "tiny-matched", "microscope": microscope})
        self.factor = factor

    def summary(self):
        return {"factor": self.factor}


@pytest.fixture
def matched(recipe, monkeypatch):
    """`match` always finds the same, at once."""
    found = FoundMatch(recipe, factor=1.0)
    monkeypatch.setattr(adapter, "match", lambda image, recipe, seed: found)
    return found


@pytest.fixture
def all_kept(monkeypatch):
    """Every round that the anchor bears is taken for a gain."""
    monkeypatch.setattr(Iteration, "_agreement", lambda self, candidate: (0.1 * (1 + len(self.rounds)), 10.0, 5))
    monkeypatch.setattr(Iteration, "_anchor_f1", lambda self, candidate: 1.0)


def weights(model):
    members = model.members_ if isinstance(model, Ensemble) else [model]
    return np.concatenate([value.detach().numpy().ravel() for each in members for value in each.net_.parameters()])


# ---------------------------------------------------------------- what comes out


def test_an_ensemble_comes_out_as_one_that_saves_and_loads(ensemble, image, matched, all_kept, tmp_path):
    before = weights(ensemble)
    adapted = adapt_to_images([image], ensemble, steps=2, rounds=1)
    assert [each.way for each in adapted.rounds] == ["as it was", "simulated", "findings"]
    assert isinstance(adapted.model, Ensemble) and len(adapted.model.members_) == 2
    assert adapted.match is matched and not adapted.warnings
    assert adapted.model.figures_["adapted_rounds"] == 2 and adapted.model.figures_["adapted_images"] == 1
    assert not np.allclose(weights(adapted.model), before)
    np.testing.assert_array_equal(weights(ensemble), before)
    adapted.model.save(tmp_path / "adapted.safetensors")
    loaded = ad.load(tmp_path / "adapted.safetensors")
    assert isinstance(loaded, Ensemble) and loaded.header() == adapted.model.header()
    assert loaded.predict(image, factor=(1.0, 1.0)).equals(adapted.model.predict(image, factor=(1.0, 1.0)))


def test_a_localizer_comes_out_as_one_with_a_calibration(ensemble, image, matched, all_kept):
    lone = ensemble.members_[0]
    before = lone.header()
    adapted = adapt_to_images([image], lone, how="simulate", steps=2)
    assert isinstance(adapted.model, Localizer) and adapted.model is not lone
    assert adapted.model.figures_["adapted_rounds"] == 1 and "val_calibration_error" in adapted.model.figures_
    assert adapted.model.calibration_ is not lone.calibration_ and adapted.model.conformal_ is not lone.conformal_
    assert lone.header() == before


def test_leaving_members_out_leaves_them_as_they_were(ensemble, image, monkeypatch):
    worse = ensemble.members_[1]
    monkeypatch.setattr(Iteration, "_agreement", lambda self, one: (0.5 if one.members_ == [worse] else 0.9, 10.0, 5))
    monkeypatch.setattr(Iteration, "_anchor_f1", lambda self, candidate: 1.0)
    before = [member.header() for member in ensemble.members_]
    calibrations = [member.calibration_ for member in ensemble.members_]
    adapted = adapt_to_images([image], ensemble, how="choose")
    assert adapted.rounds[-1].way == "chosen members" and len(adapted.model.members_) == 1
    assert [member.calibration_ for member in ensemble.members_] == calibrations
    assert [member.header() for member in ensemble.members_] == before


@pytest.mark.parametrize("calibrated", ["before", "after"])
def test_an_ensemble_stays_calibrated_in_its_way(ensemble, recipe, calibrated):
    given = Ensemble.of(ensemble.members_)
    given.calibrated_ = calibrated
    adapted = concluded(given, recipe, True, 0)
    assert isinstance(adapted, Ensemble) and adapted.calibrated_ == calibrated
    assert given.calibration_ == Calibration() and adapted.calibration_ != Calibration()


def test_what_makes_nothing_better_changes_nothing(ensemble, image, matched, monkeypatch):
    monkeypatch.setattr(Iteration, "_agreement", lambda self, candidate: (0.5 - 0.1 * len(self.rounds), 10.0, 5))
    adapted = adapt_to_images([image], ensemble, steps=1, rounds=1)
    assert adapted.model is ensemble and [each.is_kept for each in adapted.rounds] == [True, False, False]
    assert any("stays as it is" in sentence for sentence in adapted.warnings)


def test_an_image_without_atoms_changes_nothing(ensemble):
    blank = ad.make_image(np.ones((64, 64)), pixel_size=0.1)
    adapted = adapt_to_images([blank], ensemble, steps=1, rounds=1)
    assert adapted.model is ensemble and adapted.match is None
    assert any("could not be matched" in sentence for sentence in adapted.warnings)


def test_an_image_smaller_than_those_of_the_training_will_do(ensemble, image, matched, all_kept):
    small = image.isel(x=slice(0, 36), y=slice(0, 40))
    adapted = adapt_to_images([small], ensemble, steps=1, rounds=1)
    assert adapted.rounds[-1].way == "findings"


# ---------------------------------------------------------------- the recipe


def test_a_model_without_a_recipe_learns_from_its_findings_alone_and_says_so(ensemble, image, all_kept):
    lone = ensemble.members_[0].uncalibrated()  # a copy
    lone.recipe_ = None
    adapted = adapt_to_images([image], lone, steps=1, rounds=1)
    assert [each.way for each in adapted.rounds] == ["as it was", "findings"] and adapted.match is None
    assert any("holds no recipe" in sentence for sentence in adapted.warnings)
    assert isinstance(adapted.model, Localizer) and adapted.model is not lone


def test_a_matched_recipe_keeps_its_orientations_and_follows_the_scale_it_is_seen_at(recipe):
    turned = for_any_orientation(FoundMatch(recipe, factor=2.0), recipe, 1.5)
    assert turned.microscope.rotation_deg == recipe.microscope.rotation_deg == (0.0, 360.0)
    assert turned.microscope.scale == pytest.approx((0.825, 0.9))
    assert turned.name == "tiny-matched"


# ---------------------------------------------------------------- what it does not take


def test_what_cannot_be_adapted_is_told(ensemble, recipe, brief_recipe, image):
    with pytest.raises(ArgumentError, match="how: expected one of auto, choose"):
        adapt_to_images([image], ensemble, how="magic")
    with pytest.raises(ArgumentError, match="images: expected at least one"):
        adapt_to_images([], ensemble)
    for other in (Segmenter().fit(brief_recipe), None):
        with pytest.raises(ArgumentError, match="model: expected a Localizer"):
            adapt_to_images([image], other)


def test_a_recipe_of_other_classes_is_told(ensemble, image):
    other = load_recipe("any_atoms")
    with pytest.raises(
        ArgumentError, match=r"recipe: expected one with the classes of the model \(A, B\), got any_atoms"
    ):
        adapt_to_images([image], ensemble, recipe=other)
