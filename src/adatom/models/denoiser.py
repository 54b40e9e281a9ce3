"""A model that takes the noise out of images, and says how far it trusts each pixel of what it leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from adatom.data import check_image
from adatom.errors import ArgumentError, ShapeError
from adatom.models.blind_spot import movie_shifts, noise_run_px
from adatom.models.estimator import Estimator
from adatom.models.image_model import exactly
from adatom.models.model_file import read_model_file, write_model_file
from adatom.models.network import Net, builder_of, make_network
from adatom.models.noise_draws import NoiseDraws
from adatom.models.noisy_pairs import (
    ALONG_THE_SCAN,
    HiddenPixels,
    NextFrames,
    PairSource,
    Prepared,
    SimulatedPairs,
    prepare,
)
from adatom.models.recipe import Recipe, load_recipe
from adatom.models.symmetry import Symmetry
from adatom.nets import build_net
from adatom.nets.denoising import DENOISING_ARCHITECTURES
from adatom.train import Record, TrainingSettings, train
from adatom.train.loop import evaluate_loss
from adatom.train.losses import weighted_square

Array = NDArray[np.float64]
DenoisingMethod = Literal["simulated", "blind_spot", "frames"]
METHODS: tuple[DenoisingMethod, ...] = ("simulated", "blind_spot", "frames")

# Of a training on the user's own image.
ON_AN_IMAGE: dict[str, Any] = {
    "steps": 400,
    "batch_size": 8,
    "learning_rate": 0.002,
    "validate_every": 50,
    "validation_images": 32,
    "ema_decay": 0.97,
}
_BACKGROUND_PX = 20.0
_PIECE_PX = 64
SMALLEST_SIDE = 16  # [px], of an image that can be learned from, or denoised
_N_DRAWS = 8
_N_CALIBRATION = 16
# A large image is denoised tile by tile; beyond so many pixels of the network's coarsest level nothing is seen.
_TILE_PX, _REACH = 512, 8


class Denoiser(Estimator):
    """Takes the noise out of images.

    Parameters
    ----------
    method : what it learns from. ``simulated``: images of a recipe, with noise and without. ``blind_spot``: your own
        images, of which single pixels are hidden and asked for. ``frames``: your own movie, where each frame is asked
        for the next. The last two need no clean image.
    net : by default ``denoising_unet`` of `adatom.nets.denoising`; or one of your own (registered, a module, or what
        makes one), that takes (n, 1, y, x) and gives it without noise.
    width, depth : of the network; by default 24 and 2.
    training : settings of the training; by default the recipe's, or some that suit an image. Their `loss` is not used:
        a denoiser learns by squared differences.
    random_state : seed of the weights and of the data; by default the recipe's.
    device : ``"auto"`` or what torch calls a device, see `adatom.nets.device.choose_device`.

    Attributes
    ----------
    net_ : the network.
    recipe_ : of the images that it learned from, or None.
    hidden_run_ : with ``blind_spot``, pixels hidden to either side along the scan line, as the noise demands.
    risk_factor_ : what the risk is multiplied by: 1, or with ``simulated`` what held-back images demand.
    figures_ : ``val_loss``; with ``simulated`` also ``gain_db``, how much nearer denoised images are to the clean ones.
    history_ : records of the training.
    """

    def __init__(
        self,
        *,
        method: DenoisingMethod = "simulated",
        net: Net | None = None,
        width: int | None = None,
        depth: int | None = None,
        training: TrainingSettings | dict[str, Any] | None = None,
        random_state: int | None = None,
        device: str = "auto",
    ) -> None:
        self.method = method
        self.net = net
        self.width = width
        self.depth = depth
        self.training = training
        self.random_state = random_state
        self.device = device

    # ---------------------------------------------------------------- learning

    def fit(
        self,
        data: Recipe | xr.DataArray | str | Path,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        on_record: Callable[[Record], None] | None = None,
    ) -> Self:
        """Train from scratch.

        Parameters
        ----------
        data : a recipe or its name (``simulated``); an image, or several of one size as frames (``blind_spot``); a
            movie (``frames``).
        checkpoint : file that holds the state of the training; written at each validation.
        resume : go on from `checkpoint` if it is there.
        on_record : called after each step with its record, see `adatom.train.train`.

        Raises
        ------
        ArgumentError, ShapeError : if `data` is not what the method learns from, too small, constant, or not a number.
        """
        if self.method not in METHODS:
            raise ArgumentError(f"method: expected one of {', '.join(METHODS)}, got {self.method!r}.")
        source, settings = self._open(data)
        self.seed_ = settings.seed
        arguments: dict[str, Any] = {
            "width": 24 if self.width is None else self.width,
            "depth": 2 if self.depth is None else self.depth,
        }
        with torch.random.fork_rng(devices=[]):  # weights from our seed; the user's generator stays where it is
            torch.default_generator.manual_seed(settings.seed)
            if self.net is None or (isinstance(self.net, str) and self.net in DENOISING_ARCHITECTURES):
                name, arguments = self.net or "denoising_unet", {**arguments, "residual": self.method != "blind_spot"}
                self.architecture_: dict[str, Any] = {"name": name, "arguments": arguments}
                self.net_ = build_net(name, DENOISING_ARCHITECTURES, **arguments)
            else:
                self.architecture_, self.net_ = make_network(
                    self.net, {"classes": 1, **arguments}, stand_for="one, the image without noise"
                )
        self.history_: list[Record] = train(
            self.net_,
            source.batch,
            source.validation(settings.validation_images),
            settings,
            device=self._torch_device(),
            loss_of=weighted_square,
            judge=evaluate_loss,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            resume=resume,
            on_record=on_record,
        )
        best = min(record["val_loss"] for record in self.history_ if "val_loss" in record)
        self.figures_ = {"val_loss": best}
        if self.method == "simulated":
            self.figures_["gain_db"] = float(-10 * np.log10(best))
        self.figures_["training_seconds"] = round(self.history_[-1]["seconds"], 1)
        if isinstance(source, SimulatedPairs):
            self.risk_factor_ = self._told_risk_factor(source.calibration(_N_CALIBRATION))
        return self

    def _told_risk_factor(self, pairs: list[tuple[Array, Array]]) -> float:
        """How many times larger errors are than their risk, from images whose truth is known."""
        ratios = []
        for noisy, clean in pairs:
            denoised, risk = self._denoise(noisy)
            known = np.isfinite(noisy)
            if known.any() and risk[known].any():
                ratios.append(np.mean((denoised - clean)[known] ** 2) / np.mean(risk[known] ** 2))
        return float(np.sqrt(np.median(ratios))) if ratios else 1.0

    def _open(self, data: Any) -> tuple[PairSource, TrainingSettings]:
        """Where batches come from, and how it is trained."""
        self.recipe_: Recipe | None = None
        self.hidden_run_ = 0
        self.risk_factor_ = 1.0
        self.preprocessing_ = {"background_px": _BACKGROUND_PX}
        if self.method == "simulated":
            if isinstance(data, str | Path):
                data = load_recipe(data)
            if not isinstance(data, Recipe):
                raise ArgumentError(f"data: expected a Recipe or the name of one, got {type(data).__name__}.")
            self.recipe_, settings = data, self._settings(data)
            return (
                SimulatedPairs(data, batch_size=settings.batch_size, seed=settings.seed, background_px=_BACKGROUND_PX),
                settings,
            )
        if not isinstance(data, xr.DataArray):
            raise ArgumentError(f"data: expected an image (adatom.read gives one), got {type(data).__name__}.")
        frames = self._frames(data)
        settings = self._settings_over(ON_AN_IMAGE)
        side = min(_PIECE_PX, *(n // 8 * 8 for n in frames[0].values.shape))
        common: dict[str, Any] = {"batch_size": settings.batch_size, "seed": settings.seed}
        if self.method == "blind_spot":
            self.hidden_run_ = max(noise_run_px(frame.values) for frame in frames[:8])
            return HiddenPixels(frames, run=self.hidden_run_, side=side, **common), settings
        if len(frames) < 2:
            raise ShapeError("data: expected at least 2 frames, got 1. Use method='blind_spot' for a still.")
        shifts = movie_shifts([frame.values for frame in frames], largest=min(frames[0].values.shape) - side)
        return NextFrames(frames, shifts, side=side, **common), settings

    def _frames(self, image: xr.DataArray) -> list[Prepared]:
        """All frames of an image, ready to be learned from."""
        frames = [self._prepare(values) for values in stills(image)]
        if not any(frame.contrast for frame in frames):
            raise ArgumentError("data: expected an image of some contrast, got a constant one.")
        return [frame for frame in frames if frame.contrast]

    def _prepare(self, values: Array) -> Prepared:
        return prepare(values, background_px=self.preprocessing_["background_px"])

    # ---------------------------------------------------------------- predicting

    def predict(self, image: xr.DataArray) -> xr.Dataset:
        """An image without its noise.

        Parameters
        ----------
        image : (y, x) or (frame, y, x), at least 16 pixels a side.

        Returns
        -------
        ``denoised``, and ``risk``, an estimate of its error as a standard deviation; both with the axes, coordinates,
        units and history of the image, NaN where nothing was measured.

        Notes
        -----
        The result is the mean over four views (mirrored, turned by 180 degrees). Its risk is what happens when noise
        like the image's own is laid over the result and taken out again: the root mean square of what has changed then.
        It holds what chance does and what is smoothed away of things that the result still shows, but knows nothing of
        things that were lost: for these see the residual, `adatom.analyse.residual_structure`. With ``simulated`` it is
        scaled by what is known of errors on simulated images; else it is rather too small, by up to a third or so.

        Raises
        ------
        ArgumentError, ShapeError : if the image is too small or holds no number.
        """
        self._check_fitted("predict")
        results = [self._denoise(values) for values in stills(check_image(image))]
        denoised, risk = (np.stack(each) for each in zip(*results, strict=True))
        return as_dataset(image, denoised, risk, by=f"{type(self).__name__} ({self.method})")

    def _denoise(self, values: Array) -> tuple[Array, Array]:
        """Result and risk, in the image's unit."""
        prepared = self._prepare(values)
        if not prepared.contrast:
            constant = prepared.back(prepared.values)
            return constant, np.where(prepared.known, 0.0, np.nan)
        denoised = self._view_all(prepared)
        draws = NoiseDraws(values, denoised, np.random.default_rng([self.seed_, 2]))
        views = ALONG_THE_SCAN
        risk = draws.risk(lambda noisy, k: self._view(self._prepare(noisy), views[k % len(views)]), _N_DRAWS)
        return denoised, self.risk_factor_ * risk

    def _view_all(self, prepared: Prepared) -> Array:
        seen: Array = np.mean([self._view(prepared, view) for view in ALONG_THE_SCAN], axis=0)
        return seen

    def _view(self, prepared: Prepared, view: Symmetry) -> Array:
        """What the network gives for an image turned in this way, turned back, in the image's unit."""
        if not prepared.contrast:
            return prepared.back(prepared.values)
        turned = np.ascontiguousarray(view.turned(prepared.values))
        return prepared.back(view.turned_back(self._run(turned)))

    def _run(self, values: Array) -> Array:
        """The network on (y, x), tile by tile where that is large."""
        multiple, run = int(self.net_.multiple), exactly(self.net_.to(self._torch_device()))  # type: ignore[arg-type]
        reach = _REACH * multiple
        rows, columns = values.shape
        # beyond its end an image is mirrored: at the edge of what a network sees it is at its worst
        margins = [(multiple, multiple + -n % multiple) for n in values.shape]
        padded = np.pad(values, margins, mode="symmetric").astype(np.float32)
        result = np.empty_like(padded)
        for top in range(0, padded.shape[0], _TILE_PX):
            for left in range(0, padded.shape[1], _TILE_PX):
                first = (max(0, top - reach), max(0, left - reach))
                tile = padded[first[0] : top + _TILE_PX + reach, first[1] : left + _TILE_PX + reach]
                seen = run(torch.from_numpy(np.ascontiguousarray(tile))[None, None])[0, 0].numpy()
                inner = seen[top - first[0] :, left - first[1] :][:_TILE_PX, :_TILE_PX]
                result[top : top + _TILE_PX, left : left + _TILE_PX] = inner
        return result[multiple : multiple + rows, multiple : multiple + columns].astype(float)

    # ---------------------------------------------------------------- keeping

    @property
    def name(self) -> str:
        """Of its recipe, or of its kind where it has none."""
        return self.recipe_.name if self.recipe_ else type(self).__name__.lower()

    def header(self) -> dict[str, Any]:
        """What the model file says about the model, JSON-serialisable."""
        return {
            **self._made_by(),
            "name": self.name,
            "description": self.recipe_.description if self.recipe_ else "",
            "architecture": self.architecture_,
            "classes": [],
            "method": self.method,
            "hidden_run_px": self.hidden_run_,
            "risk_factor": self.risk_factor_,
            "preprocessing": self.preprocessing_,
            "recipe": self.recipe_.to_yaml() if self.recipe_ else None,
        }

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write the model to one safetensors file, its header included; with `half`, in half precision."""
        self._check_fitted("save")
        write_model_file(Path(path), self.header(), self.net_, {}, half=half)

    @classmethod
    def _from_file(cls, path: Path, header: dict[str, Any], *, net: Net | None = None) -> Self:
        def build(told: Any) -> nn.Module:
            architecture = told["architecture"]
            if net is not None or architecture["name"] not in DENOISING_ARCHITECTURES:
                return builder_of(path, net)(told)
            with torch.device("meta"):  # no memory, and nothing drawn from the user's generator
                return build_net(architecture["name"], DENOISING_ARCHITECTURES, **architecture["arguments"])

        read, recipe, _ = read_model_file(path, header, build=build)
        arguments = header["architecture"]["arguments"]
        model = cls(method=header["method"], net=net, width=arguments.get("width"), depth=arguments.get("depth"))
        model.net_, model.recipe_, model.architecture_ = read, recipe, header["architecture"]
        model.preprocessing_, model.hidden_run_ = header["preprocessing"], header["hidden_run_px"]
        model.risk_factor_ = header["risk_factor"]
        model.figures_, model.seed_, model.history_ = header["figures"], header["seed"], []
        return model


def stills(image: xr.DataArray) -> list[Array]:
    """The frames (y, x) of an image that can be denoised."""
    image = check_image(image).transpose(..., "y", "x")
    if image.dims not in (("y", "x"), ("frame", "y", "x")):
        raise ShapeError(f"image: expected (y, x) or (frame, y, x), got {image.dims}. Choose a channel or a frame.")
    if min(image.shape[-2:]) < SMALLEST_SIDE:
        raise ShapeError(f"image: expected at least {SMALLEST_SIDE} pixels a side, got shape {image.shape[-2:]}.")
    values = image.to_numpy().astype(float)
    if not np.isfinite(values).any():
        raise ArgumentError("image: expected measured values, got none that is a number. Choose another channel.")
    return list(values.reshape(-1, *values.shape[-2:]))


def as_dataset(image: xr.DataArray, denoised: Array, risk: Array, *, by: str) -> xr.Dataset:
    """Results (frame, y, x) as images like the one they were made of."""
    like = image.transpose(..., "y", "x")
    dtype = like.dtype if like.dtype.kind == "f" else np.dtype(np.float32)
    history = list(image.attrs.get("history", []))

    def made(values: Array, what: str) -> xr.DataArray:
        made = like.copy(data=values.reshape(like.shape).astype(dtype))
        made.attrs = {**image.attrs, "history": [*history, f"{what} by {by}"]}
        return made

    return xr.Dataset(
        {"denoised": made(denoised, "denoised"), "risk": made(risk, "risk of denoising")},
        attrs={"history": [*history, f"denoised by {by}"]},
    )
