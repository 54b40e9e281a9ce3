"""From a patch, or a row of numbers, to the few features that a Gaussian process compares.

No pooling over the whole patch: it is the middle that is asked about.
"""

import torch
from torch import Tensor, nn

from adatom.errors import ArgumentError

# name -> (module, class), for `adatom.nets.build_net`: features of a `DeepKernelRegressor`
FEATURE_ARCHITECTURES = {
    "convolutional": ("adatom.nets.patch_features", "ConvolutionalFeatures"),
    "dense": ("adatom.nets.patch_features", "DenseFeatures"),
}
_SMALLEST_SIDE = 4  # of a patch that convolutions see


class ConvolutionalFeatures(nn.Module):
    """Two convolutions, the second at half the size, then two layers.

    Parameters
    ----------
    shape : channels, rows and columns of a patch.
    outputs : features.
    width : filters, and twice as many hidden numbers.
    """

    def __init__(self, *, shape: list[int], outputs: int, width: int = 16) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape[1:]) < _SMALLEST_SIDE:
            raise ArgumentError(
                f"net: expected patches of {_SMALLEST_SIDE} pixels or more a side, got {shape}. Take dense."
            )
        self.shape = list(shape)
        half = [(side + 1) // 2 for side in shape[1:]]
        self.layers = nn.Sequential(
            nn.Conv2d(shape[0], width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(width * half[0] * half[1], 2 * width),
            nn.ReLU(),
        )
        self.head = _quiet(2 * width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, channels times rows times columns) to (n, outputs)."""
        seen: Tensor = self.head(self.layers(inputs.reshape(-1, *self.shape)))
        return seen


class DenseFeatures(nn.Module):
    """Two hidden layers.

    Parameters
    ----------
    shape : of an input, of which all numbers are taken.
    outputs : features.
    width : a quarter of the hidden numbers.
    """

    def __init__(self, *, shape: list[int], outputs: int, width: int = 16) -> None:
        super().__init__()
        n = int(torch.tensor(shape).prod())
        self.layers = nn.Sequential(nn.Linear(n, 4 * width), nn.ReLU(), nn.Linear(4 * width, 2 * width), nn.ReLU())
        self.head = _quiet(2 * width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, numbers) to (n, outputs)."""
        seen: Tensor = self.head(self.layers(inputs))
        return seen


def _quiet(before: int, outputs: int) -> nn.Linear:
    """A layer that gives next to nothing at first."""
    layer = nn.Linear(before, outputs)
    with torch.no_grad():
        layer.weight *= 0.05
        layer.bias.zero_()
    return layer
