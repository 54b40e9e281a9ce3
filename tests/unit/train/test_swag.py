import pytest
import torch
from torch import nn

from adatom.errors import TrainingError
from adatom.train.swag import WeightCloud, wander


def test_nets_are_drawn_with_the_mean_and_the_spread_of_the_weights_met():
    torch.manual_seed(0)
    net, cloud = nn.Linear(2, 1, bias=False), WeightCloud()
    spread = torch.tensor([[0.1, 2.0]])
    for _ in range(400):
        net.weight.data = torch.tensor([[1.0, -3.0]]) + spread * torch.randn(1, 2)
        cloud.take(net)
    generator = torch.Generator().manual_seed(1)
    drawn = torch.cat([cloud.draw(generator)["weight"] for _ in range(400)])
    torch.testing.assert_close(drawn.mean(0), torch.tensor([1.0, -3.0]), atol=0.3, rtol=0)
    torch.testing.assert_close(drawn.std(0), spread[0], rtol=0.35, atol=0)


def test_a_walk_stays_near_the_minimum_and_tells_its_steps():
    net = nn.Conv2d(1, 1, 1)
    told = []
    images = torch.ones(4, 1, 8, 8)
    cloud = wander(
        net,
        lambda step: (images, 2 * images),
        lambda seen, known: (seen - known).square().mean(),
        steps=200,
        first=1,
        learning_rate=0.05,
        device="cpu",
        on_step=lambda step, loss: told.append((step, loss)),
    )
    assert [step for step, _ in told] == list(range(1, 201)) and told[-1][1] < 0.01
    assert cloud.n == 40


def test_one_state_is_no_cloud():
    cloud = WeightCloud()
    cloud.take(nn.Linear(1, 1))
    with pytest.raises(TrainingError, match="at least two states"):
        cloud.draw(torch.Generator())
