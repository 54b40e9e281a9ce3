"""From an image patch to a spectrum and back: an encoder, a narrow bottleneck, and a cascade of dilated convolutions.

Source: Kalinin, Kelley, Vasudevan & Ziatdinov, ACS Appl. Mater. Interfaces 13, 1693 (2021), 10.1021/acsami.0c15085.
Beside the spectrum the networks here give the logarithm of its variance, point by point.
"""

from torch import Tensor, nn

from adatom.errors import ArgumentError, ShapeError

SLOPE = 0.1  # of the leaky ReLU
DILATIONS = (1, 2, 3, 4)


class ImageToSpectrumNet(nn.Module):
    """Three 2-D convolutions, a fully connected bottleneck, and four dilated 1-D convolutions.

    Parameters
    ----------
    channels : of the patch; >= 1.
    patch : (y, x) sides of the patch [px]; >= 1.
    spectra : number of spectra a patch; >= 1.
    length : points of a spectrum; >= 2.
    latent : width of the bottleneck.
    width : filters of each convolution of the encoder.
    filters : filters of each convolution of the decoder.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        patch: tuple[int, int],
        spectra: int = 1,
        length: int,
        latent: int = 10,
        width: int = 64,
        filters: int = 64,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, spectra=spectra, length=length, latent=latent, width=width, filters=filters)
        self.shape_in, self.shape_out = (channels, *patch), (2 * spectra, length)
        self.encoder = Encoder(channels, patch, width=width, latent=latent)
        self.decoder = Decoder(2 * spectra, (1, length), filters=filters, latent=latent)

    def encode(self, patches: Tensor) -> Tensor:
        """(n, channels, y, x) to the bottleneck (n, latent)."""
        check_shape("patches", patches, self.shape_in)
        code: Tensor = self.encoder(patches)
        return code

    def decode(self, codes: Tensor) -> Tensor:
        """(n, latent) to what `forward` gives."""
        decoded: Tensor = self.decoder(codes).squeeze(2)
        return decoded

    def forward(self, patches: Tensor) -> Tensor:
        """(n, channels, y, x) to (n, 2 spectra, length): the spectra, then the logarithms of their variances."""
        return self.decode(self.encode(patches))


class SpectrumToImageNet(nn.Module):
    """The same the other way: three 1-D convolutions, the bottleneck, and four dilated 2-D convolutions.

    Parameters: see `ImageToSpectrumNet`; `width` is that of the encoder, which here reads spectra.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        patch: tuple[int, int],
        spectra: int = 1,
        length: int,
        latent: int = 10,
        width: int = 64,
        filters: int = 64,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, spectra=spectra, length=length, latent=latent, width=width, filters=filters)
        self.shape_in, self.shape_out = (spectra, 1, length), (2 * channels, *patch)
        self.encoder = Encoder(spectra, (1, length), width=width, latent=latent)
        self.decoder = Decoder(2 * channels, patch, filters=filters, latent=latent)

    def encode(self, spectra: Tensor) -> Tensor:
        """(n, spectra, 1, length) to the bottleneck (n, latent)."""
        check_shape("spectra", spectra, self.shape_in)
        code: Tensor = self.encoder(spectra)
        return code

    def decode(self, codes: Tensor) -> Tensor:
        """(n, latent) to what `forward` gives."""
        decoded: Tensor = self.decoder(codes)
        return decoded

    def forward(self, spectra: Tensor) -> Tensor:
        """(n, spectra, 1, length) to (n, 2 channels, y, x): patches, then the logarithms of their variances."""
        return self.decode(self.encode(spectra))


class Encoder(nn.Module):
    """Three convolutions and a fully connected layer: (n, channels, y, x) to (n, latent); a spectrum has y = 1."""

    def __init__(self, channels: int, shape: tuple[int, int], *, width: int, latent: int) -> None:
        super().__init__()
        layers = [_block(before, width, shape, dilation=1) for before in (channels, width, width)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.bottleneck = nn.Linear(width * shape[0] * shape[1], latent)

    def forward(self, values: Tensor) -> Tensor:
        code: Tensor = self.bottleneck(self.layers(values))
        return code


class Decoder(nn.Module):
    """A fully connected layer and a cascade of dilated convolutions: (n, latent) to (n, channels, y, x)."""

    def __init__(self, channels: int, shape: tuple[int, int], *, filters: int, latent: int) -> None:
        super().__init__()
        self.shape = (*shape, filters)
        self.spread = nn.Linear(latent, shape[0] * shape[1] * filters)
        self.cascade = nn.Sequential(*(_block(filters, filters, shape, dilation=d) for d in DILATIONS))
        self.head = nn.Conv2d(filters, channels, kernel_size=1)

    def forward(self, codes: Tensor) -> Tensor:
        # the filters last in memory, as the convolutions want them: twice as fast as first
        values = self.spread(codes).reshape(-1, *self.shape).permute(0, 3, 1, 2)  # (n, filters, y, x)
        decoded: Tensor = self.head(self.cascade(values))
        return decoded


def _block(before: int, after: int, shape: tuple[int, int], *, dilation: int) -> nn.Sequential:
    """A convolution of three pixels, a leaky ramp, and batch normalisation after it; along x only where y is 1."""
    kernel, padding = ((1, 3), (0, dilation)) if shape[0] == 1 else ((3, 3), (dilation, dilation))
    spacing = (1, dilation) if shape[0] == 1 else (dilation, dilation)
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=kernel, padding=padding, dilation=spacing),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.BatchNorm2d(after),
    )


def check_sizes(**sizes: int) -> None:
    """Raise an error for a size that is no whole number of at least one."""
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ArgumentError(f"{name}: expected a whole number of at least 1, got {size!r}.")


def check_shape(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Raise an error if one of a batch has another shape."""
    if tuple(values.shape[1:]) != shape:
        raise ShapeError(f"{name}: expected (n, {', '.join(map(str, shape))}), got {tuple(values.shape)}.")
