"""`VariationalAutoencoder`: a few numbers for each patch, apart from how it is turned, shifted and scaled."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn

from adatom.errors import ArgumentError, ModelFileError, ShapeError, UnitError
from adatom.models.estimator import Estimator
from adatom.models.latent_table import LatentTable, Numbers
from adatom.models.model_file import read_model_file, write_model_file
from adatom.models.patch_labels import chances, class_numbers, known_numbers
from adatom.models.patch_stack import Frame, PatchScale, PatchStack
from adatom.models.pose_refinement import Found, find_best
from adatom.nets import VAE_ARCHITECTURES, build_net
from adatom.nets.spatial_vae import INVARIANCES
from adatom.train import Batch, Record, TrainingSettings, train

Array = NDArray[np.float64]

TRAINING: dict[str, Any] = {
    "steps": 1000,
    "batch_size": 64,
    "learning_rate": 0.002,
    "average": "ema",
    "ema_decay": 0.98,
    "validate_every": 100,
    "patience": 15,
}
_HELD_OUT_SHARE = 0.1
_CHUNK = 64
_SUMMED_UP = 1000  # patches whose content says what the training covered, at most


class VariationalAutoencoder(Estimator):
    """Order parameters from patches, whatever their angle, place and size.

    Parameters
    ----------
    latent : numbers that say what a patch shows.
    invariances : what is told apart from it, any of ``"rotation"``, ``"translation"``, ``"scale"``; none for a plain
        autoencoder. Spectra can be shifted and scaled.
    classes : names of known classes, or their number; `fit` then takes labels, all or some of them known, and each
        class is drawn by itself.
    kinds : number of kinds that are to be found beside the latent numbers.
    numbers : whether the labels of `fit` are numbers, such as a concentration; column ``value`` tells them.
    angle_std : standard deviation of the angle that is expected [rad]; None where all angles are alike.
    shift_std : of the shift, as a share of the longer side.
    shift_std_nm : the same in the patches' unit of length, instead.
    scale_std : of the logarithm of the scale.
    beta : weight of the divergence from the prior, or ``(first, last, share)``: from the first to the last within a
        share of the training. A high weight at first lets all patches agree about what is upright before they are told
        apart.
    capacity : ``(nats, share, weight)``: the divergence is held at a value that rises to `nats` within a share of the
        training, with that weight on its departures, instead of `beta`.
    noise : standard deviation of a pixel in the unit of the patches; learned by default.
    width, filters : of the dense, and of the first convolutional layers.
    training : settings that differ from `TRAINING`.
    weight_decay : of AdamW.
    random_state : seed of weights, batches and draws.
    device : ``"auto"`` or what torch calls a device, see `adatom.nets.device.choose_device`.

    Attributes
    ----------
    net_ : the network.
    figures_ : ``val_elbo`` (lower bound of the log likelihood of a patch, without its constant) and others.
    history_ : records of the training.
    """

    def __init__(
        self,
        *,
        latent: int = 2,
        invariances: Sequence[str] = ("rotation", "translation"),
        classes: int | list[str] | None = None,
        kinds: int | None = None,
        numbers: bool = False,
        angle_std: float | None = None,
        shift_std: float = 0.05,
        shift_std_nm: float | None = None,
        scale_std: float = 0.1,
        beta: float | tuple[float, float, float] = (20.0, 1.0, 0.5),
        capacity: tuple[float, float, float] | None = None,
        noise: float | None = None,
        width: int = 128,
        filters: int = 16,
        training: TrainingSettings | dict[str, Any] | None = None,
        weight_decay: float = 0.0001,
        random_state: int | None = None,
        device: str = "auto",
    ) -> None:
        self.latent = latent
        self.invariances = invariances
        self.classes = classes  # type: ignore[assignment]
        self.kinds = kinds
        self.numbers = numbers
        self.angle_std = angle_std
        self.shift_std = shift_std
        self.shift_std_nm = shift_std_nm
        self.scale_std = scale_std
        self.beta = beta
        self.capacity = capacity
        self.noise = noise
        self.width = width
        self.filters = filters
        self.training = training
        self.weight_decay = weight_decay
        self.random_state = random_state
        self.device = device

    # ---------------------------------------------------------------- learning

    def fit(
        self,
        patches: Any,
        labels: Any = None,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        on_record: Callable[[Record], None] | None = None,
    ) -> Self:
        """Train from scratch.

        Parameters
        ----------
        patches : (sample, y, x) or (sample, y, x, channel), or spectra (sample, point); as arrays, or with coordinates
            in nm or in a spectrum's unit.
        labels : of models with `classes`: their names, or numbers from 0, -1 or "" where unknown; with `numbers`:
            numbers, NaN where unknown.
        checkpoint : file that holds the run's state, written at each validation.
        resume : go on from `checkpoint` if it is there.
        on_record : called after each step, see `adatom.train.train`.

        Raises
        ------
        ShapeError, UnitError : if these are no patches.
        ArgumentError : if there are fewer than two patches, some are not numbers, all are the same, labels are missing
            or unknown, or an argument makes no sense.
        """
        self._check_arguments()
        settings = self._settings_over(TRAINING)
        stack = PatchStack.of(patches)
        n = len(stack.values)
        if n < 2:
            raise ArgumentError(f"patches: expected at least 2, got {n}.")
        self._check_frame_of(stack)
        self.seed_, self.n_patches_ = settings.seed, n
        self.scale_ = PatchScale.of(stack.values)
        known = self._known(labels, n)
        self.table_ = LatentTable(
            stack.frame,
            tuple(self.invariances),
            self.latent,
            self._kind_names(),
            "class" if self.classes is not None else "kind",
            self._value_scale,
        )
        self.architecture_ = {"name": "spatial_vae", "arguments": self._net_arguments(stack)}
        images = torch.from_numpy(self.scale_.scaled(stack.values)).float()
        rng = np.random.default_rng([settings.seed, 2**20])
        order = rng.permutation(n)
        n_held_out = max(1, round(_HELD_OUT_SHARE * n)) if n >= 20 else 0
        train_on = torch.from_numpy(np.sort(order[n_held_out:]))
        judged_on = torch.from_numpy(np.sort(order[:n_held_out] if n_held_out else order))
        chance = chances((~torch.isnan(known) if self.numbers else known >= 0)[train_on])
        with torch.random.fork_rng(devices=[]):  # the user's generator stays where it is
            torch.default_generator.manual_seed(settings.seed)
            net: Any = _build(self._net_arguments(stack))
            if self.noise is not None:
                net.set_noise(torch.tensor(self.noise / self.scale_.spread))

            def prepared(chosen: Tensor, done: float, draws: np.random.Generator) -> Batch:
                noise = torch.from_numpy(draws.standard_normal((len(chosen), net.n_gauss))).float()
                weights = torch.tensor(self._weights(done), dtype=torch.float32)
                return (images[chosen], known[chosen], noise, weights[0]), weights

            def batch(step: int) -> Batch:
                draws = np.random.default_rng([settings.seed, step])
                size = min(settings.batch_size, len(train_on))
                chosen = draws.choice(len(train_on), size, replace=False, p=chance)
                return prepared(train_on[torch.from_numpy(chosen)], step / settings.steps, draws)

            draws = np.random.default_rng([settings.seed, 2**21])
            validation = [prepared(part, 1.0, draws) for part in judged_on.split(_CHUNK)]
            self.history_ = train(
                net,
                batch,
                validation,
                settings,
                device=self._torch_device(),
                loss_of=_loss,
                judge=_judge,
                weight_decay=self.weight_decay,
                checkpoint=None if checkpoint is None else Path(checkpoint),
                resume=resume,
                on_record=on_record,
            )
        self.net_ = net
        chosen = train_on[:: math.ceil(len(train_on) / _SUMMED_UP)]
        content = self._find(images[chosen], known[chosen], refine=False)["content"]
        self.quantiles_ = np.quantile(content, [0.025, 0.5, 0.975], axis=0)
        best = min((each for each in self.history_ if "val_loss" in each), key=lambda each: each["val_loss"])
        best = {**best, "val_elbo": best["val_elbo"] - self._unit(), "val_error": best["val_error"] + self._unit()}
        self.figures_ = {name: round(best[name], 4) for name in ("val_elbo", "val_divergence", "val_error")}
        self.figures_["training_seconds"] = round(self.history_[-1]["seconds"], 1)
        return self

    # ---------------------------------------------------------------- using

    def encode(self, patches: Any, labels: Any = None, *, refine: bool = True) -> pd.DataFrame:
        """Pose and content of patches, as a table (`adatom.models.latent_table`).

        Parameters
        ----------
        patches : as in `fit`, of the same size.
        labels : of a model with classes: those that are known, as in `fit`; the others are found.
        refine : whether the network's proposals are improved by steps on the patch itself.

        Raises
        ------
        ShapeError : if patches have another size than those of the training.
        UnitError : if they have another pixel size.
        ArgumentError : if some are not numbers, or labels are unknown.
        """
        self._check_fitted("encode")
        stack = PatchStack.of(patches)
        self._check_like(stack)
        known = self._known_kinds(labels, len(stack.values))
        images = torch.from_numpy(self.scale_.scaled(stack.values)).float()
        found = self._find(images, known, refine=refine)
        numbers = Numbers(
            found["angle"], found["shift"], found["log_scale"], found["content"], found["kind"].astype(np.int64)
        )
        return self.table_.table(numbers, found["std"], found["angle_probability"], found["kind_probability"])

    def _torch_device(self) -> torch.device:
        device = super()._torch_device()
        return (
            torch.device("cpu") if device.type == "mps" else device
        )  # which has no float64, in which poses are refined

    def _find(self, images: Tensor, known: Tensor, *, refine: bool) -> dict[str, Array]:
        """What `find_best` finds in scaled images (n, channel, y, x), by name."""
        device = self._torch_device()
        self.net_.to(device)
        parts: list[Found] = [
            find_best(self.net_, some.to(device), told.to(device), refine=refine)
            for some, told in zip(images.split(_CHUNK), known.split(_CHUNK), strict=True)
        ]
        return {
            name: torch.cat([getattr(part, name) for part in parts]).cpu().double().numpy()
            for name in Found.__dataclass_fields__
        }

    @torch.no_grad()
    def score(self, patches: Any, labels: Any = None) -> float:
        """Lower bound of the log likelihood of a patch (mean over patches) as the network alone reaches it, without the
        constant of the normal distribution, with draws that are the same each time; arguments as of `encode`.
        """
        self._check_fitted("score")
        stack = PatchStack.of(patches)
        self._check_like(stack)
        known = self._known_kinds(labels, len(stack.values))
        if self.table_.value_scale is not None:
            known = torch.full_like(known, torch.nan)
        images = torch.from_numpy(self.scale_.scaled(stack.values)).float()
        draws = np.random.default_rng(0).standard_normal((len(images), self.net_.n_gauss))
        noise, one = torch.from_numpy(draws).float(), torch.ones((), dtype=torch.float32)
        device = self._torch_device()
        net = self.net_.to(device)
        parts = zip(images.split(_CHUNK), known.split(_CHUNK), noise.split(_CHUNK), strict=True)
        terms = [net(tuple(each.to(device) for each in (*part, one))).cpu() for part in parts]
        error, divergence, _ = torch.cat(terms).double().mean(dim=0).tolist()
        return -error - divergence - self._unit()

    def _unit(self) -> float:
        """What the bound loses by being that of patches in their own unit and not of scaled ones."""
        rows, columns = self.table_.frame.shape
        return rows * columns * float(np.log(self.scale_.spread).sum())

    @torch.no_grad()
    def decode(self, table: pd.DataFrame) -> xr.DataArray:
        """Patches of what `encode` gives, in the form and units of those that the model learned from.

        Columns of the pose may be left out: the content is then drawn in the middle, upright as the model has it.

        Raises
        ------
        ArgumentError : if columns of the content are missing, or values are not numbers.
        """
        self._check_fitted("decode")
        numbers = self.table_.numbers(table)
        device = self._torch_device()
        net = self.net_.to(device)
        pieces = []
        for start in range(0, len(table), _CHUNK):
            part = slice(start, start + _CHUNK)
            content, angle, shift, log_scale = (
                torch.tensor(values[part], dtype=torch.float32, device=device)
                for values in (numbers.content, numbers.angle, numbers.shift, numbers.log_scale)
            )
            canvas = net.paint(content, torch.tensor(numbers.kind[part], device=device))
            pieces.append(net.place(canvas, angle, shift, log_scale).cpu().double().numpy())
        drawn = np.concatenate(pieces) if pieces else np.zeros((0, net.channels, *net.patch))
        return self.table_.frame.labelled(self.scale_.back(drawn))

    def manifold(self, n: int = 8, *, along: tuple[str, str] | None = None, kind: Any = None) -> xr.DataArray:
        """Patches decoded on a grid over two latent numbers, upright and in the middle: (row, column, y, x); the first
        of the two goes along rows (downwards). The grid covers 95 % of the training.

        Parameters
        ----------
        n : places along each.
        along : columns, by default the first two of the content; the others stand at their medians.
        kind : class or kind to draw; by default the first.
        """
        self._check_fitted("manifold")
        columns = self.table_.content_columns
        axes = tuple(along) if along is not None else tuple((columns * 2)[:2])
        unknown = [name for name in axes if name not in columns]
        if unknown or len(axes) != 2:
            raise ArgumentError(f"along: expected two of {', '.join(columns)}, got {along!r}.")
        low, middle, high = (dict(zip(columns, each, strict=True)) for each in self.quantiles_)
        table = pd.DataFrame(middle, index=range(n * n))
        places = [np.linspace(low[name], high[name], n) for name in axes]
        rows, across = np.meshgrid(*places, indexing="ij")
        for name, values in zip(axes[::-1], (across, rows), strict=True):
            table[name] = values.ravel()
        if self.table_.value_scale is not None:
            table["value"] = table["value"] * self.table_.value_scale[1] + self.table_.value_scale[0]
        if self.table_.kinds:
            table[self.table_.kind_column] = self.table_.kinds[0] if kind is None else kind
        drawn = self.decode(table)
        coords = {axes[0]: ("row", places[0])} | ({axes[1]: ("column", places[1])} if axes[1] != axes[0] else {})
        grid = xr.DataArray(
            drawn.values.reshape(n, n, *drawn.shape[1:]), dims=("row", "column", *drawn.dims[1:]), coords=coords
        )
        return grid.assign_coords({dim: drawn[dim] for dim in drawn.dims[1:] if dim in drawn.coords})

    # ---------------------------------------------------------------- the file

    def header(self) -> dict[str, Any]:
        """What the model file says of the model."""
        self._check_fitted("header")
        frame = self.table_.frame
        return {
            **self._made_by(),
            "architecture": self.architecture_,
            "frame": {**vars(frame), "shape": list(frame.shape)},
            "classes": list(self.table_.kinds),
            "kind_column": self.table_.kind_column,
            "value_scale": None if self.table_.value_scale is None else list(self.table_.value_scale),
            "n_patches": self.n_patches_,
            "recipe": None,
        }

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file."""
        self._check_fitted("save")
        beside = {"offset": self.scale_.offset, "spread": self.scale_.spread, "quantiles": self.quantiles_}
        write_model_file(Path(path), self.header(), self.net_, beside)

    @classmethod
    def _from_file(cls, path: Path, header: dict[str, Any]) -> Self:
        def build(facts: Mapping[str, Any]) -> nn.Module:
            with torch.device("meta"):  # no memory, and nothing drawn from the user's generator
                return _build(facts["architecture"]["arguments"])

        net, _, beside = read_model_file(path, header, build=build)
        arguments = header["architecture"]["arguments"]
        by_name = header["kind_column"] == "class"
        classes = header["classes"]
        model = cls(
            latent=arguments["latent"],
            invariances=tuple(arguments["invariances"]),
            classes=classes if by_name and classes else None,
            kinds=len(classes) if not by_name and classes else None,
            numbers=arguments["values"] == 1,
            angle_std=arguments["angle_std"],
            shift_std=arguments["shift_std"] / 2,
            scale_std=arguments["scale_std"],
            width=arguments["width"],
            filters=arguments["filters"],
        )
        channels = (arguments["channels"],)
        expected = {"offset": channels, "spread": channels, "quantiles": (3, arguments["values"] + arguments["latent"])}
        if {name: values.shape for name, values in beside.items()} != expected:
            raise ModelFileError(f"model: {path.name} is damaged: what stands beside its network is not of its size.")
        frame = Frame(**{**header["frame"], "shape": tuple(header["frame"]["shape"])})
        value_scale = header["value_scale"]
        model.table_ = LatentTable(
            frame,
            tuple(arguments["invariances"]),
            arguments["latent"],
            tuple(classes),
            header["kind_column"],
            None if value_scale is None else (value_scale[0], value_scale[1]),
        )
        model.scale_, model.quantiles_ = PatchScale(beside["offset"], beside["spread"]), beside["quantiles"]
        model.architecture_, model.net_ = header["architecture"], net
        model.figures_, model.seed_, model.n_patches_ = header["figures"], header["seed"], header["n_patches"]
        model.history_ = []
        return model

    # ---------------------------------------------------------------- arguments and labels

    def _check_arguments(self) -> None:
        if isinstance(self.invariances, str) or any(name not in INVARIANCES for name in self.invariances):
            raise ArgumentError(f"invariances: expected some of {', '.join(INVARIANCES)}, got {self.invariances!r}.")
        if not isinstance(self.latent, int) or self.latent < 1:
            raise ArgumentError(f"latent: expected a whole number of at least 1, got {self.latent!r}.")
        if self.classes is not None and self.kinds is not None:
            raise ArgumentError("kinds: expected none beside classes, got both. Classes with no label are kinds.")
        for name, value in (("classes", self.classes), ("kinds", self.kinds)):
            n = len(value) if isinstance(value, list) else value
            if n is not None and (not isinstance(n, int) or not 2 <= n <= 256):
                raise ArgumentError(f"{name}: expected 2 to 256, got {value!r}.")
        positive = ("angle_std", "shift_std", "shift_std_nm", "scale_std", "noise")
        for name in positive:
            value = getattr(self, name)
            if value is not None and not (np.isscalar(value) and 0 < float(value) < math.inf):  # type: ignore[arg-type]
                raise ArgumentError(f"{name}: expected a positive number, got {value!r}.")
        beta = self.beta if isinstance(self.beta, (tuple, list)) else (self.beta, self.beta, 1.0)
        if len(beta) != 3 or min(beta) <= 0 or beta[2] > 1:
            raise ArgumentError(f"beta: expected a positive number or (first, last, share), got {self.beta!r}.")
        if self.capacity is not None and (len(self.capacity) != 3 or min(self.capacity) <= 0 or self.capacity[1] > 1):
            raise ArgumentError(f"capacity: expected (nats, share, weight), all positive, got {self.capacity!r}.")

    def _check_frame_of(self, stack: PatchStack) -> None:
        rows, columns = stack.frame.shape
        if "rotation" in self.invariances and rows != columns:
            raise ShapeError(
                f"patches: expected square ones for rotations, got {rows} x {columns} px. "
                "Leave rotation out of the invariances."
            )
        if self.shift_std_nm is not None and stack.frame.units == "px":
            raise ArgumentError("shift_std_nm: expected patches with coordinates in nm, got pixels. Give shift_std.")

    def _net_arguments(self, stack: PatchStack) -> dict[str, Any]:
        shift_std = 2 * self.shift_std  # of half the side
        if self.shift_std_nm is not None:
            shift_std = self.shift_std_nm / stack.frame.half
        return {
            "channels": stack.frame.channels,
            "patch": list(stack.frame.shape),
            "latent": self.latent,
            "kinds": max(1, len(self._kind_names())),
            "values": int(self._value_scale is not None),
            "invariances": [name for name in INVARIANCES if name in self.invariances],
            "angle_std": None if self.angle_std is None else float(self.angle_std),
            "shift_std": float(shift_std),
            "scale_std": float(self.scale_std),
            "width": self.width,
            "filters": self.filters,
            "learns_noise": self.noise is None,
        }

    def _kind_names(self) -> tuple[str, ...]:
        if isinstance(self.classes, list):
            return tuple(str(name) for name in self.classes)
        n = self.classes if self.classes is not None else self.kinds
        return () if n is None else tuple(str(number) for number in range(n))

    def _weights(self, done: float) -> list[float]:
        """Weight of the divergence when a share of the training is done; the capacity and its weight, or -1 and 0."""
        if self.capacity is not None:
            nats, share, weight = self.capacity
            return [1.0, nats * min(1.0, done / share), weight]
        first, last, share = self.beta if isinstance(self.beta, (tuple, list)) else (self.beta, self.beta, 1.0)
        return [first * (last / first) ** min(1.0, done / share), -1.0, 0.0]

    def _known(self, labels: Any, n: int) -> Tensor:
        """Known classes (n,), -1 where unknown, or known numbers, standardised, NaN where unknown."""
        self._value_scale: tuple[float, float] | None = None
        if self.numbers:
            known, self._value_scale = known_numbers(labels, n)
            return known
        if self.classes is not None and labels is None:
            raise ArgumentError("labels: expected the class of each patch, -1 where unknown, got none.")
        if self.classes is None and labels is not None:
            raise ArgumentError("labels: expected none, got some. Say how many classes there are, or numbers=True.")
        return class_numbers(labels, n, self._kind_names())

    def _known_kinds(self, labels: Any, n: int) -> Tensor:
        if labels is not None and self.table_.kind_column != "class":
            raise ArgumentError("labels: expected none for a model without classes, got some.")
        return class_numbers(labels, n, self.table_.kinds)

    def _check_like(self, stack: PatchStack) -> None:
        frame, trained = stack.frame, self.table_.frame
        if frame.shape != trained.shape or frame.channels != trained.channels or bool(frame.axis) != bool(trained.axis):
            raise ShapeError(
                f"patches: expected {_size(trained)}, as in the training, got {_size(frame)}. Cut or resample them."
            )
        if not frame.agrees(trained):
            raise UnitError(
                f"patches: expected pixels of {trained.step:.4g} {trained.units}, as in the training, got "
                f"{frame.step:.4g} {frame.units}. Resample them."
            )


