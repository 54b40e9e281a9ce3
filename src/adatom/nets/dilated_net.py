"""A network that sees far by dilated convolutions, at half the resolution and no coarser.

Source: Ziatdinov et al., 10.1038/s42256-022-00555-8 (AtomAI, where it is called dilnet); dilated convolutions: Yu &
Koltun, arXiv 1511.07122.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from adatom.nets.blocks import DilatedSum, Enlarge, check_images, check_layers, check_sizes, leaky_block

_DROPPED = 0.3


class DilatedNet(nn.Module):
    """Dilated convolutions for one-channel images.

    Parameters
    ----------
    classes : channels of the output, background included; >= 2.
    width : channels at the whole resolution; at half of it there are twice as many.
    depth : number of dilated blocks.
    layers : convolutions of the first block, of each dilated one, and of the last; by default 1, 3 each, and 1.
    batch_norm, dropout : whether there are any; dropout in the dilated blocks.
    upsampling : ``bilinear`` or ``nearest``.
    """

    multiple = 2

    def __init__(
        self,
        *,
        classes: int,
        width: int = 25,
        depth: int = 2,
        layers: Sequence[int] | None = None,
        batch_norm: bool = True,
        dropout: bool = False,
        upsampling: str = "bilinear",
    ) -> None:
        super().__init__()
        check_sizes(classes=classes, width=width, depth=depth)
        first, *inner, last = check_layers(layers, [1, *[3] * depth, 1])
        dropped = _DROPPED if dropout else 0.0
        self.fine = leaky_block(1, width, first, batch_norm=batch_norm)
        self.dilated = nn.ModuleList(
            DilatedSum(2 * width if k else width, 2 * width, n, batch_norm=batch_norm, dropout=dropped)
            for k, n in enumerate(inner)
        )
        self.enlarge = Enlarge(2 * width, width, mode=upsampling)
        self.last = leaky_block(2 * width, width, last, batch_norm=batch_norm)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Features of the fine level (n, width, y, x), and of the deepest (n, 2 width, y/2, x/2)."""
        check_images(images, self.multiple)
        fine = self.fine(images)
        features = functional.max_pool2d(fine, 2)
        for block in self.dilated:
            features = block(features)
        return [fine, features]

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, y, x) to logits (n, classes, y, x)."""
        return self.finish(self.trunk(images))

    def trunk(self, images: Tensor) -> Tensor:
        """All but the last block and the head."""
        fine, features = self.encode(images)
        return torch.cat([fine, self.enlarge(features)], dim=1)

    def finish(self, features: Tensor) -> Tensor:
        """The rest: what `trunk` gives to logits (n, classes, y, x)."""
        logits: Tensor = self.head(self.last(features))
        return logits

    def crown(self) -> list[str]:
        """Beginnings of the names of the weights that `finish` uses."""
        return ["last.", "head."]
