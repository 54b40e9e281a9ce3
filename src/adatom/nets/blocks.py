"""Parts of which several networks are made: leaky blocks, dilated ones, residual ones, a step up, the way through."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from adatom.errors import ArgumentError, ShapeError

_SLOPE = 0.01  # of the leaky ramps
UPSAMPLING = ("bilinear", "nearest")


def leaky_block(
    before: int,
    after: int,
    n: int,
    *,
    batch_norm: bool = True,
    dropout: float = 0.0,
    dilations: Sequence[int] | None = None,
) -> nn.Sequential:
    """`n` 3x3 convolutions, each with a leaky ramp and then a batch normalisation; some dilated, with dropout."""
    layers: list[nn.Module] = []
    for dilation in dilations or [1] * n:
        layers.append(nn.Conv2d(before, after, kernel_size=3, padding=dilation, dilation=dilation))
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers.append(nn.LeakyReLU(_SLOPE))
        if batch_norm:
            layers.append(nn.BatchNorm2d(after))
        before = after
    return nn.Sequential(*layers)


class DilatedSum(nn.Sequential):
    """A leaky block of dilations 2, 4, 6 and so on, and the sum of what each of its layers gives."""

    def __init__(self, before: int, after: int, n: int, *, batch_norm: bool = True, dropout: float = 0.0) -> None:
        dilations = range(2, 2 * n + 1, 2)
        super().__init__(*leaky_block(before, after, n, batch_norm=batch_norm, dropout=dropout, dilations=dilations))

    def forward(self, features: Tensor) -> Tensor:
        """(n, before, y, x) to (n, after, y, x)."""
        given = []
        for layer in self:
            features = layer(features)
            given.append(features)
        return torch.stack(given).sum(dim=0)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution. Source: He et al., arXiv 1512.03385."""

    def __init__(self, before: int, after: int, *, batch_norm: bool = True) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(before, after, kernel_size=1)
        self.first, self.second = (  # sequences, which are fused for prediction
            nn.Sequential(
                nn.Conv2d(after, after, kernel_size=3, padding=1),
                nn.BatchNorm2d(after) if batch_norm else nn.Identity(),
            )
            for _ in range(2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(n, before, y, x) to (n, after, y, x)."""
        straight = self.shortcut(features)
        bent = functional.leaky_relu(self.first(straight), _SLOPE)
        return functional.leaky_relu(self.second(bent) + straight, _SLOPE)


def residual_blocks(before: int, after: int, n: int, *, batch_norm: bool = True) -> nn.Sequential:
    """`n` residual blocks, one after the other."""
    return nn.Sequential(
        *(ResidualBlock(after if k else before, after, batch_norm=batch_norm) for k in range(n)),
    )


class Enlarge(nn.Module):
    """Twice the size, then a 1x1 convolution."""

    def __init__(self, before: int, after: int, *, mode: str) -> None:
        super().__init__()
        if mode not in UPSAMPLING:
            raise ArgumentError(f"upsampling: expected one of {', '.join(UPSAMPLING)}, got {mode!r}.")
        self.mode = mode
        self.mix = nn.Conv2d(before, after, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(n, before, y, x) to (n, after, 2 y, 2 x)."""
        mixed: Tensor = self.mix(functional.interpolate(features, scale_factor=2, mode=self.mode))
        return mixed


def check_sizes(*, classes: int, width: int, depth: int) -> None:
    """What every network is asked for.

    Raises
    ------
    ArgumentError : if one makes no sense.
    """
    for name, value, least in (("classes", classes, 2), ("width", width, 1), ("depth", depth, 1)):
        if not isinstance(value, int) or value < least:
            raise ArgumentError(f"{name}: expected a whole number of at least {least}, got {value!r}.")


def check_layers(layers: Sequence[int] | None, usual: Sequence[int]) -> list[int]:
    """Numbers of layers of the blocks, the usual ones where none are given."""
    if layers is None:
        return list(usual)
    if len(layers) != len(usual) or any(not isinstance(n, int) or n < 1 for n in layers):
        raise ArgumentError(f"layers: expected {len(usual)} whole numbers of at least 1, got {list(layers)}.")
    return list(layers)


def check_images(images: Tensor, multiple: int) -> None:
    """Whether images are what a network takes."""
    if images.ndim != 4 or images.shape[1] != 1 or any(side % multiple for side in images.shape[2:]):
        raise ShapeError(
            f"images: expected (n, 1, y, x) with sides that are multiples of {multiple}, got {tuple(images.shape)}."
        )


class BridgedNet(nn.Module):
    """The way through an encoder and a decoder with bridges between them: `down` and `up` hold their blocks, `enlarge`
    the steps up, `head` the last layer; sides of images are multiples of `multiple`.
    """

    multiple: int
    down: nn.ModuleList
    enlarge: nn.ModuleList
    up: nn.ModuleList
    head: nn.Module

    def encode(self, images: Tensor) -> list[Tensor]:
        """Features (n, channels, y', x') of each level, the finest first, of (n, 1, y, x) images."""
        check_images(images, self.multiple)
        levels: list[Tensor] = []
        features = images
        for level, block in enumerate(self.down):
            features = block(functional.max_pool2d(features, 2) if level else features)
            levels.append(features)
        return levels

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, y, x) to logits (n, classes, y, x)."""
        return self.finish(self.trunk(images))

    def trunk(self, images: Tensor) -> Tensor:
        """What the members of an ensemble with one trunk share: all but the last block and the head."""
        *bridges, features = self.encode(images)
        for number, enlarge in enumerate(self.enlarge):
            features = torch.cat([bridges.pop(), enlarge(features)], dim=1)
            if number < len(self.up) - 1:
                features = self.up[number](features)
        return features

    def finish(self, features: Tensor) -> Tensor:
        """The rest: what `trunk` gives to logits (n, classes, y, x)."""
        logits: Tensor = self.head(self.up[-1](features))
        return logits

    def crown(self) -> list[str]:
        """Beginnings of the names of the weights that `finish` uses."""
        return [f"up.{len(self.up) - 1}.", "head."]
