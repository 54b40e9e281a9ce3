"""Models as ONNX files: the network as a graph that other programs run too, and beside it all that ours needs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from adatom.data.atomic_file import write_atomically
from adatom.errors import ArgumentError, MissingFileError, ModelFileError, TrainingError
from adatom.models.catalogue import ESTIMATORS, FORMAT_VERSION
from adatom.models.header import HEADERS, MEMBER_HEADERS, is_whole, sealed
from adatom.models.image_model import ImageModel, exactly
from adatom.models.recipe import first_problem, parse_recipe
from adatom.nets.fusion import fuse_normalisation
from adatom.nets.onnx_net import OnnxNet, arrays_of, to_onnx

TOLERANCE = 1e-4  # of logits, between the file and torch
# Names of what the file says of itself.
_HEADER, _TOLD = "adatom", "preprocessing"
_LARGEST = 2 * 2**30


def export_onnx(model: ImageModel, path: str | Path) -> float:
    """Write a fitted model to an ONNX file, check it against torch, and return the greatest difference of logits.

    The file says in words how an image becomes its input (``preprocessing``), and holds all that `adatom.load` needs.

    Raises
    ------
    ArgumentError : if the model is none that looks at images alone, or what writes and runs the file is missing.
    TrainingError : if the file gives something else than torch; it is not written then.
    """
    if not isinstance(model, ImageModel):
        raise ArgumentError(
            f"model: expected a Segmenter or Localizer, got a {type(model).__name__}. Of an ensemble, export its "
            "members: adatom.load(...).members_[0]."
        )
    model._check_fitted("export")
    onnx = _onnx()
    net: Any = model.net_
    if isinstance(net, OnnxNet):
        raise ArgumentError("model: expected one of torch, got an ONNX file already. Copy it.")
    with_levels = hasattr(net, "encode")
    bare = to_onnx(fuse_normalisation(net).cpu(), with_levels=with_levels)
    written = onnx.load_from_string(bare)
    n_levels = len(written.graph.output) - 1
    facts = {"multiple": model._multiple, "n_levels": n_levels}
    difference = _check(OnnxNet(bare, multiple=model._multiple, n_levels=n_levels), model)
    beside = {name: values.tolist() for name, values in model._beside().items()}
    header = sealed({**model.header(), "network": facts, "beside": beside}, arrays_of(written))
    written.doc_string = f"{model.name}: {model.header()['description']}"
    notes = {_HEADER: json.dumps(header, sort_keys=True), _TOLD: told_preparation(model)}
    for name, text in notes.items():
        written.metadata_props.add(key=name, value=text)
    write_atomically(Path(path), written.SerializeToString())
    return difference


def _check(given: OnnxNet, model: ImageModel) -> float:
    """The greatest difference between a file and the network that it was made from, over images of several sizes."""
    generator = torch.Generator().manual_seed(0)
    multiple, greatest = model._multiple, 0.0
    run = exactly(model.net_)
    with torch.inference_mode():
        for n, rows, columns in ((1, 64, 64), (2, 48, 80), (1, 176, 112)):
            rows, columns = (multiple * max(1, round(side / multiple)) for side in (rows, columns))
            images = torch.randn(n, 1, rows, columns, generator=generator)
            greatest = max(greatest, float((given(images) - run(images)).abs().max()))
    if not greatest <= TOLERANCE:
        raise TrainingError(
            f"export: expected what torch gives to {TOLERANCE:g}, got a difference of {greatest:.2g}. The network does "
            "something that depends on its input beyond numbers, such as branches; ONNX does not keep that."
        )
    return greatest


def load_onnx(path: Path) -> ImageModel:
    """A model out of a file that `export_onnx` wrote; it predicts, and learns nothing.

    Raises
    ------
    MissingFileError, ModelFileError : if there is no such file, or it is not what was written.
    ArgumentError : if what reads and runs it is missing.
    """
    if not path.is_file():
        raise MissingFileError(f"model: expected a file, got {path}, which is not there.")
    onnx = _onnx()
    if path.stat().st_size > _LARGEST:
        raise ModelFileError(f"model: expected less than 2 GiB, got more in {path.name}.")
    try:
        content = path.read_bytes()
        held = onnx.load_from_string(content)
        notes = {note.key: note.value for note in held.metadata_props}
        header: dict[str, Any] = json.loads(notes[_HEADER]) if _HEADER in notes else {}
    except Exception as error:  # what protobuf and json make of a damaged file
        raise ModelFileError(f"model: {path.name} is damaged, or no ONNX file.") from error
    if not isinstance(header, dict) or not header:
        raise ModelFileError(f"model: {path.name} is an ONNX file, but Adatom did not write it.")
    kind, version = header.get("kind"), header.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ModelFileError(f"model: {path.name} has format {version}, this Adatom reads up to {FORMAT_VERSION}.")
    if not isinstance(kind, str) or kind not in MEMBER_HEADERS:
        raise ModelFileError(f"model: {path.name} holds a {kind!r}, which this Adatom does not know.")
    try:
        HEADERS[kind].model_validate(header)
        _check_plain(held, path)
        if not is_whole(header, arrays_of(held)):
            raise ModelFileError(f"model: {path.name} is damaged: its content is not what was written.")
        recipe = parse_recipe(header["recipe"], name=path.name) if header["recipe"] else None
        beside = {name: np.asarray(values, dtype=float) for name, values in header["beside"].items()}
        net = OnnxNet(content, **header["network"])
    except ValidationError as error:
        raise ModelFileError(f"model: {path.name} is damaged ({first_problem(error)}).") from error
    except (LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelFileError(f"model: {path.name} is damaged ({type(error).__name__}).") from error
    from importlib import import_module

    estimator = getattr(import_module(ESTIMATORS[kind]), kind)
    model: ImageModel = estimator._from_parts(header, net.eval(), recipe, beside)
    return model


def told_preparation(model: ImageModel) -> str:
    """In words, how an image becomes what the network takes, for those who run the file by other programs."""
    scale, settings = model.scale_, model.preprocessing_
    steps = []
    if settings.get("levelled", True):
        steps.append("subtract the plane, and level scan lines where these are shifted (adatom.prepare.levelled)")
    if model.takes_as_is:
        steps.append("take the image pixel by pixel")
    else:
        size = scale["pixel_size_nm"]
        of_pixels = f" (pixels of {size:g} nm)" if size is not None and scale["calibrated"] else ""
        steps.append(f"resample so that neighbouring atoms are {scale['spacing_px']:.3g} px apart{of_pixels}")
    if settings.get("scaled") == "range":
        steps.append("subtract the least value and divide by the range, which gives 0 to 1")
    else:
        steps.append(
            f"subtract the local mean (a Gaussian of {settings['background_px']:g} px) and the median, divide by "
            "1.4826 x the median absolute deviation"
        )
        if settings.get("bend") is not None:
            steps.append(f"bend: v becomes {settings['bend']:g} arsinh(v / {settings['bend']:g})")
        steps.append(f"cut to -{settings['clip']:g}..{settings['clip']:g}")
    margin = int(scale.get("margin_px", 0))
    steps.append(
        f"add {margin} px of zeros on all sides, and what makes both sides multiples of {model._multiple} at the lower "
        "right"
    )
    numbered = "; ".join(f"({number}) {step}" for number, step in enumerate(steps, start=1))
    return (
        f"images: float32 (n, 1, y, x). {numbered}. logits: (n, {model._n_channels()}, y, x) for "
        f"{model._channels_told()}."
    )


def _check_plain(held: Any, path: Path) -> None:
    """Whether the graph reads no other files, and has no operators but those of ONNX itself and no graphs inside."""
    onnx = _onnx()
    tensors = list(held.graph.initializer)
    for node in held.graph.node:
        graphs = [each for each in node.attribute if each.HasField("g") or each.graphs]
        if node.domain not in ("", "ai.onnx") or graphs or held.functions:
            raise ModelFileError(f"model: expected plain operators in {path.name}, got {node.op_type}.")
        for attribute in node.attribute:
            tensors += [attribute.t] if attribute.HasField("t") else []
            tensors += attribute.tensors
    if held.graph.sparse_initializer or any(each.data_location != onnx.TensorProto.DEFAULT for each in tensors):
        raise ModelFileError(f"model: expected {path.name} to hold its numbers itself, but it names other files.")


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ArgumentError("model: expected onnx to be installed, got none. Install adatom[fast].") from error
    return onnx
