"""What a model file of AtomAI holds: read without running anything of it.

AtomAI keeps a model as a pickle in a zip archive, as torch writes them, with the weights, what the network was made
with, and the live optimiser. A pickle may call anything; here it may make tensors, ordered dictionaries and plain
values. What belongs to an optimiser of torch is passed over. Anything else is refused by its name, before it is
imported.
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adatom.errors import MissingFileError, ModelFileError

_LARGEST_PICKLE = 64 * 2**20
_LARGEST_FILE = 4 * 2**30
# torch's name of a storage -> type of its numbers
_NUMBERS = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}


def read_atomai_file(path: Path) -> dict[str, Any]:
    """The dictionary of a model file: ``weights`` (name to tensor), and what the network was made with.

    Raises
    ------
    MissingFileError : if it is not there.
    ModelFileError : if it is no such file, is damaged, or holds something else than tensors and plain values.
    """
    if not path.is_file():
        raise MissingFileError(f"model: expected a file of AtomAI, got {path}, which is not there.")
    try:
        with zipfile.ZipFile(path) as archive:
            content = _unpickled(archive, path.name)
    except ModelFileError:
        raise
    except zipfile.BadZipFile as error:
        raise ModelFileError(
            f"model: expected a file that AtomAI saved with torch 1.6 or newer, got {path.name}, which is not. "
            "Load it with AtomAI and save it once more."
        ) from error
    except (
        pickle.UnpicklingError,
        OSError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RecursionError,
        MemoryError,
        RuntimeError,
        NotImplementedError,
        struct.error,
    ) as error:  # what a damaged archive or pickle ends in
        raise ModelFileError(f"model: {path.name} is damaged ({type(error).__name__}: {_line(error)}).") from error
    weights = content.get("weights") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise ModelFileError(f"model: expected the weights of a network in {path.name}, got none.")
    wrong = [name for name, value in weights.items() if not isinstance(name, str) or not isinstance(value, Tensor)]
    if wrong:
        raise ModelFileError(f"model: expected tensors alone as weights in {path.name}, got something else.")
    return content


def _unpickled(archive: zipfile.ZipFile, name: str) -> Any:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if sum(entry.file_size for entry in entries.values()) > _LARGEST_FILE:
        raise ModelFileError(f"model: expected less than {_LARGEST_FILE // 2**30} GiB, got more in {name}.")
    pickles = [entry for entry in entries if entry.endswith("/data.pkl") and entry.count("/") == 1]
    if len(pickles) != 1 or entries[pickles[0]].file_size > _LARGEST_PICKLE:
        raise ModelFileError(f"model: expected a file that torch saved, got {name}, which is not one.")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
        raise ModelFileError(f"model: expected numbers with their least byte first in {name}, got another order.")
    return _Reader(archive, root, name).load()


class _Reader(pickle.Unpickler):
    """An unpickler that knows tensors and plain values, and nothing else."""

    def __init__(self, archive: zipfile.ZipFile, root: str, name: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self._archive, self._root, self._name = archive, root, name
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a global: nothing is ever imported."""
        if module == "torch" and name in _NUMBERS:
            return _Storage(name)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Maker(_tensor)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _Maker(_parameter)
        if (module, name) in (("__builtin__", "dict"), ("builtins", "dict"), ("collections", "defaultdict")):
            return _Maker(_no_items)
        parts = module.split(".")
        if parts[:2] == ["torch", "optim"] and name.isidentifier():
            return _passed_over()
        raise ModelFileError(
            f"model: expected tensors and plain values in {self._name}, got {module}.{name}, which is not read: it "
            "could run code. Nothing of it was run."
        )

    def persistent_load(self, identity: Any) -> Tensor:
        """The numbers of a storage, flat."""
        kind, storage, key, _, n = identity
        if kind != "storage" or not isinstance(storage, _Storage) or not isinstance(key, str) or not key.isdigit():
            raise ModelFileError(f"model: expected storages of numbers in {self._name}, got something else.")
        if key not in self._storages:
            values = np.frombuffer(self._archive.read(f"{self._root}data/{key}"), dtype=_NUMBERS[storage.name])
            if len(values) != n:
                raise ModelFileError(f"model: {self._name} is damaged: expected {n} numbers, got {len(values)}.")
            self._storages[key] = torch.from_numpy(values.copy())
        return self._storages[key]


class _Storage:
    """The type of a storage, by name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Maker:
    """A function that a pickle may call; of its own, so that a pickle that changes it changes nothing else."""

    __slots__ = ("_make",)

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)


def _passed_over() -> type:
    """A class whose objects hold nothing, whatever they are given."""

    class PassedOver:
        __slots__ = ()

        def __new__(cls, *_: Any) -> Any:
            return super().__new__(cls)

        def __init__(self, *_: Any) -> None:
            pass

        def __setstate__(self, _: Any) -> None:
            pass

    return PassedOver


def _no_items(*_: Any) -> dict[Any, Any]:
    return {}


def _parameter(data: Any, *_: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise pickle.UnpicklingError("a parameter that is no tensor")
    return data


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Tensor) or storage.ndim != 1:
        raise pickle.UnpicklingError("a tensor without a storage")
    whole = [offset, *size, *stride]
    if len(size) != len(stride) or any(type(number) is not int or number < 0 for number in whole):
        raise pickle.UnpicklingError("a tensor without a size")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # one number a place: strides that come back to the same ones could ask for any amount of memory
    if math.prod(size) and (last >= len(storage) or math.prod(size) > len(storage)):
        raise pickle.UnpicklingError("a tensor larger than its storage")
    return storage.as_strided(size, stride, offset).clone(memory_format=torch.contiguous_format)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:150].rstrip(".")
