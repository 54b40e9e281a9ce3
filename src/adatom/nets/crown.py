"""The last part of a network alone, as something that learns while the rest stays as it is."""

from typing import Any

import torch
from torch import Tensor, nn


class Crown(nn.Module):
    """The weights of a network's `finish`, which are shared with the network; its `trunk` learns nothing.

    Parameters
    ----------
    net : one of `adatom.nets`; what this module learns, it learns.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self._whole = (net.eval(),)  # in a tuple: no part of this module's state
        self.parts = nn.ModuleList(net.get_submodule(name.rstrip(".")) for name in _crown(net))

    def renew(self, fresh: nn.Module) -> None:
        """Take the weights of another network of the same architecture."""
        for mine, name in zip(self.parts, _crown(fresh), strict=True):
            mine.load_state_dict(fresh.get_submodule(name.rstrip(".")).state_dict())

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, y, x) to logits (n, classes, y, x)."""
        net: Any = self._whole[0]
        with torch.no_grad():
            features = net.trunk(images)
        logits: Tensor = net.finish(features)
        return logits


def _crown(net: Any) -> list[str]:
    names: list[str] = net.crown()
    return names
