"""Networks by name: those that ship, those that were registered here, and those of installed packages."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from adatom.errors import ArgumentError

if TYPE_CHECKING:
    from torch import nn

Factory = Callable[..., "nn.Module"]

# name -> (module, class)
ARCHITECTURES = {
    "unet": ("adatom.nets.unet", "UNet"),
    "folded_unet": ("adatom.nets.folded_unet", "FoldedUNet"),
    "leaky_unet": ("adatom.nets.leaky_unet", "LeakyUNet"),
    "dilated_net": ("adatom.nets.dilated_net", "DilatedNet"),
    "residual_unet": ("adatom.nets.residual_unet", "ResidualUNet"),
    "nested_net": ("adatom.nets.nested_net", "NestedNet"),
}
# A package names its networks in this group of its entry points.
GROUP = "adatom.nets"
_registered: dict[str, Factory] = {}


def register(name: str, factory: Factory) -> None:
    """Make a network known by a name, so that recipes and model files can name it.

    Parameters
    ----------
    name : what ``net=`` and the recipe's ``network: architecture`` say.
    factory : a class of networks, or a function that returns one; called with those of ``classes`` (channels of the
        output), ``width``, ``depth`` and the further arguments of the recipe that its signature takes. The network
        takes (n, 1, y, x), and gives (n, classes, y, x), see `adatom.nets.contract`.

    Raises
    ------
    ArgumentError : if the name is taken, or the factory is none.
    """
    if not callable(factory):
        raise ArgumentError(f"factory: expected a class or function that returns a network, got {factory!r}.")
    if not name or not name.isprintable():
        raise ArgumentError(f"name: expected a word, got {name!r}.")
    if name in ARCHITECTURES or _registered.get(name, factory) is not factory:
        raise ArgumentError(f"name: expected one that is not taken, got {name!r}. Choose another.")
    _registered[name] = factory


def known_names() -> list[str]:
    """Names of all networks, those that ship first."""
    return [*ARCHITECTURES, *_registered, *(point.name for point in _of_packages() if point.name not in _registered)]


def factory_of(name: str) -> Factory:
    """What makes the network of a name.

    Raises
    ------
    ArgumentError : if there is none, or the package that names one does not give it.
    """
    if name in ARCHITECTURES:
        module, made = ARCHITECTURES[name]
        factory: Factory = getattr(import_module(module), made)
        return factory
    if name in _registered:
        return _registered[name]
    for point in _of_packages():
        if point.name == name:
            try:
                factory = point.load()
            except Exception as error:  # whatever a package does when it is imported
                raise ArgumentError(
                    f"architecture: {name!r} of {point.value} cannot be loaded ({type(error).__name__}: {error})."
                ) from error
            return factory
    raise ArgumentError(f"architecture: expected one of {', '.join(known_names())}, got {name!r}.")


def taken_arguments(factory: Factory, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `arguments` that a factory takes."""
    try:
        parameters = inspect.signature(factory).parameters
    except ValueError:  # written in C
        return {}
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return dict(arguments)
    return {name: value for name, value in arguments.items() if name in parameters}


def _of_packages() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))
