"""Networks between patches and spectra: any size, any number of channels, and a bottleneck."""

import pytest
import torch
from torch import nn

from adatom.errors import ArgumentError, ShapeError
from adatom.nets import PAIR_ARCHITECTURES, build_net

TINY = {"channels": 2, "patch": (5, 7), "spectra": 3, "length": 11, "latent": 4, "width": 3, "filters": 5}
every_architecture = pytest.mark.parametrize("name", PAIR_ARCHITECTURES)


def build(name, **changed):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_net(name, PAIR_ARCHITECTURES, **{**TINY, **changed})


def inputs(name, n=6, **changed):
    sizes = {**TINY, **changed}
    shape = (
        (sizes["spectra"], 1, sizes["length"]) if name.endswith("reversed") else (sizes["channels"], *sizes["patch"])
    )
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


@every_architecture
@pytest.mark.parametrize(
    "changed", [{}, {"patch": (1, 1)}, {"patch": (16, 4), "length": 2}, {"channels": 1, "spectra": 1}]
)
def test_shapes(name, changed):
    sizes = {**TINY, **changed}
    net = build(name, **changed).eval()
    backwards = name.endswith("reversed")
    expected = (2 * sizes["channels"], *sizes["patch"]) if backwards else (2 * sizes["spectra"], sizes["length"])
    values = inputs(name, **changed)
    assert net(values).shape == (6, *expected)
    assert net.encode(values).shape == (6, 4)
    torch.testing.assert_close(net.decode(net.encode(values)), net(values))


@every_architecture
def test_gradients_reach_every_parameter(name):
    net = build(name)
    net(inputs(name)).square().mean().backward()
    assert [key for key, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@every_architecture
def test_bad_sizes_say_what_was_expected(name):
    with pytest.raises(ArgumentError, match="latent: expected a whole number of at least 1, got 0"):
        build(name, latent=0)
    with pytest.raises(ShapeError, match="expected \\(n, "):
        build(name)(torch.zeros(2, 1, 9, 9))


def test_im2spec_is_the_network_of_the_paper():
    net = build("im2spec", width=64, filters=64)
    encoder = [layer for layer in net.encoder.modules() if isinstance(layer, nn.Conv2d)]
    cascade = [layer for layer in net.decoder.cascade.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.kernel_size for layer in encoder] == [(3, 3)] * 3
    assert [layer.kernel_size for layer in cascade] == [(1, 3)] * 4
    assert [layer.dilation[1] for layer in cascade] == [1, 2, 3, 4] and cascade[0].out_channels == 64
    assert net.encoder.bottleneck.out_features == 4
    for block in [*net.encoder.layers[:3], *net.decoder.cascade]:
        assert [type(layer) for layer in block] == [nn.Conv2d, nn.LeakyReLU, nn.BatchNorm2d]
        assert block[1].negative_slope == 0.1


def test_a_ved_draws_while_it_learns_and_tells_its_divergence():
    net = build("ved")
    first, second = net(inputs("ved")), net(inputs("ved"))
    assert first.shape == (6, 2 * 3 + 1, 11) and not torch.equal(first, second)
    assert (first[:, -1] >= 0).all() and torch.equal(first[:, -1, 0], first[:, -1, 5])
    net.eval()
    assert torch.equal(net(inputs("ved")), net(inputs("ved")))


@pytest.mark.parametrize("side", [5, 6])
def test_a_ved_that_knows_no_direction_gives_turned_patches_one_code(side):
    net = build("ved", patch=(side, side), invariance="rotation").eval()
    patches = inputs("ved", patch=(side, side))
    for quarter in (1, 2, 3):
        torch.testing.assert_close(net.encode(torch.rot90(patches, quarter, (2, 3))), net.encode(patches))
    other = build("ved", patch=(side, side)).eval()
    assert not torch.allclose(other.encode(torch.rot90(patches, 1, (2, 3))), other.encode(patches), atol=1e-3)
    with pytest.raises(ArgumentError, match="expected a square one"):
        build("ved", patch=(5, 6), invariance="rotation")
    with pytest.raises(ArgumentError, match="expected one of none, rotation"):
        build("ved", patch=(5, 5), invariance="scale")
