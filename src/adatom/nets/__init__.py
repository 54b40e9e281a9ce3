"""Networks: torch modules, one architecture per file. A new one is one file and one line in `ARCHITECTURES`.

Contract of a network: float32 (n, 1, y, x) in, with y and x multiples of `multiple`; logits (n, classes, y, x) out.
Those that ship do more: `encode` gives the features of their levels, the deepest last; `trunk`, then `finish`, do what
a call does; `crown` names the weights of `finish`. Yours need not: `register` makes them known by name.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from adatom.errors import ArgumentError
from adatom.nets.registry import ARCHITECTURES, Factory, factory_of, known_names, register, taken_arguments

if TYPE_CHECKING:
    from torch import nn

# The same of networks between patches and spectra: (n, channels, y, x) to (n, 2 spectra, length), or the other way;
# values first, then the logarithms of their variances. `encode` gives the bottleneck (n, latent).
PAIR_ARCHITECTURES = {
    "im2spec": ("adatom.nets.im2spec", "ImageToSpectrumNet"),
    "im2spec_reversed": ("adatom.nets.im2spec", "SpectrumToImageNet"),
    "ved": ("adatom.nets.ved", "ImageToSpectrumVED"),
    "ved_reversed": ("adatom.nets.ved", "SpectrumToImageVED"),
}
# And of networks from whole images (n, channels, y, x), of any size, to numbers (n, outputs).
WHOLE_IMAGE_ARCHITECTURES = {"patch_net": ("adatom.nets.patch_net", "PatchNet")}
# The same of autoencoders: (n, channels, y, x) apart from pose; see `adatom.nets.spatial_vae`.
VAE_ARCHITECTURES = {"spatial_vae": ("adatom.nets.spatial_vae", "SpatialVAE")}


def build_net(
    architecture: str, table: Mapping[str, tuple[str, str]] = ARCHITECTURES, /, **arguments: Any
) -> "nn.Module":
    """Build a network by name, in float32 whatever torch's default is.

    Parameters
    ----------
    table : of the networks that ship; beside `ARCHITECTURES` stand all that were registered.

    Raises
    ------
    ArgumentError : if there is no such architecture, or it does not take one of the arguments.
    """
    make: Factory
    if table is ARCHITECTURES:
        make = factory_of(architecture)
    elif architecture in table:
        module, name = table[architecture]
        make = getattr(import_module(module), name)
    else:
        raise ArgumentError(f"architecture: expected one of {', '.join(table)}, got {architecture!r}.")
    signature = inspect.signature(make)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        expected = ", ".join(signature.parameters)
        raise ArgumentError(f"{architecture}: expected arguments out of {expected}; {error}.") from error
    return in_float32(make, arguments)


def in_float32(make: Factory, arguments: Mapping[str, Any]) -> "nn.Module":
    """What a factory makes, in float32 whatever torch's default is."""
    import torch

    users_dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        return make(**arguments)
    finally:
        torch.set_default_dtype(users_dtype)


__all__ = [
    "ARCHITECTURES",
    "PAIR_ARCHITECTURES",
    "VAE_ARCHITECTURES",
    "WHOLE_IMAGE_ARCHITECTURES",
    "Factory",
    "build_net",
    "factory_of",
    "in_float32",
    "known_names",
    "register",
    "taken_arguments",
]
