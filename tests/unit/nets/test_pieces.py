"""What becomes of a prediction when memory runs out, by an allocator that fails on demand."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from adatom.errors import MemoryShortError
from adatom.nets.engine import Engine
from adatom.nets.onnx_net import infer
from adatom.nets.pieces import tells_of_memory

FAILURES = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB."),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
    "openvino": RuntimeError("Exception from src/inference: std::bad_alloc"),
}


class SmallMemory(torch.nn.Module):
    """A network for which there is memory for so many pixels."""

    def __init__(self, net: torch.nn.Module, room_px: int, failure: Exception) -> None:
        super().__init__()
        self.net, self.room_px, self.failure = net, room_px, failure
        self.multiple = net.multiple
        self.n_failed = self.n_seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.n_seen += 1
        if images.numel() > self.room_px:
            self.n_failed += 1
            raise self.failure
        return self.net(images)


class TwoScales(torch.nn.Module):
    """A quick network that sees some pixels around each, on a grid of 4."""

    multiple = 4

    def __init__(self) -> None:
        super().__init__()
        self.coarse = torch.nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        coarse = self.coarse(torch.nn.functional.max_pool2d(images, 4)).tanh()
        return torch.nn.functional.interpolate(coarse, scale_factor=4, mode="nearest") + images


@pytest.fixture
def net() -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return TwoScales().eval()


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def engine_of(net: torch.nn.Module, room_px: int, failure: Exception) -> tuple[Engine, SmallMemory]:
    engine = Engine(SmallMemory(net, room_px, failure), exact=True)
    return engine, engine.net  # its own copy


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_lack_of_memory_is_known_by_what_is_said(failure: Exception) -> None:
    assert tells_of_memory(failure) and tells_of_memory(MemoryError())
    assert not tells_of_memory(RuntimeError("expected 1 channel, got 3"))


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("shape", [(7, 1, 256, 192), (2, 1, 640, 600)], ids=["many", "large"])
def test_pieces_say_the_same_with_one_line_and_the_next_call_knows(
    shape: tuple[int, ...], failure: Exception, net: torch.nn.Module, caplog: pytest.LogCaptureFixture
) -> None:
    engine, memory = engine_of(net, 300_000, failure)
    with torch.inference_mode():
        whole = net(images(*shape))
    assert float((engine(images(*shape)) - whole).abs().max()) < 1e-4
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "memory of this machine is short" in caplog.text and "with the same result" in caplog.text
    failed = memory.n_failed
    assert failed
    assert float((engine(images(*shape)) - whole).abs().max()) < 1e-4
    assert memory.n_failed == failed and len(caplog.records) == 1


def test_what_fits_is_seen_at_once(net: torch.nn.Module, caplog: pytest.LogCaptureFixture) -> None:
    engine, memory = engine_of(net, 10**6, FAILURES["cuda"])
    engine(images(2, 1, 64, 96))
    assert memory.n_seen == 1 and not caplog.records


def test_where_not_even_small_pieces_fit_that_is_an_error(net: torch.nn.Module) -> None:
    with pytest.raises(MemoryShortError, match="memory: expected enough on this machine"):
        engine_of(net, 1000, FAILURES["cpu"])[0](images(1, 1, 320, 320))


def test_other_faults_are_no_lack_of_memory(net: torch.nn.Module) -> None:
    engine, memory = engine_of(net, 0, RuntimeError("expected 1 channel, got 3"))
    with pytest.raises(RuntimeError, match="expected 1 channel"):
        engine(images(1, 1, 320, 320))
    assert memory.n_failed == 1


def test_a_gpu_that_is_too_small_hands_over_to_the_processor(
    net: torch.nn.Module, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(net, exact=True)
    see = Engine._see

    def see_with_a_full_gpu(self: Engine, given: torch.Tensor) -> torch.Tensor:
        if self.device.type == "cuda":
            raise FAILURES["cuda"]
        return see(self, given)

    monkeypatch.setattr(Engine, "_see", see_with_a_full_gpu)
    engine.device = torch.device("cuda")
    with torch.inference_mode():
        whole = net(images(1, 1, 128, 128))
    for _ in range(2):
        assert float((engine(images(1, 1, 128, 128)) - whole).abs().max()) < 1e-4
        assert [record.getMessage() for record in caplog.records] == [
            "adatom: memory of cuda does not suffice: the network computes on the processor from now on."
        ]


class SilentRequest:
    """As OpenVINO's where memory is short: nothing is computed, what was there before is given, and nothing is said."""

    def __init__(self, *before: int) -> None:
        self.output_tensors = [SimpleNamespace(size=int(np.prod(before)), data=np.ones(before, np.float32))]

    def infer(self, inputs: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        return {0: self.output_tensors[0].data.copy()}


@pytest.mark.parametrize("before", [(0,), (1, 3, 8, 8), (1, 3, 32, 32)], ids=["nothing", "another size", "same size"])
def test_what_openvino_gave_before_is_not_taken_for_what_it_gives(before: tuple[int, ...]) -> None:
    with pytest.raises(MemoryError, match="OpenVINO: out of memory"):
        infer(SilentRequest(*before), np.ones((1, 1, 32, 32), np.float32))
