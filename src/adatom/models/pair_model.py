"""What the estimators between patches and spectra share: members, blending with baselines, error bars, their file."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn

from adatom.errors import ArgumentError, ModelFileError
from adatom.models.blending import Baselines, agree, blended
from adatom.models.estimator import Estimator
from adatom.models.left_out import train_member
from adatom.models.model_file import read_model_file, write_model_file
from adatom.models.pair_scale import PatchScale, SpectrumScale
from adatom.models.student import Student
from adatom.nets import PAIR_ARCHITECTURES, build_net
from adatom.nets.engine import multiplies_bfloat16
from adatom.prepare.spatial_folds import Fold, blocked_folds
from adatom.prepare.spectrum_pairs import Border, Pairs, SpectralAxis, pair_up
from adatom.train import Record, TrainingSettings
from adatom.train.losses import mean_and_variance_loss
from adatom.train.orientations import turned_by_chance

Array = NDArray[np.float64]
Opinion = Literal["blend", "whole", "network"]

NETS = ("im2spec", "ved")
TRAINING = {
    "steps": 300,
    "batch_size": 64,
    "learning_rate": 0.001,
    "average": "ema",
    "ema_decay": 0.98,
    "validate_every": 25,
    "patience": 4,
}
_DIVERGENCE_SHARE = 0.001  # of the loss, a point of a spectrum
# A student predicts where it gives back so much of the variance of what all say together.
_FAITHFUL = 0.97
_STUDENT_STEPS = 2500  # at most; for short trainings so many times their own
_STUDENT_SHARE = 10
_CHUNK = 96  # patches that a network sees at once; more than the processor's cache holds take longer


@dataclass(frozen=True)
class HeldOut:
    """What was said of each block of the scan by those who had not seen it.

    Parameters
    ----------
    folds : the blocks.
    said : ``blend`` (with weights that the other blocks chose), ``network`` (one member), ``ridge``, ``trees`` to
        values (pair, ...); NaN for pairs that were never held out.
    std : standard deviations (pair, ...) of the blend, or of the network where nothing is blended.
    """

    folds: list[Fold]
    said: dict[str, Array]
    std: Array

    @property
    def model(self) -> Array:
        """What the model itself said."""
        return self.said.get("blend", self.said["network"])


class PairModel(Estimator):
    """An ensemble of networks between patches and spectra, blended with two baselines.

    Each member leaves out one block of the scan, by which its training stops; what it says of that block sets the
    weights of the blend and the width of the error bars. So no number rests on spectra that helped to make it.

    Parameters
    ----------
    net : ``"im2spec"`` or ``"ved"``.
    latent : numbers in the bottleneck; by default 10 for im2spec, 2 for ved.
    width, filters : filters of each convolution of encoder and decoder.
    invariance : ``"rotation"`` for a ved that sees no direction in patches, else ``"none"``.
    n_members : networks, and blocks of the scan.
    blend : whether ridge regression and trees have a say beside the networks, each as much as helps on blocks that
        were left out.
    distil : whether one small network learns to say what all of them say, and predicts in their place where it does so
        closely: a hundred times as fast (`adatom.models.student`).
    patch_size_nm, patch_size_px : side of a patch, see `adatom.prepare.spectrum_pairs.pair_up`.
    border : what becomes of patches over the border, ``"leave out"`` or ``"mirror"``.
    clean : leave out broken spectra and replace spikes.
    augmentation : show the networks patches turned by quarters and mirrored too, which takes a sample that has no
        preferred direction, and patches that have a pixel in their middle: square, with an odd number of pixels. By
        default where patches are so.
    training : settings that differ from `TRAINING`.
    weight_decay : of AdamW.
    random_state : seed of weights, batches and trees.
    device : ``"auto"`` or what torch calls a device, see `adatom.nets.device.choose_device`.
    """

    _forwards: ClassVar[bool]

    def __init__(
        self,
        *,
        net: str = "im2spec",
        latent: int | None = None,
        width: int = 32,
        filters: int = 64,
        invariance: Literal["none", "rotation"] = "none",
        n_members: int = 5,
        blend: bool = True,
        distil: bool = True,
        patch_size_nm: float | None = None,
        patch_size_px: int | None = None,
        border: Border = "leave out",
        clean: bool = True,
        augmentation: bool | None = None,
        training: TrainingSettings | dict[str, Any] | None = None,
        weight_decay: float = 0.01,
        random_state: int | None = None,
        device: str = "auto",
    ) -> None:
        self.net = net
        self.latent = latent
        self.width = width
        self.filters = filters
        self.invariance = invariance
        self.n_members = n_members
        self.blend = blend
        self.distil = distil
        self.patch_size_nm = patch_size_nm
        self.patch_size_px = patch_size_px
        self.border = border
        self.clean = clean
        self.augmentation = augmentation  # type: ignore[assignment]  # here it is a plain choice
        self.training = training
        self.weight_decay = weight_decay
        self.random_state = random_state
        self.device = device

    # ---------------------------------------------------------------- learning

    def pair(
        self, image: xr.DataArray | Sequence[xr.DataArray], spectra: xr.DataArray | Sequence[xr.DataArray]
    ) -> Pairs:
        """The pairs that `fit` learns from, see `adatom.prepare.spectrum_pairs.pair_up`."""
        return pair_up(
            image,
            spectra,
            patch_size_nm=self.patch_size_nm,
            patch_size_px=self.patch_size_px,
            border=self.border,
            clean=self.clean,
        )

    def fit_pairs(self, pairs: Pairs, *, on_record: Callable[[Record], None] | None = None) -> Self:
        """Train from scratch on pairs; `on_record` is called after each step, with the number of the ``member``.

        Raises
        ------
        ArgumentError : if there are too few pairs for `n_members` blocks, or an argument makes no sense.
        """
        self._check_arguments()
        settings = self._settings_over(TRAINING)
        folds = blocked_folds(pairs, max(2, self.n_members))[: self.n_members]
        self.seed_ = settings.seed
        self.axis_, self.pixel_nm_ = pairs.axis, pairs.pixel_nm
        self.patch_scale_ = PatchScale.of(pairs.patches)
        self.spectrum_scale_ = SpectrumScale.of(pairs.spectra)
        self.n_pairs_ = len(pairs)
        patches, spectra = self.patch_scale_.scaled(pairs.patches), self.spectrum_scale_.scaled(pairs.spectra)
        known, wanted = (patches, spectra) if self._forwards else (spectra, patches)
        self._symmetric = self._is_symmetric(pairs.patch_px)
        self.architecture_ = self._architecture(pairs)
        inputs, targets = _tensor(known, self._forwards), torch.from_numpy(wanted).float()
        members: list[nn.Module] = []
        self.history_: list[Record] = []
        held_out = np.full((len(pairs), *wanted.shape[1:]), np.nan)
        log_variance = held_out.copy()
        for number, fold in enumerate(folds):
            member, history = train_member(
                lambda: _build(self.architecture_),
                number,
                inputs,
                targets,
                fold.train,
                [fold.test],
                settings,
                symmetric=self._symmetric,
                loss_of=_loss,
                judge=_judge,
                weight_decay=self.weight_decay,
                device=self._torch_device(),
                on_record=on_record,
            )
            members.append(member)
            self.history_ += history
            held_out[fold.test], log_variance[fold.test] = self._run(member, known[fold.test])
        self.net_: Any = nn.ModuleList(members).eval()
        self._settle(known, wanted, folds, held_out, log_variance)
        self.student_: Student | None = None
        if self.distil:
            self._teach(known, settings)
        return self

    def _check_arguments(self) -> None:
        if self.net not in NETS:
            raise ArgumentError(f"net: expected one of {', '.join(NETS)}, got {self.net!r}.")
        if not isinstance(self.n_members, int) or self.n_members < 1:
            raise ArgumentError(f"n_members: expected a whole number of at least 1, got {self.n_members!r}.")
        if self.invariance != "none" and (self.net != "ved" or not self._forwards):
            raise ArgumentError(
                f"invariance: expected 'none' with net {self.net!r}, got {self.invariance!r}. "
                "Only an ImageToSpectrum with net='ved' can be blind to rotations."
            )

    def _is_symmetric(self, sides: tuple[int, int]) -> bool:
        """Whether patches are shown turned and mirrored."""
        has_middle = sides[0] == sides[1] and sides[0] % 2 == 1
        if self.augmentation and not has_middle:
            raise ArgumentError(
                f"augmentation: expected square patches with an odd number of pixels, got {sides[0]} x {sides[1]} px: "
                "turned, such a patch has another pixel in its middle."
            )
        return self._forwards and has_middle and self.augmentation is not False

    def _architecture(self, pairs: Pairs) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "channels": pairs.patches.shape[1],
            "patch": list(pairs.patch_px),
            "spectra": pairs.spectra.shape[1],
            "length": pairs.spectra.shape[2],
            "latent": self.latent if self.latent is not None else {"im2spec": 10, "ved": 2}[str(self.net)],
            "width": self.width,
            "filters": self.filters,
        }
        if self.invariance != "none":
            arguments["invariance"] = self.invariance
        return {"name": self.net if self._forwards else f"{self.net}_reversed", "arguments": arguments}

    def _settle(self, known: Array, wanted: Array, folds: list[Fold], held_out: Array, log_variance: Array) -> None:
        """Weights of the blend and error bars, from what was held out; the baselines again, on everything."""
        n = len(known)
        flat_known, flat_wanted = known.reshape(n, -1), wanted.reshape(n, -1)
        opinions = {"network": held_out.reshape(n, -1)}
        self.baselines_: Baselines | None = None
        if self.blend:
            opinions |= {name: np.full(flat_wanted.shape, np.nan) for name in ("ridge", "trees")}
            for fold in folds:
                learned = Baselines.learned(flat_known[fold.train], flat_wanted[fold.train], seed=self.seed_)
                opinions["ridge"][fold.test] = learned.ridge(flat_known[fold.test])
                opinions["trees"][fold.test] = learned.forest(flat_known[fold.test])
            self.baselines_ = Baselines.learned(flat_known, flat_wanted, seed=self.seed_)
        stated = np.exp(0.5 * log_variance.reshape(n, -1))
        every = np.concatenate([fold.test for fold in folds])
        self.blend_, self.std_factor_ = agree(opinions, flat_wanted, stated, every)
        blend, std = np.full(flat_wanted.shape, np.nan), np.full(flat_wanted.shape, np.nan)
        for fold in folds:  # judged by weights and error bars of the other blocks
            others = every if len(folds) == 1 else np.setdiff1d(every, fold.test)
            weights, factor = agree(opinions, flat_wanted, stated, others)
            blend[fold.test] = blended({name: each[fold.test] for name, each in opinions.items()}, weights)
            std[fold.test] = stated[fold.test] * factor
        told = {"blend": blend, **opinions} if self.blend else opinions
        self.held_out_ = HeldOut(
            folds,
            {name: self._wanted_back(each.reshape(wanted.shape)) for name, each in told.items()},
            self._wanted_std_back(blend.reshape(wanted.shape), std.reshape(wanted.shape)),
        )
        true = flat_wanted[every]
        variance = np.mean((true - true.mean(axis=0)) ** 2)
        self.figures_ = {
            f"val_r2_{name}": round(1 - float(np.mean((true - each[every]) ** 2) / variance), 4)
            for name, each in told.items()
        }
        last = {each["member"]: each["seconds"] for each in self.history_}
        self.figures_["training_seconds"] = round(sum(last.values()), 1)

    def _teach(self, known: Array, settings: TrainingSettings) -> None:
        """A student of all, kept where it is faithful."""

        def teach(inputs: Array) -> tuple[Array, Array]:
            values, std = self._say(inputs, "whole")
            return values.reshape(len(inputs), -1), std.reshape(len(inputs), -1)

        def turn(inputs: Array, rng: np.random.Generator) -> Array:
            if not self._symmetric:
                return inputs
            turned: Array = turned_by_chance(torch.from_numpy(inputs), rng).numpy()
            return turned

        student, faithful = Student.taught(
            known,
            teach,
            turn,
            steps=min(_STUDENT_STEPS, _STUDENT_SHARE * settings.steps),
            seed=self.seed_,
            device=self._torch_device(),
        )
        self.figures_["student_gives_back"] = round(faithful, 4)
        if faithful >= _FAITHFUL:
            self.student_ = student

    # ---------------------------------------------------------------- predicting

    def _say(self, known: Array, opinion: Opinion = "blend") -> tuple[Array, Array]:
        """Scaled values and standard deviations of scaled input."""
        shape = (len(known), *self._shape_out)
        if opinion == "blend" and self.student_ is not None:
            values, std = self.student_.predict(known.reshape(len(known), -1))
            return values.reshape(shape), std.reshape(shape)
        seen = [self._run(member, known) for member in self.net_]
        means = np.stack([mean for mean, _ in seen])
        variance = np.stack([np.exp(each) for _, each in seen]).mean(axis=0) + means.var(axis=0)
        flat = known.reshape(len(known), -1)
        total = means.mean(axis=0).reshape(len(known), -1)
        if opinion != "network":
            total = self.blend_["network"] * total
            if self.baselines_ is not None and self.blend_["ridge"]:
                total = total + self.blend_["ridge"] * self.baselines_.ridge(flat)
            if self.baselines_ is not None and self.blend_["trees"]:
                total = total + self.blend_["trees"] * self.baselines_.forest(flat)
        std = np.sqrt(variance).reshape(len(known), -1) * self.std_factor_
        return total.reshape(shape), std.reshape(shape)

    @torch.inference_mode()
    def _run(self, member: nn.Module, known: Array) -> tuple[Array, Array]:
        """Means and logarithms of the variances that one network gives."""
        member.to(device := self._torch_device())
        inputs = _tensor(known, self._forwards)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=multiplies_bfloat16(device)):
            pieces = [member(piece.to(device)).float().cpu() for piece in inputs.split(_CHUNK)]
        if not pieces:
            empty = np.zeros((0, *self._shape_out))
            return empty, empty
        mean, log_variance = torch.cat(pieces).double().chunk(2, dim=1)
        return mean.numpy(), log_variance.clamp(-10, 10).numpy()

    @torch.inference_mode()
    def _codes(self, known: Array) -> Array:
        """Bottleneck (n, latent) of the first member: those of others have axes of their own."""
        member: Any = self.net_[0]
        member.to(device := self._torch_device())
        pieces = [member.encode(piece.to(device)).cpu() for piece in _tensor(known, self._forwards).split(_CHUNK)]
        return torch.cat(pieces).double().numpy()

    @torch.inference_mode()
    def _decoded(self, codes: Array) -> Array:
        """Scaled values that the first member decodes."""
        member: Any = self.net_[0]
        member.to(device := self._torch_device())
        decoded: Tensor = member.decode(torch.from_numpy(codes).float().to(device)).cpu().double()
        return decoded.chunk(2, dim=1)[0].numpy()

    @property
    def latent_(self) -> int:
        """Numbers in the bottleneck."""
        return int(self.architecture_["arguments"]["latent"])

    @property
    def patch_px_(self) -> tuple[int, int]:
        """(y, x) sides of a patch [px]."""
        y, x = self.architecture_["arguments"]["patch"]
        return int(y), int(x)

    @abstractmethod
    def _wanted_back(self, scaled: Array) -> Array:
        """What the model gives, in its own unit."""

    @abstractmethod
    def _wanted_std_back(self, scaled: Array, std: Array) -> Array:
        """Standard deviations in the unit of what the model gives, at scaled values."""

    @property
    @abstractmethod
    def _shape_out(self) -> tuple[int, ...]:
        """Shape of one prediction."""

    # ---------------------------------------------------------------- keeping

    def header(self) -> dict[str, Any]:
        """What the model file says about the model, JSON-serialisable."""
        return {
            **self._made_by(),
            "name": type(self).__name__.lower(),
            "description": "",
            "architecture": self.architecture_,
            "n_members": len(self.net_),
            "axis": {"name": self.axis_.name, "units": self.axis_.units},
            "pixel_nm": None if self.pixel_nm_ is None else list(self.pixel_nm_),
            "border": self.border,
            "clean": self.clean,
            "blend": self.blend_,
            "student": self.student_ is not None,
            "n_pairs": self.n_pairs_,
            "classes": [],
            "recipe": None,
        }

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file: weights of all members, baselines as arrays, a header."""
        self._check_fitted("save")
        write_model_file(Path(path), self.header(), self.net_, self._beside())

    def _beside(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {
            "axis": self.axis_.values,
            **self.patch_scale_.arrays(),
            **self.spectrum_scale_.arrays(),
            "std_factor": self.std_factor_,
        }
        for part in (self.baselines_, self.student_):
            arrays |= {} if part is None else part.arrays()
        return arrays

    @classmethod
    def _from_file(cls, path: Path, header: dict[str, Any]) -> Self:
        def build(facts: Mapping[str, Any]) -> nn.Module:
            with torch.device("meta"):  # no memory, and nothing drawn from the user's generator
                return nn.ModuleList(_build(facts["architecture"]) for _ in range(facts["n_members"]))

        net, _, beside = read_model_file(path, header, build=build)
        arguments = header["architecture"]["arguments"]
        model = cls(
            net=header["architecture"]["name"].removesuffix("_reversed"),
            latent=arguments["latent"],
            width=arguments["width"],
            filters=arguments["filters"],
            invariance=arguments.get("invariance", "none"),
            n_members=header["n_members"],
            blend=header["blend"] != {"network": 1.0},
            distil=header["student"],
            border=header["border"],
            clean=header["clean"],
        )
        model.architecture_, model.net_ = header["architecture"], net
        model.figures_, model.seed_, model.history_ = header["figures"], header["seed"], []
        model.n_pairs_, model.blend_ = header["n_pairs"], header["blend"]
        model.pixel_nm_ = None if header["pixel_nm"] is None else (header["pixel_nm"][0], header["pixel_nm"][1])
        model._symmetric = False
        try:
            model._take(header, beside)
        except KeyError as error:
            raise ModelFileError(f"model: {path.name} is damaged: it lacks {error}.") from error
        except ModelFileError as error:
            raise ModelFileError(f"model: {path.name} is damaged ({error}).") from error
        return model

    def _take(self, header: dict[str, Any], beside: Mapping[str, Array]) -> None:
        arguments = header["architecture"]["arguments"]
        channels, spectra, length = arguments["channels"], arguments["spectra"], arguments["length"]
        sizes = (channels * int(np.prod(arguments["patch"])), spectra * length)
        n_in, n_out = sizes if self._forwards else sizes[::-1]
        expected: dict[str, tuple[int, ...]] = {"axis": (length,), "std_factor": (n_out,)}
        expected |= PatchScale.shapes(channels) | SpectrumScale.shapes(spectra, length)
        has_baselines = set(self.blend_) != {"network"}
        if has_baselines:
            expected |= Baselines.shapes(beside, n_in, n_out)
        if header["student"]:
            expected |= Student.shapes(n_in, n_out)
        for name, shape in expected.items():
            if beside[name].shape != shape:
                raise ModelFileError(f"{name} has shape {beside[name].shape}, not {shape}")
        self.axis_ = SpectralAxis(header["axis"]["name"], beside["axis"], header["axis"]["units"])
        self.patch_scale_, self.spectrum_scale_ = PatchScale.of_arrays(beside), SpectrumScale.of_arrays(beside)
        self.std_factor_ = beside["std_factor"]
        self.baselines_ = Baselines.of_arrays(beside, n_in) if has_baselines else None
        self.student_ = Student.of_arrays(beside) if header["student"] else None


def _build(architecture: Mapping[str, Any]) -> nn.Module:
    arguments = {**architecture["arguments"], "patch": tuple(architecture["arguments"]["patch"])}
    return build_net(architecture["name"], PAIR_ARCHITECTURES, **arguments)


def _tensor(known: Array, forwards: bool) -> Tensor:
    """Input of a network: patches (n, channels, y, x), or spectra (n, spectra, 1, length)."""
    tensor = torch.from_numpy(np.ascontiguousarray(known)).float()
    return tensor if forwards else tensor[:, :, None]


def _parts(given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Means, logarithms of the variances, and what a VED gives beside them."""
    n = wanted.shape[1]
    return given[:, :n], given[:, n : 2 * n].clamp(-10, 10), given[:, 2 * n :] if given.shape[1] > 2 * n else None


def _loss(given: Tensor, wanted: Tensor) -> Tensor:
    mean, log_variance, divergence = _parts(given, wanted)
    loss = mean_and_variance_loss(mean, log_variance, wanted)
    return loss if divergence is None else loss + _DIVERGENCE_SHARE * divergence.mean()


@torch.no_grad()
def _judge(net: nn.Module, validation: Any, loss_of: Any, device: Any) -> Record:
    """``val_loss``: the mean squared error on the block that was left out."""
    del loss_of
    net.eval()
    total, n = 0.0, 0
    for inputs, wanted in validation:
        mean = net(inputs.to(device)).float().cpu()[:, : wanted.shape[1]]
        total, n = total + float((wanted - mean).square().sum()), n + wanted.numel()
    return {"val_loss": total / n}
