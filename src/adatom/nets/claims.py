"""What the last channels of a localising network mean: for each pixel, one claim of an atom.

A claim says with what probability an atom of each species has its centre in the pixel, where in it, with what flux, and
how sure it is of these numbers. Source: Speiser et al., Nature Methods 18, 1082 (2021), 10.1038/s41592-021-01236-x.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

# Channels after those of background and species: offset along x and y, log flux, and a standard deviation for each.
N_NUMBERS = 6
# So far from its pixel's centre a claim may place its atom [px]: beyond the pixel, as noise may hide which it is.
_FARTHEST = 1.5
# Smallest standard deviations that a claim may state, of the offsets [px] and of the logarithm of the flux.
_SUREST = 0.003


@dataclass(frozen=True)
class Claims:
    """Claims of some pixels.

    Attributes
    ----------
    log_probability : (..., 1 + species) of "no atom" and of an atom of each species.
    numbers : (..., 3) offset along x and y [px] and the logarithm of the flux.
    std : (..., 3) their standard deviations.
    """

    log_probability: Tensor
    numbers: Tensor
    std: Tensor


def n_channels(n_species: int) -> int:
    """Channels that the last layer of a localising network has."""
    return 1 + n_species + N_NUMBERS


def read_claims(raw: Tensor) -> Claims:
    """Claims of what a network gives (..., channels)."""
    n_classes = raw.shape[-1] - N_NUMBERS
    offset = _FARTHEST * (raw[..., n_classes : n_classes + 2] / _FARTHEST).tanh()
    log_flux = raw[..., n_classes + 2 : n_classes + 3]
    return Claims(
        raw[..., :n_classes].contiguous().log_softmax(dim=-1),
        functional.pad(offset, (0, 1)) + functional.pad(log_flux, (2, 0)),
        _SUREST + functional.softplus(raw[..., n_classes + 3 :].contiguous()),
    )
