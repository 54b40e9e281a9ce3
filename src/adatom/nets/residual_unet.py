"""An encoder and a decoder of residual blocks, with bridges between them.

Source: Ziatdinov et al., 10.1038/s42256-022-00555-8 (AtomAI, where it is called SegResNet).
"""

from collections.abc import Sequence

from torch import nn

from adatom.nets.blocks import (
    BridgedNet,
    Enlarge,
    check_layers,
    check_sizes,
    leaky_block,
    residual_blocks,
)


class ResidualUNet(BridgedNet):
    """Residual encoder and decoder for one-channel images.

    Parameters
    ----------
    classes : channels of the output, background included; >= 2.
    width : channels of the first level; each level below has twice as many.
    depth : number of times the image is halved; sides must be multiples of ``2**depth``.
    layers : residual blocks of each level below the first on the way down, then of those on the way up; by default 2.
    batch_norm : whether there is any.
    upsampling : ``bilinear`` or ``nearest``.
    """

    def __init__(
        self,
        *,
        classes: int,
        width: int = 32,
        depth: int = 2,
        layers: Sequence[int] | None = None,
        batch_norm: bool = True,
        upsampling: str = "bilinear",
    ) -> None:
        super().__init__()
        check_sizes(classes=classes, width=width, depth=depth)
        counts = check_layers(layers, [2] * (2 * depth - 1))
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple = 2**depth
        self.down = nn.ModuleList([leaky_block(1, width, 1, batch_norm=batch_norm)])
        for level in range(depth):
            self.down.append(residual_blocks(widths[level], widths[level + 1], counts[level], batch_norm=batch_norm))
        above = range(depth - 1, -1, -1)
        self.enlarge = nn.ModuleList(Enlarge(widths[level + 1], widths[level], mode=upsampling) for level in above)
        self.up = nn.ModuleList(
            residual_blocks(widths[level + 1], widths[level], n, batch_norm=batch_norm)
            for level, n in zip(above, counts[depth:], strict=False)
        )
        self.up.append(leaky_block(widths[1], width, 1, batch_norm=batch_norm))
        self.head = nn.Conv2d(width, classes, kernel_size=1)
