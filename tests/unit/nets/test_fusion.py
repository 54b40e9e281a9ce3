import pytest
import torch

from adatom.nets import ARCHITECTURES, build_net
from adatom.nets.fusion import fuse_normalisation


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_fused_net_says_the_same_has_no_normalisation_left_and_the_first_stays_as_it_was(name):
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
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in fused.modules())
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
