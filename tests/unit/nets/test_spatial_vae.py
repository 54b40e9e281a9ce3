import math

import numpy as np
import pytest
import torch

from adatom.errors import ArgumentError, ShapeError
from adatom.nets.spatial_vae import SpatialVAE, turned_copies


def spot(x, y, side=19):
    """One image (1, 1, y, x) of a Gaussian spot, x and y in pixels from the middle."""
    rows, columns = torch.meshgrid(*[torch.arange(side) - (side - 1) / 2] * 2, indexing="ij")
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 6)[None, None]


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2, 2.0, -2.5])
def test_copies_are_turned_back(angle):
    """What lies at an angle, seen from x to y, lies along x in the copy that is turned back by it."""
    image = spot(3 * math.cos(angle), 3 * math.sin(angle))
    copy = turned_copies(image, [angle])[:, 0]
    torch.testing.assert_close(copy, spot(3, 0), atol=0.1, rtol=0)


def test_the_decoder_turns_then_shifts():
    net = SpatialVAE(patch=(19, 19), invariances=("rotation", "translation", "scale"))
    side = net.canvas[0]
    pitch = 2 * net.extent / (side - 1) * net.half_px  # px
    canvas = spot(3 / pitch, 0, side)
    angle, shift, log_scale = (
        torch.tensor([0.7]),
        torch.tensor([[1.0, -2.0]]) / net.half_px,
        torch.tensor([math.log(1.2)]),
    )
    drawn = net.place(canvas, angle, shift, log_scale)[0, 0]
    weights = drawn / drawn.sum()
    middle = torch.arange(19) - 9.0
    assert float((weights.sum(0) * middle).sum()) == pytest.approx(1 + 1.2 * 3 * math.cos(0.7), abs=0.1)
    assert float((weights.sum(1) * middle).sum()) == pytest.approx(-2 + 1.2 * 3 * math.sin(0.7), abs=0.1)


def test_orientations_make_up_the_prior_of_the_angle():
    net = SpatialVAE(patch=(8, 8), invariances=("rotation",), angle_std=0.6)
    share, at = np.exp(net.log_prior), np.array(net.angles)
    assert share.sum() == pytest.approx(1)
    assert math.sqrt((share * at**2).sum() + net.spacing**2) == pytest.approx(0.6, rel=0.03)
    assert SpatialVAE(patch=(8, 8), invariances=("rotation",), angle_std=0.1).angles == (0.0,)


@pytest.mark.parametrize("patch", [(16, 16), (1, 40), (12, 20)])
def test_gradients_reach_every_parameter(patch):
    invariances = ("translation", "scale") + (("rotation",) if patch[0] == patch[1] else ())
    net = SpatialVAE(channels=2, patch=patch, kinds=2, values=1, invariances=invariances, width=16, filters=4)
    images = torch.randn(3, 2, *patch, generator=torch.Generator().manual_seed(0))
    noise, known = torch.zeros(3, net.n_gauss), torch.tensor([0.0, -1.0, 1.0])
    net((images, known, noise, torch.tensor(1.0))).sum().backward()
    without = [name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert without == []


def test_slopes_are_those_of_what_is_painted():
    torch.manual_seed(0)
    net = SpatialVAE(patch=(8, 8), kinds=2, width=16, filters=4)
    content, kind = torch.randn(3, 2), torch.tensor([0, 1, 1])
    canvas, slopes = net.paint_with_slopes(content, kind)
    torch.testing.assert_close(canvas, net.paint(content, kind))
    further = net.paint(content + torch.tensor([0.0, 1e-2]), kind)
    torch.testing.assert_close(slopes[:, 1], (further - canvas) / 1e-2, atol=2e-3, rtol=0)


def test_a_known_kind_draws_the_patch():
    """The bound of a patch whose kind is free is what those of all kinds make up together."""
    torch.manual_seed(0)
    net = SpatialVAE(patch=(8, 8), kinds=3, width=16, filters=4)
    images, noise, one = torch.randn(4, 1, 8, 8), torch.zeros(4, net.n_gauss), torch.tensor(1.0)
    free = net((images, torch.full((4,), -1.0), noise, one))[:, :2].sum(dim=1)
    of_kind = torch.stack([net((images, torch.full((4,), float(k)), noise, one))[:, :2].sum(dim=1) for k in range(3)])
    torch.testing.assert_close(free, -torch.logsumexp(-of_kind, dim=0), atol=1e-3, rtol=1e-5)


def test_wrong_arguments_say_what_was_expected():
    with pytest.raises(ArgumentError, match="invariances: expected some of rotation"):
        SpatialVAE(patch=(8, 8), invariances=("rotate",))
    with pytest.raises(ArgumentError, match="patch: expected a square one for rotations, got 8 x 9 px"):
        SpatialVAE(patch=(8, 9), invariances=("rotation",))
    with pytest.raises(ShapeError, match=r"patches: expected \(n, 1, 8, 8\), got"):
        net = SpatialVAE(patch=(8, 8))
        net.propose(torch.zeros(2, 1, 8, 7), torch.full((2,), -1.0))
