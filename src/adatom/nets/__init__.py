"""Networks: torch modules, one architecture per file. A new one is one file and one line in `ARCHITECTURES`.

Contract of a network: float32 (n, 1, y, x) in, with y and x multiples of `multiple`; logits (n, classes, y, x) out.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from adatom.errors import ArgumentError

if TYPE_CHECKING:
    from torch import nn

# name -> (module, class)
ARCHITECTURES = {"unet": ("adatom.nets.unet", "UNet")}


def build_net(architecture: str, **arguments: Any) -> "nn.Module":
    """Build a network by name.

    Raises
    ------
    ArgumentError : if there is no such architecture, or it does not take one of the arguments.
    """
    if architecture not in ARCHITECTURES:
        raise ArgumentError(f"architecture: expected one of {', '.join(ARCHITECTURES)}, got {architecture!r}.")
    module, name = ARCHITECTURES[architecture]
    try:
        net: nn.Module = getattr(import_module(module), name)(**arguments)
    except TypeError as error:
        raise ArgumentError(f"{architecture}: {error}.") from error
    return net


__all__ = ["ARCHITECTURES", "build_net"]
