"""What a network that finds atoms must do, tried before anything is trained.

It takes float32 images (n, 1, y, x) and gives (n, classes, y, x), at the same size, in numbers that can be learned
from. If it takes only sides that are multiples of some number, it may say so as its ``multiple``; else that is found
out. `encode`, `trunk`, `finish` and `crown` of the networks that ship are not asked for.
"""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from adatom.errors import ArgumentError, ShapeError

# Sides that are tried as multiples, the smallest first; and so long is a side that they are tried with, at least.
_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
_LEAST_SIDE = 32


class _WrongChannels(ShapeError):
    """The right size, but not the right number of channels."""


def check_net(net: Any, classes: int, *, stand_for: str = "") -> int:
    """Try whether a network keeps the contract; it stays as it is.

    Parameters
    ----------
    net : the network.
    classes : channels that it must give.
    stand_for : what these channels are, for the one who has to change the network.

    Returns
    -------
    What the sides of an image must be a multiple of.

    Raises
    ------
    ArgumentError, ShapeError : say what was expected, and what came.
    """
    if not isinstance(net, nn.Module):
        raise ArgumentError(f"net: expected a torch.nn.Module, got {_named(net)}.")
    if not any(weight.requires_grad for weight in net.parameters()):
        raise ArgumentError(f"net: expected weights that learn, got {_named(net)}, which has none.")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        tried = copy.deepcopy(net).cpu().float()
        multiple = _multiple(tried, classes, stand_for)
        _check_gradients(tried, _images(multiple))
    return multiple


def _multiple(net: nn.Module, classes: int, stand_for: str) -> int:
    """The smallest number of which sides may be multiples; where none does, the complaint about the largest."""
    stated = getattr(net, "multiple", None)
    if stated is not None and (not isinstance(stated, int) or stated < 1):
        raise ArgumentError(f"net: expected a whole number of at least 1 as its multiple, got {stated!r}.")
    tried = _MULTIPLES if stated is None else (stated,)
    for multiple in tried:
        try:
            _check_output(net, _images(multiple), classes, stand_for)
        except ShapeError as error:
            if multiple == tried[-1] or isinstance(error, _WrongChannels):
                raise
        else:
            return multiple
    raise AssertionError  # the loop ends in one way or the other


def _images(multiple: int) -> Tensor:
    """Images of noise (2, 1, y, x) whose sides are odd multiples, and differ."""
    rows, columns = (multiple * (2 * math.ceil(_LEAST_SIDE / (2 * multiple)) + more) for more in (-1, 1))
    return torch.randn(2, 1, rows, columns)


@torch.no_grad()
def _check_output(net: nn.Module, images: Tensor, classes: int, stand_for: str) -> None:
    expected = (2, classes, *images.shape[2:])
    rule = f"net: expected {expected} out of {tuple(images.shape)}"
    try:
        output = net.eval()(images)
    except Exception as error:  # whatever a network of others does
        told = " ".join(str(error).split())[:200].rstrip(".")
        raise ShapeError(f"{rule}, got {type(error).__name__}: {told}.") from error
    if not isinstance(output, Tensor):
        raise ArgumentError(f"{rule}, got {_named(output)}. Return the logits alone.")
    if tuple(output.shape) != expected:
        told = f"{rule}, got {tuple(output.shape)}."
        if output.ndim == 4 and output.shape[2:] == images.shape[2:]:  # no other size would help
            raise _WrongChannels(f"{told} Its channels are to be {stand_for}." if stand_for else told)
        raise ShapeError(told)
    if not output.is_floating_point() or not torch.isfinite(output).all():
        raise ArgumentError(f"{rule} in finite numbers, got others.")


def _check_gradients(net: nn.Module, images: Tensor) -> None:
    output = net.train()(images)
    if not output.requires_grad:
        raise ArgumentError("net: expected an output that weights can learn from, got one without gradients.")
    output.float().square().mean().backward()
    gradients = {name: weight.grad for name, weight in net.named_parameters() if weight.grad is not None}
    wrong = [name for name, gradient in gradients.items() if not torch.isfinite(gradient).all()]
    if wrong:
        raise ArgumentError(f"net: expected finite gradients, got others at {wrong[0]}.")
    if not any(bool(gradient.any()) for gradient in gradients.values()):
        raise ArgumentError("net: expected gradients that reach its weights, got none.")


def _named(value: Any) -> str:
    return f"a {type(value).__name__}"
