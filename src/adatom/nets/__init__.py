"""Networks: torch modules, one architecture per file. A new one is one file and one line in `ARCHITECTURES`.

Contract of a network: float32 (n, 1, y, x) in, with y and x multiples of `multiple`; logits (n, classes, y, x) out;
`encode` gives the features of its levels, the deepest last. `trunk`, then `finish`, do what a call does; `crown` names
the weights of `finish`.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from adatom.errors import ArgumentError

if TYPE_CHECKING:
    from torch import nn

# name -> (module, class)
ARCHITECTURES = {
    "unet": ("adatom.nets.unet", "UNet"),
    "folded_unet": ("adatom.nets.folded_unet", "FoldedUNet"),
}
# The same of networks between patches and spectra: (n, channels, y, x) to (n, 2 spectra, length), or the other way;
# values first, then the logarithms of their variances. `encode` gives the bottleneck (n, latent).
PAIR_ARCHITECTURES = {
    "im2spec": ("adatom.nets.im2spec", "ImageToSpectrumNet"),
    "im2spec_reversed": ("adatom.nets.im2spec", "SpectrumToImageNet"),
    "ved": ("adatom.nets.ved", "ImageToSpectrumVED"),
    "ved_reversed": ("adatom.nets.ved", "SpectrumToImageVED"),
}
# The same of autoencoders: (n, channels, y, x) apart from pose; see `adatom.nets.spatial_vae`.
VAE_ARCHITECTURES = {"spatial_vae": ("adatom.nets.spatial_vae", "SpatialVAE")}


def build_net(
    architecture: str, *, table: Mapping[str, tuple[str, str]] = ARCHITECTURES, **arguments: Any
) -> "nn.Module":
    """Build a network by name, out of a table, in float32 whatever torch's default is.

    Raises
    ------
    ArgumentError : if there is no such architecture, or it does not take one of the arguments.
    """
    if architecture not in table:
        raise ArgumentError(f"architecture: expected one of {', '.join(table)}, got {architecture!r}.")
    import torch

    module, name = table[architecture]
    make = getattr(import_module(module), name)
    signature = inspect.signature(make)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        expected = ", ".join(signature.parameters)
        raise ArgumentError(f"{architecture}: expected arguments out of {expected}; {error}.") from error
    users_dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        net: nn.Module = make(**arguments)
    finally:
        torch.set_default_dtype(users_dtype)
    return net


__all__ = ["ARCHITECTURES", "PAIR_ARCHITECTURES", "VAE_ARCHITECTURES", "build_net"]
