"""A network for prediction only: each batch normalisation that follows a convolution becomes part of it."""

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fuse_normalisation(net: nn.Module) -> nn.Module:
    """A copy of `net` in evaluation mode that gives the same output without its batch normalisations.

    Only pairs of a `Conv2d` and a `BatchNorm2d` that follow each other in a `Sequential` are fused.
    """
    fused = copy.deepcopy(net).eval()
    for block in list(fused.modules()):
        if not isinstance(block, nn.Sequential):
            continue
        layers = list(block)
        for number, (layer, following) in enumerate(pairwise(layers)):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                block[number], block[number + 1] = fuse_conv_bn_eval(layer, following), nn.Identity()
    return fused
