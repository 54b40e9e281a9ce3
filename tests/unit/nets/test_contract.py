"""What a network of others must do, and what it is told when it does not."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from adatom.errors import ArgumentError, ShapeError
from adatom.nets.contract import check_net


def plain(classes: int = 3, channels: int = 1) -> nn.Module:
    return nn.Conv2d(channels, classes, kernel_size=3, padding=1)


class Halving(nn.Module):
    """Halves an image so many times, and doubles it again: other sizes come back smaller."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.layer = plain()

    def forward(self, images):
        small = functional.avg_pool2d(images, 2**self.times)
        return functional.interpolate(self.layer(small), scale_factor=2**self.times)


@pytest.mark.parametrize("times", [0, 1, 2, 4])
def test_the_multiple_of_its_sides_is_found_out(times):
    assert check_net(Halving(times) if times else plain(), 3) == 2**times


def test_a_stated_multiple_is_believed_and_tried():
    net = plain()
    net.multiple = 8
    assert check_net(net, 3) == 8
    wrong = Halving(2)
    wrong.multiple = 2
    with pytest.raises(ShapeError, match=r"expected \(2, 3, 30, 34\) out of \(2, 1, 30, 34\), got \(2, 3, 28, 32\)"):
        check_net(wrong, 3)
    wrong.multiple = "4"
    with pytest.raises(ArgumentError, match="expected a whole number of at least 1 as its multiple, got '4'"):
        check_net(wrong, 3)


def test_it_stays_as_it_is():
    net = nn.Sequential(plain(), nn.BatchNorm2d(3), nn.Dropout())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    check_net(net, 3)
    assert net.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(weight.grad is None for weight in net.parameters())


class Wrong(nn.Module):
    def __init__(self, change) -> None:
        super().__init__()
        self.layer, self.change = plain(), change

    def forward(self, images):
        return self.change(self.layer(images))


@pytest.mark.parametrize(
    ("net", "told"),
    [
        (plain(classes=2), r"expected \(2, 3, 31, 33\) .* got \(2, 2, 31, 33\)\. Its channels are to be A, B and C"),
        (plain(channels=3), r"expected \(2, 3, .* out of \(2, 1, .*, got RuntimeError: .*channels"),
        (nn.Conv2d(1, 3, 3), r"got \(2, 3, 62, 190\)\.$"),
        (Wrong(lambda out: (out, out)), "got a tuple. Return the logits alone"),
        (Wrong(lambda out: out.argmax(1)), r"got \(2, 64, 192\)"),
        (Wrong(lambda out: out / 0), "in finite numbers, got others"),
        (Wrong(lambda out: out.detach()), "got one without gradients"),
        (Wrong(lambda out: 0 * out), "expected gradients that reach its weights, got none"),
        (Wrong(lambda out: (0 * out).sqrt() + out), "expected finite gradients, got others at layer.weight"),
        (nn.Identity(), "expected weights that learn"),
        ("unet", "expected a torch.nn.Module, got a str"),
    ],
)
def test_what_is_wrong_is_said(net, told):
    with pytest.raises((ArgumentError, ShapeError), match=told):
        check_net(net, 3, stand_for="A, B and C")
