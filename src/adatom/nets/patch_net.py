"""From a whole image or patch to a few numbers: convolutions, what they see anywhere pooled, one linear layer."""

import torch
from torch import Tensor, nn

from adatom.errors import ShapeError


class PatchNet(nn.Module):
    """Levels of two convolutions, each at half the size of the one before; mean and maximum over the image; one layer.

    Parameters
    ----------
    channels : of the image; >= 1.
    outputs : numbers that it gives.
    width : filters of the first level, doubled at each further one.
    depth : levels.
    """

    def __init__(self, *, channels: int = 1, outputs: int, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        self.channels, self.multiple = channels, 2 ** (depth - 1)
        levels: list[nn.Module] = []
        before = channels
        for level in range(depth):
            after = width * 2**level
            levels += [nn.MaxPool2d(2)] if level else []
            levels += [_block(before, after), _block(after, after)]
            before = after
        self.levels = nn.Sequential(*levels)
        self.n_features = 2 * before
        self.head = nn.Linear(self.n_features, outputs)

    def encode(self, images: Tensor) -> Tensor:
        """(n, channels, y, x), at least `multiple` pixels a side, to features (n, n_features)."""
        if images.shape[1] != self.channels or min(images.shape[2:]) < self.multiple:
            raise ShapeError(
                f"images: expected (n, {self.channels}, y, x) of {self.multiple} pixels or more a side, got "
                f"{tuple(images.shape)}."
            )
        seen = self.levels(images)
        return torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3))], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, y, x) to (n, outputs)."""
        given: Tensor = self.head(self.encode(images))
        return given


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