def _size(frame: Frame) -> str:
    pixels = f"{frame.shape[1]} points" if frame.axis else f"{frame.shape[0]} x {frame.shape[1]} px"
    return pixels if frame.channels == 1 else f"{pixels} x {frame.channels} channels"


def _build(arguments: Mapping[str, Any]) -> nn.Module:
    return build_net("spatial_vae", VAE_ARCHITECTURES, **arguments)


def _loss(given: Tensor, weights: Tensor) -> Tensor:
    """Of the terms (n, 3) that the network gives and the weight of the divergence, capacity and its weight."""
    error, divergence, misfit = given.mean(dim=0)
    beta, capacity, weight = weights
    told = beta * divergence if weight == 0 else weight * (divergence - capacity).abs()
    return error + told + misfit


@torch.no_grad()
def _judge(net: nn.Module, validation: Any, loss_of: Any, device: Any) -> Record:
    """``val_loss`` at the end of all schedules, and the two parts of the bound ``val_elbo``."""
    net.eval()
    terms = torch.cat([net(tuple(each.to(device) for each in inputs)).float().cpu() for inputs, _ in validation])
    error, divergence, _ = terms.mean(dim=0).tolist()
    return {
        "val_loss": float(loss_of(terms, validation[0][1])),
        "val_elbo": -error - divergence,
        "val_error": error,
        "val_divergence": divergence,
    }
