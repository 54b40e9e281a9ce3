"""The network of denoisers: its sizes, and that brightness and offset of an image pass through it."""

import pytest
import torch

from adatom.errors import ArgumentError, ShapeError
from adatom.nets import build_net
from adatom.nets.denoising import DENOISING_ARCHITECTURES


def make(**arguments):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_net("denoising_unet", DENOISING_ARCHITECTURES, width=4, depth=2, **arguments).eval()


@pytest.mark.parametrize("times", [(1, 1), (1, 5), (3, 2)])
def test_any_multiple_gives_an_image_of_its_own_size(times):
    net = make()
    shown = torch.randn(2, 1, times[0] * net.multiple, times[1] * net.multiple)
    assert net(shown).shape == shown.shape


@pytest.mark.parametrize("residual", [True, False])
def test_an_image_twice_as_bright_gives_a_result_twice_as_bright(residual):
    net, shown = make(residual=residual), torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(net(2 * shown), 2 * net(shown))


@pytest.mark.parametrize("wrong", [(2, 1, 13, 16), (2, 3, 16, 16), (16, 16)])
def test_a_wrong_size_says_what_was_expected(wrong):
    with pytest.raises(ShapeError, match=r"expected \(n, 1, y, x\) with sides that are multiples of 8, got"):
        make()(torch.zeros(*wrong))


def test_a_width_that_is_no_number_of_channels_says_so():
    with pytest.raises(ArgumentError, match="width: expected a whole number of at least 1, got 0"):
        build_net("denoising_unet", DENOISING_ARCHITECTURES, width=0, depth=1)
