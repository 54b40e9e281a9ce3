"""Residual levels that each say what they see; what they say together is decided at the end.

Sources: Xie & Tu, ICCV 2015, 10.1109/ICCV.2015.164 (holistically nested edges); Ziatdinov et al.,
10.1038/s42256-022-00555-8 (AtomAI, where it is called ResHedNet).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from adatom.errors import ArgumentError
from adatom.nets.blocks import UPSAMPLING, check_images, check_layers, check_sizes, residual_blocks


class NestedNet(nn.Module):
    """Nested residual network for one-channel images.

    Parameters
    ----------
    classes : channels of the output, background included; >= 2.
    width : channels of the first level; each level below has twice as many.
    depth : number of times the image is halved; sides must be multiples of ``2**depth``.
    layers : residual blocks of each level, the finest first; by default 3, 4, 5 and so on.
    upsampling : ``bilinear`` or ``nearest``.
    """

    def __init__(
        self,
        *,
        classes: int,
        width: int = 64,
        depth: int = 2,
        layers: Sequence[int] | None = None,
        upsampling: str = "bilinear",
    ) -> None:
        super().__init__()
        check_sizes(classes=classes, width=width, depth=depth)
        if upsampling not in UPSAMPLING:
            raise ArgumentError(f"upsampling: expected one of {', '.join(UPSAMPLING)}, got {upsampling!r}.")
        counts = check_layers(layers, range(3, depth + 4))
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple, self.upsampling = 2**depth, upsampling
        self.levels = nn.ModuleList(
            residual_blocks(widths[level - 1] if level else 1, widths[level], n) for level, n in enumerate(counts)
        )
        self.verdicts = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, classes, kernel_size=1), nn.BatchNorm2d(classes)) for channels in widths
        )
        self.head = nn.Conv2d(classes * (depth + 1), classes, kernel_size=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Features (n, channels, y', x') of each level, the finest first, of (n, 1, y, x) images."""
        check_images(images, self.multiple)
        found: list[Tensor] = []
        features = images
        for level, blocks in enumerate(self.levels):
            features = blocks(functional.max_pool2d(features, 2) if level else features)
            found.append(features)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, y, x) to logits (n, classes, y, x)."""
        return self.finish(self.trunk(images))

    def trunk(self, images: Tensor) -> Tensor:
        """What all levels say, side by side at the whole resolution: all but the head."""
        said = [verdict(features) for verdict, features in zip(self.verdicts, self.encode(images), strict=True)]
        whole = [said[0]]
        for level, one in enumerate(said[1:], start=1):
            whole.append(functional.interpolate(one, scale_factor=2**level, mode=self.upsampling))
        return torch.cat(whole, dim=1)

    def finish(self, features: Tensor) -> Tensor:
        """The rest: what `trunk` gives to logits (n, classes, y, x)."""
        logits: Tensor = self.head(features)
        return logits

    def crown(self) -> list[str]:
        """Beginnings of the names of the weights that `finish` uses."""
        return ["head."]
