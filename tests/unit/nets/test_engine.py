"""The engine that predicts: what a network says, by whatever computes it."""

import pytest
import torch

from adatom.nets import ARCHITECTURES, build_net
from adatom.nets.engine import Engine, has_openvino

needs_openvino = pytest.mark.skipif(not has_openvino(), reason="the extra `fast` is not installed")
# An eighth of bfloat16's steps near 1; what a network says moves by about as much.
ROUNDING = 0.03


def seen(run, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return run(images).softmax(dim=1)


def some_images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=sorted(ARCHITECTURES))
def net(request: pytest.FixtureRequest) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return build_net(request.param, classes=3, width=8, depth=2).eval()


def test_it_says_what_the_network_says(net: torch.nn.Module) -> None:
    images = some_images(2, 1, 48, 80)
    engine = Engine(net, pays_after=10**12)
    assert seen(engine, images).numpy() == pytest.approx(seen(net, images).numpy(), abs=ROUNDING)
    assert engine.name == "torch"


@needs_openvino
def test_openvino_takes_over_when_it_pays_and_says_the_same_at_any_size(net: torch.nn.Module) -> None:
    engine = Engine(net, pays_after=2 * 48 * 80)
    for shape, name in (((2, 1, 48, 80), "torch"), ((1, 1, 32, 32), "OpenVINO"), ((3, 1, 64, 48), "OpenVINO")):
        images = some_images(*shape)
        assert seen(engine, images).numpy() == pytest.approx(seen(net, images).numpy(), abs=ROUNDING)
        assert engine.name == name


@needs_openvino
def test_what_it_said_stays_when_it_is_asked_again(net: torch.nn.Module) -> None:
    engine = Engine(net, pays_after=0)
    first = engine(some_images(1, 1, 32, 32))
    kept = first.clone()
    engine(10 * some_images(1, 1, 32, 32))
    assert torch.equal(first, kept)
