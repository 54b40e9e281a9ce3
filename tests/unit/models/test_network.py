"""Networks that a user brings: they learn, are kept, and come back."""

import numpy as np
import pytest
import torch
from torch import nn

import adatom
from adatom.data import make_image
from adatom.errors import ArgumentError, ModelFileError, ShapeError
from adatom.models import Ensemble, Localizer, Segmenter
from adatom.nets import register, registry

BRIEF = {"steps": 4, "batch_size": 2, "validate_every": 2, "validation_images": 2, "seed": 1}


class Two(nn.Module):
    """Two layers, and nothing of what the networks that ship have beside."""

    def __init__(self, classes: int = 3, features: int = 6) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, features, 5, padding=2), nn.ReLU(), nn.Conv2d(features, classes, 1))

    def forward(self, images):
        return self.layers(images)


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def brief(net, kind=Segmenter, **arguments):
    return kind(net=net, training=BRIEF, **arguments)


def some_image():
    return make_image(np.random.default_rng(0).normal(size=(31, 44)), pixel_size=0.1)


@pytest.mark.parametrize("net", [Two(), Two, lambda classes: Two(classes, features=4), lambda: Two()])
def test_a_network_or_what_makes_it_learns(net, tiny_recipe):
    model = brief(net).fit(tiny_recipe)
    assert isinstance(model.net_, Two) and model.net_ is not net
    assert model.predict(some_image()).sizes["class"] == 3


def test_a_module_learns_on_from_its_own_weights_and_stays(tiny_recipe):
    net = Two()
    before = net.layers[0].weight.detach().clone()
    learned = brief(net).fit(tiny_recipe).net_.layers[0].weight
    assert torch.equal(net.layers[0].weight, before) and not torch.equal(learned, before)
    torch.testing.assert_close(learned, before, atol=0.05, rtol=0)


def test_the_same_seed_gives_the_same_network(tiny_recipe):
    first, second = (brief(Two).fit(tiny_recipe).net_.layers[0].weight for _ in range(2))
    assert torch.equal(first, second)


def test_what_does_not_fit_is_said_before_anything_is_trained(tiny_recipe):
    with pytest.raises(ShapeError, match=r"expected \(2, 3, .* got \(2, 2, .*the background and A, B\."):
        brief(Two(classes=2)).fit(tiny_recipe)
    with pytest.raises(ShapeError, match=r"expected \(2, 9, .* got \(2, 3, .*A, B; then 6 numbers of an atom"):
        brief(Two(), Localizer).fit(tiny_recipe)
    with pytest.raises(ArgumentError, match=r"expected a name, a torch.nn.Module, or a class or function.*got 7"):
        brief(7).fit(tiny_recipe)
    with pytest.raises(ArgumentError, match=r"expected one of unet, .*got 'mine'"):
        brief("mine").fit(tiny_recipe)


def test_an_argument_that_is_not_taken_is_named(tiny_recipe):
    register("two", Two)
    with pytest.raises(ArgumentError, match=r"two: expected arguments out of classes, features; .*feature"):
        brief("two", net_arguments={"feature": 7}).fit(tiny_recipe)
    with pytest.raises(ArgumentError, match=r"net: expected something that takes classes, feature; .*'feature'"):
        brief(Two, net_arguments={"feature": 7}).fit(tiny_recipe)
    with pytest.raises(ArgumentError, match="expected none for a network that is made already, got features"):
        brief(Two(), net_arguments={"features": 7}).fit(tiny_recipe)
    assert brief(Two, net_arguments={"features": 7}).fit(tiny_recipe).net_.layers[0].out_channels == 7


def test_a_localizer_takes_one_too(tiny_recipe, tmp_path):
    model = brief(Two, Localizer).fit(tiny_recipe)
    assert model.familiarity_ is None  # it gives no features
    model.save(tmp_path / "m.safetensors")
    loaded = adatom.load(tmp_path / "m.safetensors", net=Two)
    assert loaded.predict(some_image()).equals(model.predict(some_image()))


def test_a_registered_network_comes_back_by_its_name(tiny_recipe, tmp_path):
    register("two", Two)
    model = brief("two", net_arguments={"features": 7}).fit(tiny_recipe)
    assert model.architecture_ == {"name": "two", "arguments": {"classes": 3, "features": 7}}
    model.save(tmp_path / "m.safetensors")
    loaded = adatom.load(tmp_path / "m.safetensors")
    assert loaded.net == "two" and loaded.architecture_ == model.architecture_
    assert loaded.predict(some_image()).equals(model.predict(some_image()))


def test_a_recipe_names_it_and_its_arguments(tiny_recipe):
    register("two", Two)
    network = {"architecture": "two", "arguments": {"features": 5}}
    recipe = type(tiny_recipe).model_validate({**tiny_recipe.model_dump(), "network": network})
    assert brief(None).fit(recipe).net_.layers[0].out_channels == 5


def test_a_registered_network_that_is_not_known_any_more_is_named(tiny_recipe, tmp_path, monkeypatch):
    register("two", Two)
    model = brief("two").fit(tiny_recipe)
    model.save(tmp_path / "m.safetensors")
    monkeypatch.setattr(registry, "_registered", {})
    with pytest.raises(
        ModelFileError, match=r"m.safetensors has the network 'two', which is not known here. Register it"
    ):
        adatom.load(tmp_path / "m.safetensors")
    loaded = adatom.load(tmp_path / "m.safetensors", net=Two)
    assert loaded.predict(some_image()).equals(model.predict(some_image()))


def test_a_network_without_a_name_is_kept_as_weights_alone(tiny_recipe, tmp_path):
    path = tmp_path / "m.safetensors"
    model = brief(Two()).fit(tiny_recipe)
    model.save(path)
    with pytest.raises(ModelFileError, match=r"m.safetensors holds the weights of a .*Two alone, .*net=\.\.\."):
        adatom.load(path)
    for net in (Two(), Two):
        loaded = adatom.load(path, net=net)
        assert loaded.net is None and loaded.predict(some_image()).equals(model.predict(some_image()))
    with pytest.raises(ModelFileError, match="holds other weights than its network has"):
        adatom.load(path, net=Two(features=9))


def test_members_of_an_ensemble_have_a_name(tiny_recipe):
    with pytest.raises(ArgumentError, match=r"expected a name for the members.*Register"):
        Ensemble(net=Two).fit(tiny_recipe)
    register("two", Two)
    ensemble = Ensemble(net="two", estimator="Segmenter", n_members=2, training=BRIEF).fit(tiny_recipe)
    assert isinstance(ensemble.members_[1].net_, Two)
    with pytest.raises(ArgumentError, match=r"expected a network with a trunk and a crown \(unet, .*got two"):
        Ensemble(net="two", estimator="Segmenter", kind="trunk", training=BRIEF).fit(tiny_recipe)
