"""Where networks compute: the one place that chooses a device."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch

from adatom.errors import ArgumentError

VARIABLE = "ADATOM_DEVICE"
_usual: list[str] = []  # the last one counts


def choose_device(asked: str | torch.device = "auto") -> torch.device:
    """The device that networks learn and predict on.

    Parameters
    ----------
    asked : ``auto``, or what torch calls a device. ``auto`` is what `computing_on` says, else the environment variable
        ``ADATOM_DEVICE``, else a GPU (cuda, mps) where there is one that works, else the processor. Of several
        processes that torchrun started on one machine, each gets a GPU of its own.

    Raises
    ------
    ArgumentError : if it is no device, or none that is there.
    """
    name, what = str(asked), "device"
    if name == "auto":
        name = _usual[-1] if _usual else "auto"
    if name == "auto":
        name, what = os.environ.get(VARIABLE) or "auto", VARIABLE
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if _mps_works() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ArgumentError(f"{what}: expected auto, cpu, cuda, cuda:1, mps or the like, got {name!r}.") from error
    if device.type == "cuda" and device.index is None and "TORCHELASTIC_RUN_ID" in os.environ:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if not _is_there(device):
        raise ArgumentError(f"{what}: expected one that is there, got {device}. Here are {', '.join(_known())}.")
    return device


@contextmanager
def computing_on(device: str) -> Iterator[None]:
    """Within it, ``auto`` is `device`, for all threads of this process: a search has several."""
    _usual.append(device)
    try:
        yield
    finally:
        _usual.remove(device)


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or (device.type == "mps" and _mps_works())


def _known() -> list[str]:
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if _mps_works() else [])]


@lru_cache(maxsize=1)
def _mps_works() -> bool:
    """Whether there is a GPU of Apple that computes what our networks are made of."""
    if not torch.backends.mps.is_available():
        return False
    from adatom.nets import build_net

    try:
        with torch.random.fork_rng(devices=[]):
            net = build_net("unet", classes=2, width=4, depth=2).eval()
            images = torch.ones(1, 1, 16, 16)
            known = net(images)
            given = net.to("mps")(images.to("mps"))
            given.sum().backward()
            difference = given.cpu() - known
    except (RuntimeError, NotImplementedError):
        return False
    return float(difference.abs().max()) < 1e-3
