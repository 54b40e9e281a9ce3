"""A network from noisy images to clean ones: an encoder-decoder that works on blocks of 2 x 2 pixels.

It has no biases and no normalisation, so an image that is twice as bright gives a result that is twice as bright, and
noise of another strength than in training is treated alike (Mohan, Kadkhodaie, Simoncelli & Fernandez-Granda, ICLR
2020, arXiv 1906.05478). Folding pixels into channels saves three quarters of the products of the finest level (Zhang,
Zuo & Zhang, IEEE Trans. Image Process. 2018, 10.1109/TIP.2018.2839891).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from adatom.errors import ArgumentError, ShapeError

# name -> (module, class), for `adatom.nets.build_net`: networks of a `Denoiser`
DENOISING_ARCHITECTURES = {"denoising_unet": ("adatom.nets.denoising", "DenoisingUNet")}


class DenoisingUNet(nn.Module):
    """Encoder-decoder for one-channel images.

    Parameters
    ----------
    width : channels of the first level; each level below has twice as many.
    depth : number of times the folded image is halved; sides must be multiples of ``2 * 2**depth``.
    residual : what the convolutions give is the noise, to be taken off the image. Not for a network that learns from
        hidden pixels, and must never look at the pixel that it is asked for.
    """

    def __init__(self, *, width: int = 24, depth: int = 2, residual: bool = True) -> None:
        super().__init__()
        for name, value in (("width", width), ("depth", depth)):
            if not isinstance(value, int) or value < 1:
                raise ArgumentError(f"{name}: expected a whole number of at least 1, got {value!r}.")
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple, self.residual = 2 * 2**depth, residual
        self.down = nn.ModuleList(
            _block(before, after) for before, after in zip([4, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            _block(below + beside, beside) for below, beside in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(width, 4, kernel_size=3, padding=1, bias=False)
        with torch.no_grad():
            self.head.weight *= 0.1  # starts near nothing: a noise that is larger than the image is hard to unlearn

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, y, x) noisy to (n, 1, y, x) clean."""
        if images.ndim != 4 or images.shape[1] != 1 or any(side % self.multiple for side in images.shape[2:]):
            raise ShapeError(
                f"images: expected (n, 1, y, x) with sides that are multiples of {self.multiple}, "
                f"got {tuple(images.shape)}."
            )
        features = functional.pixel_unshuffle(images, 2)  # (n, 4, y / 2, x / 2)
        levels: list[Tensor] = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else functional.avg_pool2d(features, 2))
            levels.append(features)
        features = levels.pop()
        for block in self.up:
            features = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
            features = block(torch.cat([features, levels.pop()], dim=1))
        seen: Tensor = functional.pixel_shuffle(self.head(features), 2)
        return images - seen if self.residual else seen


def _block(before: int, after: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with a ramp."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        convolution = nn.Conv2d(channels, after, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
