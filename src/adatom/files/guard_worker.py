"""The worker of `adatom.files.guard`: requests come as JSON lines, answers go as JSON lines and raw bytes."""

import contextlib
import gc
import json
import os
import sys
from importlib import import_module
from math import isfinite, prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from adatom.errors import AdatomError
from adatom.files.channel import Channel
from adatom.files.guard import load_module

# Beyond what the values themselves take; with it a file that lies stays below 500 MB.
_MEMORY_BYTES = 300 * 2**20
# the values, a decompressed copy, and one in another order
_COPIES = 3
_HEAD_BYTES = 4096
_MAX_METADATA = 2000
_MAX_TEXT = 2000
# one file is described and then loaded: the description is kept
_described: dict[tuple[Any, ...], list[Channel]] = {}


def main() -> None:
    """Serve requests until the other side closes the pipe."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    _say(answers, {"ready": True})
    for line in sys.stdin.buffer:
        request = json.loads(line)
        values: np.ndarray | None = None
        try:
            told, values = _answer(request)
        except AdatomError as error:
            told = {"fault": str(error)}
        except MemoryError:
            told = {"error": "it asks for more memory than a file of this size needs"}
        except Exception as error:
            told = {"error": f"{error}" or type(error).__name__}
        _say(answers, told, values)


def _say(answers: BinaryIO, told: dict[str, Any], values: np.ndarray | None = None) -> None:
    n_bytes = 0 if values is None else values.nbytes
    answers.write(json.dumps({**told, "n_bytes": n_bytes}).encode() + b"\n")
    if values is not None:
        answers.write(values.data.cast("B"))
    answers.flush()


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray | None]:
    path = Path(request["path"])
    module = load_module(request["module"], request["variant"])
    if request["op"] == "import":
        _limit_memory(None)
        for library in ("h5py", *getattr(module, "libraries", ())):
            with contextlib.suppress(ImportError):  # whether it is missed, the format says
                import_module(library)
        return {}, None
    if request["op"] != "load":
        _forget()
    if request["op"] == "sniff":
        _limit_memory(_MEMORY_BYTES)
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
        return {"is": bool(module.sniff(head, path))}, None
    stat = path.stat()
    key = (request["module"], request["variant"], path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if key not in _described:
        _limit_memory(_MEMORY_BYTES + _COPIES * stat.st_size)
        _described[key] = module.read_channels(path)
    channels = _described[key]
    if request["op"] == "describe":
        return {"channels": [_as_json(each) for each in channels]}, None
    channel = channels[request["number"]]
    if request.get("window") is not None:
        return {}, _window(channel, request)
    _limit_memory(_MEMORY_BYTES + _COPIES * prod(channel.shape) * channel.dtype.itemsize)
    values = np.ascontiguousarray(channel.load(request["frame"]).astype(channel.dtype, copy=False))
    del channel, channels
    _forget()
    return {}, values


def _window(channel: Channel, request: dict[str, Any]) -> np.ndarray:
    """Some pixels; the description is kept, for others will be asked for."""
    top, bottom, left, right = request["window"]
    _limit_memory(_MEMORY_BYTES + _COPIES * (bottom - top) * (right - left) * channel.dtype.itemsize)
    assert channel.window is not None
    values = channel.window(request["frame"], slice(top, bottom), slice(left, right))
    return np.ascontiguousarray(values.astype(channel.dtype, copy=False))


def _forget() -> None:
    """Let go of the file: HDF5 would take a new file of the same name for the one that is still open."""
    if _described:
        _described.clear()
        gc.collect()
        h5py = sys.modules.get("h5py")
        if h5py is not None:  # some readers never let go of theirs
            for identity in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
                h5py.File(identity).close()


def _as_json(channel: Channel) -> dict[str, Any]:
    axis = channel.spectral
    return {
        "name": channel.name,
        "shape": [int(n) for n in channel.shape],
        "dtype": channel.dtype.str,
        "units": channel.units,
        "pixel_size": channel.pixel_size,
        "metadata": {
            str(key): value[:_MAX_TEXT] if isinstance(value, str) else float(value)
            for key, value in list(channel.metadata.items())[:_MAX_METADATA]
            if isinstance(value, str) or isfinite(value)
        },
        "history": channel.history,
        "has_windows": channel.window is not None,
        "spectral": None if axis is None else {"name": axis.name, "values": [float(each) for each in axis.values]},
    }


def _limit_memory(n_bytes: int | None) -> None:
    """Let allocations fail beyond what is used now and `n_bytes` more, where the system can do that; None: no limit."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[5]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (hard if n_bytes is None else used + n_bytes, hard))
    except (ImportError, OSError, ValueError):
        pass  # only Linux tells and limits this; time is limited everywhere
