import copy

import torch

from adatom.nets import build_net
from adatom.nets.crown import Crown


def test_only_the_crown_learns_and_the_network_learns_with_it():
    net = build_net("folded_unet", classes=3, width=4, depth=2)
    before = copy.deepcopy(net.state_dict())
    crown = Crown(net)
    images = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(crown(images), net(images))
    optimiser = torch.optim.SGD(crown.parameters(), lr=0.1)
    crown.train()
    crown(images).square().mean().backward()
    optimiser.step()
    crown.eval()
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith(tuple(net.crown())) for name in changed)
    torch.testing.assert_close(crown(images), net(images))


def test_a_copy_is_one_of_the_network_too():
    net = build_net("unet", classes=3, width=4, depth=2)
    crown = Crown(net)
    other = copy.deepcopy(crown)
    other.renew(build_net("unet", classes=3, width=4, depth=2))
    images = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(crown(images), net(images))
    assert not torch.allclose(other(images), crown(images))
