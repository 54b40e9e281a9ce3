import pytest
import torch

from adatom.errors import ArgumentError
from adatom.nets.folded_unet import FoldedUNet


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_sides_must_be_multiples_of_one_more_power_of_two(depth):
    assert FoldedUNet(classes=2, width=2, depth=depth).multiple == 2 ** (depth + 1)


@pytest.mark.parametrize("argument", [{"width": 0}, {"depth": 0}, {"width": 2.0}])
def test_senseless_sizes_say_what_was_expected(argument):
    with pytest.raises(ArgumentError, match="expected a whole number of at least 1"):
        FoldedUNet(classes=2, **argument)


def test_what_is_unfolded_lies_where_it_was_folded():
    """Each output pixel has its own weights: one that is left alone tells where it lands."""
    net = FoldedUNet(classes=2, width=2, depth=1).eval()
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.copy_(torch.arange(8.0))
        logits = net(torch.zeros(1, 1, 8, 8))
    assert torch.equal(logits[0, 1, :2, :2], torch.tensor([[4.0, 5.0], [6.0, 7.0]]))
    assert torch.equal(logits[0, 1, 2:4, 4:6], logits[0, 1, :2, :2])
