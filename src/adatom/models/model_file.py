"""The model file: weights as safetensors, under a header that says what is needed to use them rightly.

Nothing is pickled, and nothing of a file is used before its header was checked and the whole found undamaged.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from adatom.data.atomic_file import write_atomically
from adatom.errors import AdatomError, ModelFileError
from adatom.models.header import HEADERS, is_whole, sealed
from adatom.models.network import builder_of
from adatom.models.recipe import Recipe, first_problem, parse_recipe
from adatom.nets import ARCHITECTURES, PAIR_ARCHITECTURES

# Names of arrays that are no weights of the network begin with this.
_BESIDE = "beside/"


Beside = Mapping[str, NDArray[Any]]
Build = Callable[[Mapping[str, Any]], nn.Module]
Parts = tuple[nn.Module, Recipe | None, dict[str, NDArray[np.float64]]]


def write_model_file(path: Path, header: dict[str, Any], net: nn.Module, beside: Beside, *, half: bool = False) -> None:
    """Write the weights of a network, arrays beside them, and a header that is JSON-serialisable; with `half` the
    weights, but not what stands beside them, in half precision.
    """
    tensors = tensors_of(net, beside)
    if half:
        tensors |= {
            name: value.half()
            for name, value in tensors.items()
            if value.is_floating_point() and value.dim() > 1 and not name.startswith(_BESIDE)
        }
    write_tensors(path, header, tensors)


def tensors_of(net: nn.Module, beside: Beside) -> dict[str, Tensor]:
    """All that a file holds of one network."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    return tensors | {_BESIDE + name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in beside.items()}


def write_tensors(path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write tensors under a header that is JSON-serialisable."""
    whole = sealed(header, {name: value.numpy() for name, value in tensors.items()})
    write_atomically(path, save(tensors, metadata={"adatom": json.dumps(whole, sort_keys=True)}))


def read_model_file(path: Path, header: dict[str, Any], *, build: Build | None = None) -> Parts:
    """The network of a model file, ready to predict, its recipe, and the arrays beside; `header` from
    `catalogue.read_header`, `build` makes the network that a checked header describes, by default the named one.

    Raises
    ------
    ModelFileError : if the file is not what was written.
    """
    return read_parts(path, header, read_tensors(path, header), build=build)


def read_tensors(path: Path, header: dict[str, Any]) -> dict[str, Tensor]:
    """What a model file holds, after its header was checked and the whole found undamaged.

    Raises
    ------
    ModelFileError : if the file is not what was written.
    """
    try:
        HEADERS[header["kind"]].model_validate(header)
        tensors: dict[str, Tensor] = load_file(path)
        if not is_whole(header, {name: value.numpy() for name, value in tensors.items()}):
            raise ModelFileError(f"model: {path.name} is damaged: its content is not what was written.")
    except ValidationError as error:
        raise ModelFileError(f"model: {path.name} is damaged ({first_problem(error)}).") from error
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ModelFileError(f"model: {path.name} is damaged ({_first_line(error)}).") from error
    return tensors


def read_parts(path: Path, header: dict[str, Any], tensors: dict[str, Tensor], *, build: Build | None = None) -> Parts:
    """One network out of what the file `path` holds of it: as `read_model_file`, for a header that was checked."""
    try:
        recipe = parse_recipe(header["recipe"], name=path.name) if header["recipe"] else None
        net = (build or builder_of(path, None))(header)
        beside = {name: tensors.pop(name).double().numpy() for name in list(tensors) if name.startswith(_BESIDE)}
        net.load_state_dict(tensors, assign=any(weight.is_meta for weight in net.parameters()))
        net.eval().float().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    except ModelFileError:
        raise
    except (AdatomError, RuntimeError) as error:
        what = "is damaged" if _names_all(header) else "holds other weights than its network has"
        raise ModelFileError(f"model: {path.name} {what} ({_first_line(error)}).") from error
    are_numbers = [torch.isfinite(value).all() for value in net.state_dict().values() if value.is_floating_point()]
    if not all(are_numbers) or not all(np.isfinite(values).all() for values in beside.values()):
        raise ModelFileError(f"model: {path.name} is damaged: some of its weights are not numbers.")
    return net, recipe, {name.removeprefix(_BESIDE): values for name, values in beside.items()}


def _names_all(header: Mapping[str, Any]) -> bool:
    """Whether the header alone says which network it is."""
    architecture = header["architecture"]
    return not architecture.get("own") and architecture["name"] in {**ARCHITECTURES, **PAIR_ARCHITECTURES}


def _first_line(error: Exception) -> str:
    """What went wrong, without the list of all tensors that torch adds."""
    return " ".join(str(error).split())[:200].rstrip(".")
