"""Keras models on the torch backend learn in our loop; needs the extra keras."""

import copy
import os
from importlib.util import find_spec

import numpy as np
import pytest
import torch

if find_spec("keras") is None:
    pytest.skip("needs keras", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", "torch")
import keras  # the backend is chosen when it is imported
from two_layers import in_keras, in_torch, learned

import adatom
from adatom.data import make_image
from adatom.errors import ArgumentError
from adatom.models import Segmenter
from adatom.nets.keras_net import KerasNet

if keras.backend.backend() != "torch":
    pytest.skip("needs keras on torch", allow_module_level=True)


def test_two_layers_converge_to_the_same_loss_in_both_frameworks():
    losses = [learned(net()) for net in (in_torch, in_keras)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    assert losses[0] == pytest.approx(0.16, rel=0.1)  # the noise is what is left


def test_with_the_same_weights_both_take_the_same_way():
    torchs, kerass = in_torch(), in_keras()
    with torch.no_grad():
        kernel, bias, kernel2, bias2 = kerass.parameters()
        for mine, theirs in (
            (torchs[0].weight, kernel.T),
            (torchs[0].bias, bias),
            (torchs[2].weight, kernel2.T),
            (torchs[2].bias, bias2),
        ):
            mine.copy_(theirs)
    assert learned(torchs, steps=20) == pytest.approx(learned(kerass, steps=20), rel=1e-4)


def test_a_copy_has_the_same_names_and_a_life_of_its_own():
    net = in_keras()
    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == list(net.state_dict())
    x = torch.ones(2, 1)
    assert torch.equal(twin(x), net(x))
    with torch.no_grad():
        next(twin.parameters()).zero_()
    assert not torch.equal(twin(x), net(x))


def segmenting(norm: bool = True):
    layers = [keras.layers.Input((None, None, 1)), keras.layers.Conv2D(4, 5, padding="same", activation="relu")]
    layers += [keras.layers.BatchNormalization()] if norm else []
    return keras.Sequential([*layers, keras.layers.Dropout(0.1), keras.layers.Conv2D(3, 1)])


def test_it_segments_and_is_kept(tiny_recipe, tmp_path):
    training = {"steps": 4, "batch_size": 2, "validate_every": 2, "validation_images": 2, "seed": 1}
    model = Segmenter(net=segmenting(), training=training).fit(tiny_recipe)
    image = make_image(np.random.default_rng(0).normal(size=(31, 44)), pixel_size=0.1)
    maps = model.predict(image)
    assert maps.shape == (3, 31, 44)
    path = tmp_path / "m.safetensors"
    model.save(path)
    for net in (segmenting(), segmenting):
        np.testing.assert_allclose(adatom.load(path, net=net).predict(image), maps, atol=1e-5)


def test_a_model_without_weights_is_refused():
    with pytest.raises(ArgumentError, match="expected a Keras model that was built"):
        KerasNet(keras.Sequential([keras.layers.Dense(1)]))
