"""Which device networks compute on."""

import pytest
import torch

from adatom.errors import ArgumentError
from adatom.nets import device
from adatom.nets.device import choose_device, computing_on


@pytest.fixture(autouse=True)
def nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADATOM_DEVICE", "TORCHELASTIC_RUN_ID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(device, "_mps_works", lambda: False)


def test_a_gpu_is_taken_where_there_is_one(two_gpus: None) -> None:
    assert choose_device() == torch.device("cuda")


def test_one_of_apple_is_taken_if_it_works(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_mps_works", lambda: True)
    assert choose_device() == torch.device("mps")


def test_without_one_it_is_the_processor(no_gpu: None) -> None:
    assert choose_device() == torch.device("cpu")


def test_the_environment_says_otherwise_but_not_against_what_is_asked(
    two_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADATOM_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    assert choose_device("cuda:1") == torch.device("cuda:1")


def test_within_a_search_its_device_is_the_usual_one(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADATOM_DEVICE", "cpu")
    with computing_on("cuda:1"):
        assert choose_device() == torch.device("cuda:1")
        assert choose_device("cuda:0") == torch.device("cuda:0")
    assert choose_device() == torch.device("cpu")


def test_processes_of_torchrun_take_a_gpu_each(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "adatom")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device() == torch.device("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ArgumentError, match=r"expected one that is there, got cuda:2\. Here are cpu, cuda:0, cuda:1"):
        choose_device()


@pytest.mark.parametrize("name", ["cuda", "cuda:3", "mps", "xpu"])
def test_one_that_is_not_there_is_refused(name: str, no_gpu: None) -> None:
    with pytest.raises(ArgumentError, match=f"device: expected one that is there, got {name}.*Here are cpu"):
        choose_device(name)


def test_what_is_no_device_is_refused_and_who_said_so_is_told(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match=r"device: expected auto, cpu, .* got 'gpu'"):
        choose_device("gpu")
    monkeypatch.setenv("ADATOM_DEVICE", "cuda")
    with pytest.raises(ArgumentError, match="ADATOM_DEVICE: expected one that is there, got cuda"):
        choose_device()
