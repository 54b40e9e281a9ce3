from itertools import pairwise

import pytest
import torch

from adatom.nets import ARCHITECTURES, build_net
from adatom.nets.fusion import fuse_normalisation


def _convolved(block):
    """Pairs of a convolution and what follows it."""
    return [(one, after) for one, after in pairwise(block) if isinstance(one, torch.nn.Conv2d)]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_fused_net_says_the_same_has_no_normalisation_left_after_convolutions_and_the_first_stays_as_it_was(name):
    generator = torch.Generator().manual_seed(0)
    net = build_net(name, classes=3, width=4, depth=2)
    images = torch.randn(2, 1, 4 * net.multiple, 4 * net.multiple, generator=generator)
    for _ in range(5):  # statistics of its own
        net(3 * images + 1)
    net.eval()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    fused = fuse_normalisation(net)
    with torch.no_grad():
        torch.testing.assert_close(fused(images), net(images), atol=1e-4, rtol=1e-4)
    following = [
        after for part in fused.modules() if isinstance(part, torch.nn.Sequential) for _, after in _convolved(part)
    ]
    assert following and not any(isinstance(after, torch.nn.BatchNorm2d) for after in following)
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
