"""What `Regressor` and `Classifier` share: images as a batch, members that each leave out a part of it, their file."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from adatom.errors import ArgumentError, ModelFileError, ShapeError
from adatom.models.estimator import Estimator
from adatom.models.left_out import train_member
from adatom.models.model_file import read_model_file, write_model_file
from adatom.models.network import Net
from adatom.nets import WHOLE_IMAGE_ARCHITECTURES, build_net, factory_of, in_float32, taken_arguments
from adatom.train import Batch, Loss, Record, TrainingSettings

Array = NDArray[np.float64]
Images = ArrayLike | xr.DataArray | Sequence[xr.DataArray]

TRAINING = {
    "steps": 400,
    "batch_size": 32,
    "learning_rate": 0.003,
    "average": "ema",
    "ema_decay": 0.95,
    "validate_every": 25,
    "patience": 6,
}
_CHUNK = 64  # images that a network sees at once
_KEPT = ("offset", "contrast", "features_mean", "features_spread")
_FEWEST = 4
_USUAL = 0.95  # of the images that a network had not seen, the share that is called familiar


class WholeImageModel(Estimator):
    """An ensemble of networks that say something of a whole image.

    Each member leaves out one part of the images, by which its training stops; what it says of them sets its
    probabilities and error bars right. So no figure rests on images that helped to make it.

    Parameters
    ----------
    net : name of an architecture in `adatom.nets`, or of a registered one; or a network of your own: a torch module, of
        which copies learn, or what makes one. It takes (n, channels, y, x) and gives (n, outputs): of a regressor two
        for each number, its value and the logarithm of its variance, of a classifier one for each class. What it has
        of an ``encode`` tells unfamiliar images; without, its outputs do.
    width, depth : of the network; a network of your own gets those that its maker takes.
    n_members : networks, and parts of the images.
    symmetric : whether what is asked does not depend on how an image is turned or mirrored: the networks are then shown
        all eight orientations. Images must be square for it.
    training : settings that differ from `TRAINING`.
    weight_decay : of AdamW.
    random_state : seed of weights, batches and parts.
    device : ``"auto"`` or what torch calls a device, see `adatom.nets.device.choose_device`.
    """

    _outputs: ClassVar[str]  # what it gives, in words

    def __init__(
        self,
        *,
        net: Net = "patch_net",
        width: int = 16,
        depth: int = 3,
        n_members: int = 5,
        symmetric: bool = True,
        training: TrainingSettings | dict[str, Any] | None = None,
        weight_decay: float = 0.01,
        random_state: int | None = None,
        device: str = "auto",
    ) -> None:
        self.net = net
        self.width: int = width
        self.depth: int = depth
        self.n_members = n_members
        self.symmetric = symmetric
        self.training = training
        self.weight_decay = weight_decay
        self.random_state = random_state
        self.device = device

    net: Net

    # ---------------------------------------------------------------- learning

    def _learn(
        self,
        images: Images,
        wanted: Tensor,
        n_outputs: int,
        parts: Callable[[int, int], list[tuple[NDArray[np.int64], NDArray[np.int64]]]],
        *,
        loss: Loss,
        on_record: Callable[[Record], None] | None,
    ) -> tuple[NDArray[np.int64], Array]:
        """Train all members. Returns which images were held out, and what was said of them (n, output).

        Parameters
        ----------
        wanted : (n, ...), what the loss compares with.
        parts : number of parts and a seed to (training, held out) of each.
        """
        values = _stacked(images)
        if len(values) != len(wanted):
            raise ShapeError(
                f"images: expected as many as there are {self._outputs}, got {len(values)} and {len(wanted)}."
            )
        if len(values) < max(_FEWEST, self.n_members):
            raise ArgumentError(f"images: expected {max(_FEWEST, self.n_members)} or more, got {len(values)}.")
        if not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values).all(axis=(1, 2, 3)))
            raise ArgumentError(
                f"images: expected finite values, got others in {len(bad)} images, first in number {bad[0]}."
            )
        if not isinstance(self.n_members, int) or self.n_members < 1:
            raise ArgumentError(f"n_members: expected a whole number of at least 1, got {self.n_members!r}.")
        if self.symmetric and values.shape[2] != values.shape[3]:
            raise ShapeError(
                f"images: expected square ones, as they are turned, got {values.shape[2]} x {values.shape[3]}. "
                "Cut squares, or set symmetric=False."
            )
        settings = self._settings_over(TRAINING)
        self.seed_ = settings.seed
        self.offset_ = np.median(values, axis=(0, 2, 3))
        low, high = np.quantile(values, [0.02, 0.98], axis=(0, 2, 3))
        self.contrast_ = np.where(high > low, high - low, 1.0)
        self.size_px_ = (values.shape[2], values.shape[3])
        self.architecture_: dict[str, Any] = {
            **_named(self.net),
            "arguments": {
                "channels": values.shape[1],
                "outputs": n_outputs,
                "width": self.width,
                "depth": self.depth,
            },
        }
        inputs = self._tensor(values)
        members: list[nn.Module] = []
        self.history_: list[Record] = []
        said = np.full((len(values), n_outputs), np.nan)
        folds = parts(max(2, self.n_members), settings.seed)[: self.n_members]
        for number, (training, held_out) in enumerate(folds):
            member, history = train_member(
                lambda: _build(self.architecture_, self.net, self.size_px_),
                number,
                inputs,
                wanted,
                training,
                [held_out[k : k + _CHUNK] for k in range(0, len(held_out), _CHUNK)],
                settings,
                symmetric=self.symmetric,
                loss_of=loss,
                judge=_judge,
                weight_decay=self.weight_decay,
                device=self._torch_device(),
                on_record=on_record,
            )
            members.append(member)
            self.history_ += history
            said[held_out] = _run(member, inputs[held_out], self._torch_device())
        self.net_: Any = nn.ModuleList(members).eval()
        self._know_features(inputs[folds[0][0]], inputs[folds[0][1]])
        every = np.sort(np.concatenate([held_out for _, held_out in folds]))
        return every, said[every]

    def _know_features(self, seen: Tensor, held_out: Tensor) -> None:
        """What the first network makes of images that it learned from, and how far from it others of the kind are."""
        features = self._features(seen)
        spread = features.std(axis=0)
        self.features_mean_, self.features_spread_ = features.mean(axis=0), np.where(spread > 0, spread, 1.0)
        self.usual_distance_ = max(float(np.quantile(self._distance(held_out), _USUAL)), 1e-6)

    # ---------------------------------------------------------------- predicting

    def _features(self, inputs: Tensor) -> Array:
        """Of images (n, feature), by the first network."""
        first: Any = self.net_[0]
        first.to(device := self._torch_device())
        return _run(getattr(first, "encode", first), inputs, device)

    def _distance(self, inputs: Tensor) -> Array:
        """Of images (n,) from those of the training: root mean square of their features' deviations."""
        deviation = (self._features(inputs) - self.features_mean_) / self.features_spread_
        return np.sqrt(np.mean(deviation**2, axis=1))

    def _see(self, images: Images) -> tuple[Array, Array]:
        """What each member says, (member, n, output), and how unfamiliar each image is (n,)."""
        self._check_fitted("predict")
        values = _stacked(images)
        channels, sizes = int(self.architecture_["arguments"]["channels"]), self.size_px_
        if values.shape[1:] != (channels, *sizes):
            raise ShapeError(
                f"images: expected {channels} channel{'s' if channels > 1 else ''} of {sizes[0]} x {sizes[1]} px, as "
                f"in the training, got {values.shape[1]} of {values.shape[2]} x {values.shape[3]} px."
            )
        if not np.isfinite(values).all():
            raise ArgumentError("images: expected finite values, got others.")
        inputs = self._tensor(values)
        device = self._torch_device()
        said = np.stack([_run(member.to(device), inputs, device) for member in self.net_])
        return said, self._distance(inputs) / self.usual_distance_

    def _tensor(self, values: Array) -> Tensor:
        scaled = (values - self.offset_[:, None, None]) / self.contrast_[:, None, None]
        return torch.from_numpy(scaled).float()

    # ---------------------------------------------------------------- keeping

    def header(self) -> dict[str, Any]:
        """What the model file says about the model, JSON-serialisable."""
        return {
            **self._made_by(),
            "name": type(self).__name__.lower(),
            "description": "",
            "architecture": self.architecture_,
            "n_members": len(self.net_),
            "size_px": list(self.size_px_),
            "symmetric": self.symmetric,
            "names": self._names(),
            "classes": [],
            "recipe": None,
        }

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file, its header included; nothing is pickled."""
        self._check_fitted("save")
        beside = {name: getattr(self, f"{name}_") for name in _KEPT}
        beside |= {"usual_distance": np.array([self.usual_distance_]), **self._beside()}
        write_model_file(Path(path), self.header(), self.net_, beside)

    @classmethod
    def _from_file(cls, path: Path, header: dict[str, Any], *, net: Net | None = None) -> Self:
        def build(facts: Mapping[str, Any]) -> nn.Module:
            architecture, size = facts["architecture"], (facts["size_px"][0], facts["size_px"][1])
            if architecture.get("own") and net is None:
                raise ModelFileError(
                    f"model: {path.name} holds the weights of a {architecture['name']} alone. Give the network that "
                    f"they belong to: adatom.load({path.name!r}, net=...)."
                )
            with torch.random.fork_rng(devices=[]):
                chosen: Net = architecture["name"] if net is None else net
                return nn.ModuleList(_build(architecture, chosen, size) for _ in range(facts["n_members"]))

        read, _, beside = read_model_file(path, header, build=build)
        arguments = header["architecture"]["arguments"]
        model = cls(
            net=header["architecture"]["name"] if net is None else net,
            width=arguments["width"],
            depth=arguments["depth"],
            n_members=header["n_members"],
            symmetric=header["symmetric"],
        )
        model.architecture_, model.net_ = header["architecture"], read
        model.figures_, model.seed_, model.history_ = header["figures"], header["seed"], []
        model.size_px_ = (header["size_px"][0], header["size_px"][1])
        try:
            for name in _KEPT:
                setattr(model, f"{name}_", beside[name])
            if not model.offset_.shape == model.contrast_.shape == (arguments["channels"],):
                raise ModelFileError("its scale has not one number for each channel")
            n_features = getattr(read[0], "n_features", len(model.features_mean_))  # type: ignore[index]
            if not model.features_mean_.shape == model.features_spread_.shape == (n_features,):
                raise ModelFileError("its usual features are not those of its network")
            model.usual_distance_ = float(beside["usual_distance"].item())
            model._take(header, beside)
        except KeyError as error:
            raise ModelFileError(f"model: {path.name} is damaged: it lacks {error}.") from error
        except ModelFileError as error:
            raise ModelFileError(f"model: {path.name} is damaged ({error}).") from error
        return model

    @abstractmethod
    def _names(self) -> list[str]:
        """Of what it tells apart, or of the numbers that it gives."""

    @abstractmethod
    def _beside(self) -> dict[str, Array]:
        """Arrays that the file holds beside the weights and the scale of the images."""

    @abstractmethod
    def _take(self, header: dict[str, Any], beside: Mapping[str, Array]) -> None:
        """Take back what `_names` and `_beside` gave; a ModelFileError says what is wrong with it."""


def _stacked(images: Images) -> Array:
    """Images (n, y, x) or (n, channel, y, x), or several of one size, as (n, channel, y, x)."""
    if isinstance(images, xr.DataArray):
        images = images.transpose(..., "y", "x").to_numpy()
    elif not isinstance(images, np.ndarray):
        images = [np.asarray(each) for each in images]  # type: ignore[union-attr]
        if len({each.shape for each in images}) > 1:
            sizes = sorted({each.shape for each in images})
            raise ShapeError(f"images: expected all of one size, got {sizes[0]} and {sizes[1]}.")
    values = np.asarray(images, dtype=float)
    if values.ndim == 3:
        values = values[:, None]
    if values.ndim != 4 or not values.size:
        raise ShapeError(f"images: expected (n, y, x) or (n, channel, y, x), got {values.shape}.")
    return values


@torch.inference_mode()
def _run(see: Callable[[Tensor], Tensor], inputs: Tensor, device: torch.device) -> Array:
    pieces = [see(piece.to(device)).cpu().double() for piece in inputs.split(_CHUNK)]
    return torch.cat(pieces).numpy()


@torch.no_grad()
def _judge(net: nn.Module, validation: Sequence[Batch], loss_of: Loss, device: torch.device | str) -> Record:
    """``val_loss``: the loss on the part that was left out."""
    net.eval()
    losses = [(float(loss_of(net(seen.to(device)), known.to(device))), len(seen)) for seen, known in validation]
    return {"val_loss": sum(loss * n for loss, n in losses) / sum(n for _, n in losses)}


def _named(net: Net) -> dict[str, Any]:
    """How a header names a network."""
    if isinstance(net, str):
        return {"name": net}
    kind = type(net) if isinstance(net, nn.Module) else net
    return {"name": f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', 'network')}", "own": True}


def _build(architecture: Mapping[str, Any], net: Net, size_px: tuple[int, int]) -> nn.Module:
    """A network that is ready to learn.

    Raises
    ------
    ArgumentError, ShapeError : if there is none, or it does not give what is needed.
    """
    arguments = architecture["arguments"]
    if isinstance(net, str) and net in WHOLE_IMAGE_ARCHITECTURES:
        return build_net(net, WHOLE_IMAGE_ARCHITECTURES, **arguments)
    if isinstance(net, nn.Module):
        made = copy.deepcopy(net)
    elif isinstance(net, str) or callable(net):
        factory = factory_of(net) if isinstance(net, str) else net
        made = in_float32(factory, taken_arguments(factory, arguments))
    else:
        raise ArgumentError(f"net: expected a name, a torch.nn.Module, or what makes one, got {net!r}.")
    wanted = (2, arguments["outputs"])
    try:
        with torch.inference_mode():
            given = made.eval()(torch.zeros(2, arguments["channels"], *size_px))
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise ShapeError(f"net: expected to take {(2, arguments['channels'], *size_px)}, it fails: {said}.") from error
    if not isinstance(given, Tensor) or tuple(given.shape) != wanted:
        got = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise ShapeError(f"net: expected to give {wanted}, got {got}.")
    return made.train()
