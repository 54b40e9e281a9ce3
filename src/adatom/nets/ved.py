"""A probabilistic encoder and decoder between patches and spectra, whose bottleneck is a normal distribution.

The encoder gives mean and spread of a few latent numbers that are drawn towards the standard normal distribution, so
that the latent space has no holes, and moving through it shows how structure and response change together. With
`invariance="rotation"` the encoder looks at the patch in several orientations and takes the mean of what it sees: the
latent numbers of a patch and of the same patch turned are then one, exactly for quarter turns.

Source: Kingma & Welling, arXiv 1312.6114 (the variational bottleneck).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from adatom.errors import ArgumentError
from adatom.nets.im2spec import Decoder, Encoder, check_shape, check_sizes

INVARIANCES = ("none", "rotation")
N_ANGLES = 8


class _VED(nn.Module):
    """Encoder to mean and log variance, sampling while it learns, decoder."""

    shape_out: tuple[int, ...]

    def __init__(self, encoder: Encoder, decoder: Decoder, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.encoder, self.decoder = encoder, decoder

    def _distribution(self, values: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(values).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def encode(self, values: Tensor) -> Tensor:
        """Means of the latent numbers (n, latent)."""
        return self._distribution(self._checked(values))[0]

    def decode(self, codes: Tensor) -> Tensor:
        """(n, latent) to values and the logarithms of their variances."""
        decoded: Tensor = self.decoder(codes)
        return decoded.squeeze(2) if len(self.shape_out) == 2 else decoded

    def forward(self, values: Tensor) -> Tensor:
        """Values, the logarithms of their variances, and, while it learns, one more channel: the Kullback-Leibler
        divergence of each sample's latent distribution from the standard normal one, everywhere the same.
        """
        mean, log_variance = self._distribution(self._checked(values))
        if not self.training:
            return self.decode(mean)
        drawn = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        decoded = self.decode(drawn)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)  # (n,)
        spread = divergence.reshape(-1, *[1] * (decoded.ndim - 1)).expand(-1, 1, *decoded.shape[2:])
        return torch.cat([decoded, spread], dim=1)

    def _checked(self, values: Tensor) -> Tensor:
        raise NotImplementedError


class ImageToSpectrumVED(_VED):
    """Patches to spectra through latent numbers that are structured.

    Parameters: see `adatom.nets.im2spec.ImageToSpectrumNet`, and

    invariance : ``"rotation"``: turning the patch changes nothing; the patch then has to be square.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        patch: tuple[int, int],
        spectra: int = 1,
        length: int,
        latent: int = 2,
        width: int = 64,
        filters: int = 64,
        invariance: str = "none",
    ) -> None:
        check_sizes(channels=channels, spectra=spectra, length=length, latent=latent, width=width, filters=filters)
        if invariance not in INVARIANCES:
            raise ArgumentError(f"invariance: expected one of {', '.join(INVARIANCES)}, got {invariance!r}.")
        if invariance == "rotation" and patch[0] != patch[1]:
            raise ArgumentError(f"patch: expected a square one for rotations, got {patch[0]} x {patch[1]} px.")
        super().__init__(
            Encoder(channels, patch, width=width, latent=2 * latent),
            Decoder(2 * spectra, (1, length), filters=filters, latent=latent),
            latent,
        )
        self.shape_in, self.shape_out = (channels, *patch), (2 * spectra, length)
        self.invariance = invariance

    def _checked(self, values: Tensor) -> Tensor:
        check_shape("patches", values, self.shape_in)
        return values

    def _distribution(self, values: Tensor) -> tuple[Tensor, Tensor]:
        if self.invariance == "none":
            return super()._distribution(values)
        turned = _turned(values)  # (angle, n, channels, y, x)
        mean, log_variance = super()._distribution(turned.flatten(0, 1))
        shape = (len(turned), len(values), self.latent)
        return mean.reshape(shape).mean(dim=0), log_variance.reshape(shape).mean(dim=0)


class SpectrumToImageVED(_VED):
    """Spectra to patches through latent numbers that are structured; parameters as of `ImageToSpectrumVED`, without
    an invariance: a spectrum has no direction in the image.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        patch: tuple[int, int],
        spectra: int = 1,
        length: int,
        latent: int = 2,
        width: int = 64,
        filters: int = 64,
    ) -> None:
        check_sizes(channels=channels, spectra=spectra, length=length, latent=latent, width=width, filters=filters)
        super().__init__(
            Encoder(spectra, (1, length), width=width, latent=2 * latent),
            Decoder(2 * channels, patch, filters=filters, latent=latent),
            latent,
        )
        self.shape_in, self.shape_out = (spectra, 1, length), (2 * channels, *patch)

    def _checked(self, values: Tensor) -> Tensor:
        check_shape("spectra", values, self.shape_in)
        return values


def _turned(patches: Tensor) -> Tensor:
    """Square patches (n, channels, y, x) in eight orientations (angle, n, channels, y, x), cut to the inscribed circle:
    what an oblique patch does not show, an upright one does not use.
    """
    side = patches.shape[-1]
    places = torch.linspace(-1, 1, side, device=patches.device) if side > 1 else torch.zeros(1, device=patches.device)
    is_inside = (places[:, None].square() + places.square() <= 1 + 1e-6).to(patches.dtype)
    cut = patches * is_inside
    quarters = [torch.rot90(cut, k, (2, 3)) for k in range(4)]
    angle = 2 * math.pi / N_ANGLES
    matrix = torch.tensor(
        [[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]],
        dtype=patches.dtype,
        device=patches.device,
    )
    grid = functional.affine_grid(matrix.expand(len(cut), 2, 3), list(cut.shape), align_corners=True)
    oblique = functional.grid_sample(cut, grid, align_corners=True) * is_inside
    return torch.stack([*quarters, *(torch.rot90(oblique, k, (2, 3)) for k in range(4))])
