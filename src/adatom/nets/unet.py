"""The U-Net: an encoder that sees far, a decoder that sees sharp, and bridges between them.

Source: Ronneberger, Fischer & Brox, MICCAI 2015, 10.1007/978-3-319-24574-4_28; here with batch normalisation, padded
convolutions and bilinear upsampling, so that the output has the size of the input.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from adatom.errors import ArgumentError, ShapeError


class UNet(nn.Module):
    """U-Net for one-channel images.

    Parameters
    ----------
    classes : channels of the output, background included; >= 2.
    width : channels of the first level; each level below has twice as many.
    depth : number of times the image is halved; sides must be multiples of ``2**depth``.
    """

    def __init__(self, *, classes: int, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        for name, value, least in (("classes", classes, 2), ("width", width, 1), ("depth", depth, 1)):
            if not isinstance(value, int) or value < least:
                raise ArgumentError(f"{name}: expected a whole number of at least {least}, got {value!r}.")
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple = 2**depth
        self.down = nn.ModuleList(
            conv_block(before, after) for before, after in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            conv_block(below + beside, beside) for below, beside in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Features (n, channels, y', x') of each level, the finest first, of (n, 1, y, x) images."""
        if images.ndim != 4 or images.shape[1] != 1 or any(side % self.multiple for side in images.shape[2:]):
            raise ShapeError(
                f"images: expected (n, 1, y, x) with sides that are multiples of {self.multiple}, "
                f"got {tuple(images.shape)}."
            )
        levels: list[Tensor] = []
        features = images
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else functional.max_pool2d(features, 2))
            levels.append(features)
        return levels

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, y, x) to logits (n, classes, y, x)."""
        return self.finish(self.trunk(images))

    def trunk(self, images: Tensor) -> Tensor:
        """What the members of an ensemble with one trunk share: all but the last convolution and the head."""
        *bridges, features = self.encode(images)
        for block in self.up[:-1]:
            features = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
            features = block(torch.cat([features, bridges.pop()], dim=1))
        features = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
        return self._last[:3](torch.cat([features, bridges.pop()], dim=1))

    def finish(self, features: Tensor) -> Tensor:
        """The rest: what `trunk` gives to logits (n, classes, y, x)."""
        features = self._last[3:](features)
        logits: Tensor = self.head(features)
        return logits

    @property
    def _last(self) -> nn.Sequential:
        last = self.up[-1]
        assert isinstance(last, nn.Sequential)
        return last

    def crown(self) -> list[str]:
        """Beginnings of the names of the weights that `finish` uses."""
        last = len(self.up) - 1
        return [*(f"up.{last}.{layer}." for layer in (3, 4)), "head."]


def conv_block(before: int, after: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalisation and a ramp."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [
            nn.Conv2d(channels, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
