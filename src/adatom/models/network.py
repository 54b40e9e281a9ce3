"""Which network a model has: one by name, or one that its user brings."""

import copy
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adatom.errors import ArgumentError, ModelFileError
from adatom.nets import ARCHITECTURES, Factory, build_net, factory_of, in_float32, known_names, taken_arguments
from adatom.nets.contract import check_net
from adatom.nets.keras_net import KerasNet, is_keras

Net = str | nn.Module | Factory
_USUAL = ("classes", "width", "depth")


def make_network(net: Net, arguments: Mapping[str, Any], *, stand_for: str = "") -> tuple[dict[str, Any], nn.Module]:
    """A network that is ready to learn, and what a model file says of it.

    Parameters
    ----------
    net : a name; or a module, of which a copy learns, from the weights that it has; or a class or function that makes
        one. A Keras model on the torch backend is one too.
    arguments : ``classes``, ``width``, ``depth``, and what else was asked for. A network that ships takes all; of the
        three, others are given those that their maker takes.
    stand_for : what the channels of its output mean, for those whose network gives others.

    Raises
    ------
    ArgumentError, ShapeError : if there is no such network, or it does not keep the contract of `adatom.nets.contract`.
    """
    if isinstance(net, str):
        if net in ARCHITECTURES:
            return {"name": net, "arguments": dict(arguments)}, build_net(net, **arguments)
        taken = _taken(factory_of(net), arguments)
        architecture = {"name": net, "arguments": {"classes": arguments["classes"], **taken}}
        return architecture, _checked(build_net(net, **taken), arguments["classes"], stand_for)
    made = _checked(_own(net, arguments), arguments["classes"], stand_for)
    theirs = made.model if isinstance(made, KerasNet) else made
    name = f"{type(theirs).__module__}.{type(theirs).__qualname__}"
    return {"name": name, "own": True, "arguments": {"classes": arguments["classes"]}}, made


def builder_of(path: Path, net: Net | None) -> Callable[[Mapping[str, Any]], nn.Module]:
    """What makes the network that a checked header of the file `path` describes, before it gets its weights.

    Parameters
    ----------
    net : the network, where the user gives it.

    Returns
    -------
    A function of the header; it raises a ModelFileError where only the user can give the network, and did not.
    """

    def build(header: Mapping[str, Any]) -> nn.Module:
        architecture = header["architecture"]
        name, arguments = architecture["name"], architecture["arguments"]
        if net is None and name in ARCHITECTURES and not architecture.get("own"):
            with torch.device("meta"):  # no memory, and nothing drawn from the user's generator
                return build_net(name, **arguments)
        if net is None and architecture.get("own"):
            raise ModelFileError(
                f"model: {path.name} holds the weights of a {name} alone, which is no registered network. Give the "
                f"network that they belong to: adatom.load({path.name!r}, net=...)."
            )
        if net is None and name not in known_names():
            raise ModelFileError(
                f"model: {path.name} has the network {name!r}, which is not known here. Register it "
                f"(adatom.nets.register), install the package that has it, or give it: load({path.name!r}, net=...)."
            )
        with torch.random.fork_rng(devices=[]):
            chosen: Net = name if net is None else net
            return make_network(chosen, arguments)[1]

    return build


def _taken(factory: Factory, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a factory is given: of what every network is asked for what it takes, and all that was meant for it."""
    usual = {name: value for name, value in arguments.items() if name in _USUAL}
    meant = {name: value for name, value in arguments.items() if name not in _USUAL}
    return {**taken_arguments(factory, usual), **meant}


def _own(net: Any, arguments: Mapping[str, Any]) -> nn.Module:
    meant = [name for name in arguments if name not in _USUAL]
    if is_keras(net):
        net = KerasNet(net)
    if isinstance(net, nn.Module):
        if meant:
            raise ArgumentError(f"net_arguments: expected none for a network that is made already, got {meant[0]}.")
        return copy.deepcopy(net)
    if not callable(net):
        raise ArgumentError(
            f"net: expected a name, a torch.nn.Module, or a class or function that makes one, got {net!r}."
        )
    taken = _taken(net, arguments)
    try:
        inspect.signature(net).bind(**taken)
    except TypeError as error:
        raise ArgumentError(f"net: expected something that takes {', '.join(taken) or 'nothing'}; {error}.") from error
    made = in_float32(net, taken)
    return KerasNet(made) if is_keras(made) else made


def _checked(net: nn.Module, classes: int, stand_for: str) -> nn.Module:
    multiple = check_net(net, classes, stand_for=stand_for)
    if not hasattr(net, "multiple"):
        net.multiple = multiple  # type: ignore[assignment]  # a number, whatever torch's types say of attributes
    return net
