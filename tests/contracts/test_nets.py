"""Every architecture in the table keeps the contract that `adatom.nets` states."""

import pytest
import torch
from safetensors.torch import load, save

from adatom.errors import ArgumentError, ShapeError
from adatom.nets import ARCHITECTURES, build_net
from adatom.nets.contract import check_net
from adatom.nets.onnx_net import OnnxNet, to_onnx

TINY = {"classes": 3, "width": 4, "depth": 2}
every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@every_architecture
@pytest.mark.parametrize("times", [(1, 1), (1, 5), (7, 2), (16, 16)])
def test_any_multiple_gives_logits_of_its_own_size(name, times):
    net = build_net(name, **TINY).eval()
    rows, columns = (n * net.multiple for n in times)
    logits = net(images(2, 1, rows, columns))
    assert logits.shape == (2, 3, rows, columns)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@every_architecture
def test_it_keeps_what_yours_must_keep(name):
    net = build_net(name, **TINY)
    assert check_net(net, TINY["classes"]) == net.multiple


@every_architecture
def test_gradients_reach_every_parameter(name):
    net = build_net(name, **TINY)
    net(images(2, 1, 4 * net.multiple, 4 * net.multiple)).square().mean().backward()
    without = [key for key, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert without == []


@every_architecture
def test_an_image_is_judged_alone(name):
    net = build_net(name, **TINY).eval()
    batch = images(3, 1, 4 * net.multiple, 4 * net.multiple)
    torch.testing.assert_close(net(batch)[1:2], net(batch[1:2]))


@every_architecture
@pytest.mark.parametrize("wrong", [(2, 1, 13, 16), (2, 1, 16, 13), (2, 3, 16, 16), (1, 16, 16), (16, 16)])
def test_a_wrong_size_says_what_was_expected(name, wrong):
    net = build_net(name, **TINY)
    with pytest.raises(ShapeError, match=rf"expected \(n, 1, y, x\) .*multiples of {net.multiple}.*got"):
        net(images(*wrong))


@every_architecture
def test_an_unknown_argument_says_what_was_expected(name):
    with pytest.raises(ArgumentError, match=r"expected arguments out of .*classes.*colour"):
        build_net(name, **TINY, colour="red")


@every_architecture
def test_a_missing_argument_is_named(name):
    with pytest.raises(ArgumentError, match="classes"):
        build_net(name, width=4, depth=2)


@every_architecture
@pytest.mark.parametrize("argument", [{"classes": 1}, {"classes": 0}, {"classes": 2.5}, {"classes": "3"}])
def test_fewer_than_two_classes_say_what_was_expected(name, argument):
    with pytest.raises(ArgumentError, match="classes: expected a whole number of at least 2, got"):
        build_net(name, **{**TINY, **argument})


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(ArgumentError, match=f"expected one of {', '.join(ARCHITECTURES)}, got 'resnext'"):
        build_net("resnext", **TINY)


@every_architecture
def test_the_same_seed_gives_the_same_weights_whatever_the_default_dtype(name):
    nets = []
    try:
        for dtype in (torch.float32, torch.float64):
            torch.set_default_dtype(dtype)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(3)
                nets.append(build_net(name, **TINY))
            assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(torch.float32)
    for first, second in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert first.dtype == second.dtype == torch.float32
        assert torch.equal(first, second)


@every_architecture
def test_its_state_holds_all_that_it_has_learned(name):
    """A model file holds the state dictionary only, and is loaded into a network that was made without memory."""
    net = build_net(name, **TINY)
    batch = images(2, 1, 4 * net.multiple, 4 * net.multiple)
    net(batch)  # moves the batch-norm statistics away from their start
    with torch.device("meta"):
        other = build_net(name, **TINY)
    other.load_state_dict(load(save(net.state_dict())), assign=True)
    assert torch.equal(net.eval()(batch), other.eval()(batch))


@every_architecture
def test_an_onnx_file_gives_the_same(name):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    net = build_net(name, **TINY)
    net(images(4, 1, 4 * net.multiple, 4 * net.multiple))
    net.eval()
    file = OnnxNet(to_onnx(net, with_levels=True), multiple=net.multiple, n_levels=1, runner="ONNX Runtime")
    with torch.no_grad():
        for shape in ((1, 1, net.multiple, 3 * net.multiple), (2, 1, 5 * net.multiple, 2 * net.multiple)):
            shown = images(*shape)
            torch.testing.assert_close(file(shown), net(shown), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(file.levels(shown)[0], net.encode(shown)[0], atol=1e-4, rtol=1e-4)


@every_architecture
def test_trunk_and_crown_make_the_whole(name):
    net = build_net(name, **TINY).eval()
    shown = images(2, 1, 2 * net.multiple, net.multiple)
    torch.testing.assert_close(net.finish(net.trunk(shown)), net(shown))
    before, state = net.trunk(shown), net.state_dict()
    for beginning in net.crown():
        mine = [weight for weight in state if weight.startswith(beginning)]
        assert mine
        for weight in mine:
            state[weight] += 1
    torch.testing.assert_close(net.trunk(shown), before)
