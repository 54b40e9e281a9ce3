import pytest
import torch

from adatom.errors import ArgumentError
from adatom.nets.unet import UNet


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_sides_must_be_multiples_of_two_to_the_depth(depth):
    assert UNet(classes=2, width=2, depth=depth).multiple == 2**depth


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"width": 0}, "width: expected a whole number of at least 1, got 0"),
        ({"depth": 0}, "depth: expected a whole number of at least 1, got 0"),
        ({"width": 2.0}, "width: expected a whole number of at least 1, got 2.0"),
    ],
)
def test_senseless_sizes_say_what_was_expected(argument, message):
    with pytest.raises(ArgumentError, match=message):
        UNet(classes=2, **argument)


def test_the_deepest_level_sees_far():
    """A pixel's class depends on what is ten pixels away: that is what the levels are for."""
    net = UNet(classes=2, width=4, depth=3).eval()
    images = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    net(images)[0, :, 32, 32].sum().backward()
    rows = torch.nonzero(images.grad[0, 0].abs().sum(dim=1))
    assert rows.min() <= 22 and rows.max() >= 42
