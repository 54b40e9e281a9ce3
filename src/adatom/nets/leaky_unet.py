"""The U-Net as AtomAI has it: leaky ramps before the batch normalisation, and few layers at its finest level.

Source: Ziatdinov, Ghosh, Wong & Kalinin, Nature Machine Intelligence 4, 1101 (2022), 10.1038/s42256-022-00555-8.
"""

from collections.abc import Sequence

from torch import nn

from adatom.nets.blocks import BridgedNet, DilatedSum, Enlarge, check_layers, check_sizes, leaky_block

# Shares that are dropped just above the bottom on the way down, at the bottom, and just above it on the way up.
_DROPPED = (0.1, 0.2, 0.1)


class LeakyUNet(BridgedNet):
    """U-Net for one-channel images.

    Parameters
    ----------
    classes, width, depth : see `adatom.nets.unet.UNet`.
    layers : convolutions of each level, the finest first; by default 1, then 2, and 3 at the bottom.
    batch_norm, dropout : whether there are any.
    upsampling : ``bilinear`` or ``nearest``.
    dilated : whether the bottom is made of dilated convolutions, which see further.
    """

    def __init__(
        self,
        *,
        classes: int,
        width: int = 16,
        depth: int = 3,
        layers: Sequence[int] | None = None,
        batch_norm: bool = True,
        dropout: bool = False,
        upsampling: str = "bilinear",
        dilated: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(classes=classes, width=width, depth=depth)
        counts = check_layers(layers, [1, *[2] * (depth - 1), 3])
        down, bottom, up = _DROPPED if dropout else (0.0, 0.0, 0.0)
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple = 2**depth
        self.down = nn.ModuleList(
            leaky_block(
                widths[level - 1] if level else 1,
                widths[level],
                counts[level],
                batch_norm=batch_norm,
                dropout=down if level == depth - 1 else 0.0,
            )
            for level in range(depth)
        )
        block = DilatedSum if dilated else leaky_block
        self.down.append(block(widths[-2], widths[-1], counts[-1], batch_norm=batch_norm, dropout=bottom))
        above = range(depth - 1, -1, -1)
        self.enlarge = nn.ModuleList(Enlarge(widths[level + 1], widths[level], mode=upsampling) for level in above)
        self.up = nn.ModuleList(
            leaky_block(
                widths[level + 1],
                widths[level],
                counts[level],
                batch_norm=batch_norm,
                dropout=up if level == depth - 1 else 0.0,
            )
            for level in above
        )
        self.head = nn.Conv2d(width, classes, kernel_size=1)
