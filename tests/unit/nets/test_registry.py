"""Networks by name."""

from importlib.metadata import EntryPoint

import pytest
import torch
from torch import nn

from adatom.errors import ArgumentError
from adatom.nets import build_net, known_names, register, registry


class Plain(nn.Conv2d):
    def __init__(self, classes: int, width: int = 5) -> None:
        super().__init__(1, classes, kernel_size=width, padding=width // 2)


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def test_a_registered_network_is_built_by_its_name():
    register("plain", Plain)
    assert "plain" in known_names()
    assert build_net("plain", classes=3, width=7).kernel_size == (7, 7)


def test_an_argument_that_it_does_not_take_is_named():
    register("plain", Plain)
    with pytest.raises(ArgumentError, match=r"plain: expected arguments out of classes, width.*depth"):
        build_net("plain", classes=3, depth=2)


def test_a_name_has_one_network():
    register("plain", Plain)
    register("plain", Plain)  # a module that is imported twice
    with pytest.raises(ArgumentError, match="expected one that is not taken, got 'plain'"):
        register("plain", nn.Conv2d)
    with pytest.raises(ArgumentError, match="expected one that is not taken, got 'unet'"):
        register("unet", Plain)


@pytest.mark.parametrize(("name", "factory"), [("plain", 3), ("", Plain), ("a\nb", Plain)])
def test_what_is_no_factory_or_name_is_refused(name, factory):
    with pytest.raises(ArgumentError, match="expected"):
        register(name, factory)


def test_packages_bring_networks_by_entry_points(monkeypatch):
    points = (
        EntryPoint("from_package", f"{__name__}:Plain", registry.GROUP),
        EntryPoint("broken", "no_such_package_of_ours:Net", registry.GROUP),
    )
    monkeypatch.setattr(registry, "_of_packages", lambda: points)
    assert isinstance(build_net("from_package", classes=2), Plain)
    with pytest.raises(ArgumentError, match="'broken' of no_such_package_of_ours:Net cannot be loaded"):
        build_net("broken", classes=2)
    with pytest.raises(ArgumentError, match=r"expected one of unet, .*from_package, broken, got 'none'"):
        build_net("none", classes=2)


def test_weights_are_float32_whatever_the_default_is():
    register("plain", Plain)
    try:
        torch.set_default_dtype(torch.float64)
        assert build_net("plain", classes=2).weight.dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
