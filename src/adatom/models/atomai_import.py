"""AtomAI's segmenting networks as models of ours, which give what AtomAI gives."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from adatom.errors import ArgumentError, ModelFileError
from adatom.models.atomai_file import read_atomai_file
from adatom.models.segmenter import Segmenter
from adatom.nets import build_net

Background = Literal["last", "first"]

# AtomAI's name of a network -> ours, and the parts of both, in AtomAI's order; each part holds its weights in the same
# order in both, whatever they are called, but for residual blocks.
_UNET = {
    "c1": "down.0", "c2": "down.1", "c3": "down.2", "bn": "down.3", "upsample_block1": "enlarge.0", "c4": "up.0",
    "upsample_block2": "enlarge.1", "c5": "up.1", "upsample_block3": "enlarge.2", "c6": "up.2", "px": "head",
}  # fmt: skip
_DILATED = {
    "c1": "fine", "at1": "dilated.0", "at2": "dilated.1", "up1": "enlarge", "c2": "last", "px": "head",
}  # fmt: skip
_RESIDUAL = {
    "c1": "down.0", "c2": "down.1", "bn": "down.2", "upsample_block1": "enlarge.0", "c3": "up.0",
    "upsample_block2": "enlarge.1", "c4": "up.1", "px": "head",
}  # fmt: skip
_NESTED = {
    "net1": "levels.0", "net2": "levels.1", "net3": "levels.2", "net1score": "verdicts.0", "net2score": "verdicts.1",
    "net3score": "verdicts.2", "out": "head",
}  # fmt: skip
_NETWORKS = {
    "Unet": ("leaky_unet", 3, _UNET),
    "dilnet": ("dilated_net", 2, _DILATED),
    "SegResNet": ("residual_unet", 2, _RESIDUAL),
    "ResHedNet": ("nested_net", 2, _NESTED),
}
_OF_RESIDUAL_BLOCKS = ("c0", "c1", "bn1", "c2", "bn2")
# What a converted model knows of its scale where nobody said: it takes images as they are, and of two atoms closer
# than half of this [px] the less probable goes.
_SPACING_PX = 8.0
_RADIUS_SHARE = 0.25  # of the spacing, a usual radius of the discs that such networks learn


@dataclass(frozen=True)
class Meant:
    """What AtomAI's file does not say.

    Attributes
    ----------
    classes : names of the species, in the order of its channels; by default atom, or atom1, atom2 and so on.
    background : which channel is the background's, where there are several; AtomAI takes it for the last.
    spacing_px : distance of neighbouring atoms in the images of its training [px]; images are then brought to that
        scale. None where nobody knows: images are taken as they are.
    """

    classes: list[str] | None = None
    background: Background = "last"
    spacing_px: float | None = None


def import_atomai(path: str | Path, meant: Meant = Meant()) -> Segmenter:
    """A model of AtomAI as a `Segmenter`: same network, same preparation of an image, same probabilities.

    Raises
    ------
    MissingFileError, ModelFileError : see `adatom.models.atomai_file`; also if it holds no segmenting network.
    ArgumentError : if what was said of it does not fit.
    """
    path = Path(path)
    content = read_atomai_file(path)
    kind, name = content.get("model_type"), content.get("model")
    if kind != "seg" or not isinstance(name, str) or name not in _NETWORKS:
        raise ModelFileError(
            f"model: expected a segmenting network of AtomAI ({', '.join(_NETWORKS)}), got "
            f"{_told(kind)} with network {_told(name)} in {path.name}."
        )
    architecture, depth, parts = _NETWORKS[name]
    n_channels = _whole(content, "nb_classes", path)
    arguments: dict[str, Any] = {
        "classes": max(2, n_channels),
        "width": _whole(content, "nb_filters", path),
        "depth": depth,
        "layers": _layers(content, path),
        "upsampling": content.get("upsampling", "bilinear"),
    }
    if name != "ResHedNet":
        arguments["batch_norm"] = content.get("batch_norm") is not False
    if name in ("Unet", "dilnet"):
        arguments["dropout"] = content.get("dropout") is True
    if name == "Unet":
        arguments["dilated"] = content.get("with_dilation") is True
    try:
        with torch.device("meta"):
            net = build_net(architecture, **arguments)
    except ArgumentError as error:
        raise ModelFileError(f"model: {path.name} is damaged ({str(error).rstrip('.')}).") from error
    weights = dict(content["weights"])
    head = f"{'out' if name == 'ResHedNet' else 'px'}"
    for part in ("weight", "bias"):
        if f"{head}.{part}" in weights:
            weights[f"{head}.{part}"] = _background_first(weights[f"{head}.{part}"], n_channels, meant.background)
    if name == "ResHedNet" and n_channels == 1:
        raise ModelFileError(f"model: expected more than one class of a ResHedNet, got one in {path.name}.")
    _fill(net, weights, parts, path)
    return _model(net, {"name": architecture, "arguments": arguments}, n_channels, path, meant)


def _model(net: nn.Module, architecture: dict[str, Any], n_channels: int, path: Path, meant: Meant) -> Segmenter:
    n_species = max(1, n_channels - 1)
    usual = ["atom"] if n_species == 1 else [f"atom{k + 1}" for k in range(n_species)]
    classes = usual if meant.classes is None else list(meant.classes)
    if len(classes) != n_species or len(set(classes)) != n_species:
        raise ArgumentError(f"classes: expected {n_species} different names, got {classes}.")
    if meant.spacing_px is not None and not meant.spacing_px > 0:
        raise ArgumentError(f"spacing: expected a positive number of pixels, got {meant.spacing_px}.")
    spacing_px = _SPACING_PX if meant.spacing_px is None else float(meant.spacing_px)
    arguments = architecture["arguments"]
    model = Segmenter(classes=classes, net=architecture["name"], width=arguments["width"], depth=arguments["depth"])
    model.architecture_, model.classes_, model.net_ = architecture, classes, net.eval().float()
    model.scale_ = {
        "pixel_size_nm": None,
        "spacing_px": spacing_px,
        "period_px": spacing_px,
        "label_radius_px": _RADIUS_SHARE * spacing_px,
        "margin_px": 0,
        "claims_px": 1,
        "calibrated": False,
        "regions": False,
        "as_is": meant.spacing_px is None,
    }
    model.preprocessing_ = {"scaled": "range", "levelled": False}
    model.figures_, model.seed_, model.history_, model.recipe_ = {}, 0, [], None
    model.exact_ = True
    model.origin_ = f"imported from AtomAI's {path.name}"
    return model


def _background_first(values: Tensor, n_channels: int, background: Background) -> Tensor:
    """Rows of a last layer, those of the background first; of one that has none, zeros: what a softmax makes of zero
    and a logit is the sigmoid of the logit.
    """
    if n_channels == 1:
        return torch.cat([torch.zeros_like(values), values])
    return values.roll(1, dims=0) if background == "last" else values


def _fill(net: nn.Module, weights: dict[str, Tensor], parts: dict[str, str], path: Path) -> None:
    """Give `net` the weights, part by part."""
    state: dict[str, Tensor] = {}
    left = dict(weights)
    for theirs, ours in parts.items():
        mine = [name for name in net.state_dict() if name.startswith(f"{ours}.")]
        names = sorted((name for name in left if name.startswith(f"{theirs}.")), key=_place)
        given = [left.pop(name) for name in names]
        if len(mine) != len(given):
            raise ModelFileError(
                f"model: expected {len(mine)} tensors in part {theirs} of {path.name}, got {len(given)}."
            )
        state |= dict(zip(mine, given, strict=True))
    if left:
        raise ModelFileError(f"model: expected no weights beside the network's in {path.name}, got {next(iter(left))}.")
    try:
        net.load_state_dict(state, assign=True)
    except RuntimeError as error:
        told = " ".join(str(error).split())[:200]
        raise ModelFileError(f"model: {path.name} holds other weights than its network has ({told}).") from error
    if not all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point()):
        raise ModelFileError(f"model: {path.name} is damaged: some of its weights are not numbers.")


def _place(name: str) -> tuple[int, int]:
    """Where a weight of a residual block stands in ours; others stay in their order."""
    found = re.search(r"\.res_module\.(\d{1,3})\.(c0|c1|bn1|c2|bn2)\.", name)
    return (int(found[1]), _OF_RESIDUAL_BLOCKS.index(found[2])) if found else (0, 0)


def _whole(content: dict[str, Any], name: str, path: Path) -> int:
    value = content.get(name)
    if type(value) is not int or not 1 <= value <= 256:
        raise ModelFileError(
            f"model: expected a whole number of 1 to 256 as {name} of {path.name}, got {_told(value)}."
        )
    return value


def _layers(content: dict[str, Any], path: Path) -> list[int]:
    value = content.get("layers")
    if not isinstance(value, list) or len(value) > 8 or any(type(n) is not int or not 1 <= n <= 64 for n in value):
        raise ModelFileError(f"model: expected numbers of layers in {path.name}, got {_told(value)}.")
    return value


def _told(value: Any) -> str:
    return f"{value!r:.60}" if isinstance(value, str | int | float | list | None) else type(value).__name__
