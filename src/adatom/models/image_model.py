"""What all estimators share that look at images at a working scale: training, preparation, scale, and their file."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from adatom.data import check_image, pixel_size_nm
from adatom.errors import ArgumentError, ShapeError
from adatom.locate import Peaks
from adatom.models.batches import Sample
from adatom.models.conformal import species_sets
from adatom.models.image_learner import ImageLearner
from adatom.models.judging import score_finds
from adatom.models.maps import Factor, Maps, maps_as_image
from adatom.models.model_file import read_model_file, write_model_file
from adatom.models.network import Net, builder_of
from adatom.models.recipe import Recipe
from adatom.nets.engine import Engine
from adatom.nets.onnx_net import OnnxNet
from adatom.nets.reach import measure_reach
from adatom.prepare import (
    image_periods,
    levelled,
    normalise_with_contrast,
    pad_to_multiple,
    positions_back,
    resample,
    scale_to_range,
)

Array = NDArray[np.float64]
Run = Callable[[torch.Tensor], torch.Tensor]  # images (n, 1, y, x) to logits (n, class, y, x)

# A found atom counts as right within this share of the typical spacing.
MATCH_SHARE = 0.35
# Images this many times larger than the file are never made, whatever scale was asked for.
_LARGEST_WORKING_SIDE = 16384


class ImageModel(ImageLearner):
    """A network that looks at images at one working scale: what the estimators of this room have in common.

    Parameters: see `adatom.models.estimator.Estimator`.

    Attributes
    ----------
    classes_ : names of the species.
    net_ : the network.
    scale_ : the working scale: ``pixel_size_nm``, ``spacing_px`` (typical distance of nearest neighbours),
        ``period_px`` (what `image_periods` measures on the training images), ``label_radius_px``, ``margin_px`` (how
        far the maps of `look` reach beyond an image), ``claims_px`` (pixels around an atom that a localizer sums),
        ``calibrated`` (whether nm mean something: False for a lattice of no certain size), ``regions`` (whether its
        classes are regions of the image, as domains are, and not kinds of atoms), ``as_is`` (whether images are
        taken pixel by pixel, as nobody knows the scale of its training).
    history_ : records of the training.
    figures_ : figures reached on the validation images.
    recipe_ : the recipe, or None.
    """

    _maps_type: ClassVar[type[Maps]] = Maps
    judges_dim_atoms: ClassVar[bool] = False  # whether its doubtful atoms are weighed against their equals
    _fast: tuple[object, Engine] | None = None
    origin_: str = ""  # where it comes from, if no recipe says
    exact_: bool = False  # whether it gives what its network gives to the last figures, at some cost of time

    def __getstate__(self) -> dict[str, Any]:
        """Without what predicts, which another process makes for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_fast"}

    # ---------------------------------------------------------------- judging

    def _score(self, net: nn.Module, validation: list[Sample]) -> dict[str, float]:
        """Atom-level figures of `net`: F1, species included, and the distance of the matched atoms; none of regions."""
        if self.is_of_regions:
            return {}
        return self._score_maps([self._see(exactly(net), sample.image) for sample in validation], validation, 0.5)

    def _score_maps(self, maps: list[Maps], validation: list[Sample], limit: float) -> dict[str, float]:
        found = [self.peaks(seen, min_probability=limit) for seen in maps]
        return score_finds(found, validation, tolerance=MATCH_SHARE * self.scale_["spacing_px"])

    # ---------------------------------------------------------------- predicting

    @abstractmethod
    def predict(self, image: xr.DataArray, *, factor: Factor | None = None) -> Any:
        """What the model says of an image; `factor` is pixels of the working scale a pixel of it, along (y, x)."""

    def predict_maps(self, image: xr.DataArray, *, factor: Factor | None = None) -> xr.DataArray:
        """Probability maps of an image.

        Parameters
        ----------
        image : (y, x) or (frame, y, x).
        factor : pixels of the working scale a pixel of the image, along (y, x); by default `working_factors` says.

        Returns
        -------
        (class, y, x), or (frame, class, y, x), at the working scale, with the background as the first class. The
        coordinates are in the image's unit, so a position in the maps is a position in the image.
        """
        image, factor = self._checked(image, factor)
        if image.ndim == 3:
            frames = [self.predict_maps(image.isel(frame=k), factor=factor) for k in range(image.sizes["frame"])]
            return xr.concat(frames, dim="frame").assign_coords(frame=image["frame"])
        return self.maps_as_image(self.look(image.to_numpy(), factor), image)

    def _checked(self, image: xr.DataArray, factor: Factor | None) -> tuple[xr.DataArray, Factor]:
        """(y, x) or (frame, y, x), and the scale to look at it."""
        self._check_fitted("predict")
        image = check_image(image).transpose(..., "y", "x")
        if image.ndim != 2 and not (image.ndim == 3 and image.dims[0] == "frame"):
            raise ShapeError(f"image: expected (y, x) or (frame, y, x), got {image.dims}.")
        still = image if image.ndim == 2 else image.isel(frame=0)
        return image, factor or self.working_factors(still)[0]

    def look(self, values: Array, factor: Factor, *, is_levelled: bool = False) -> Maps:
        """What the model sees in `values` (y, x) at a scale; `peaks` and `maps_as_image` know what it means.

        `is_levelled` says that `values` went through `adatom.prepare.levelled` already.
        """
        prepared, true_factor, contrast = self._prepare(values, factor, is_levelled=is_levelled)
        return self._see(self._engine(), prepared, true_factor, contrast)

    def look_at_prepared(self, prepared: Array, factor: Factor, contrast: float) -> Maps:
        """`look` at what is prepared already (y, x), by the contrast of a whole image of which it is a part."""
        return self._see(self._engine(), prepared, factor, contrast)

    @property
    def margin_px(self) -> int:
        """How far maps reach beyond what was looked at [working px]."""
        return self._margin

    @cached_property
    def reach_px(self) -> int:
        """How far a pixel of the image changes what the network says around it [working px]."""
        return measure_reach(exactly(self.net_), self._multiple)

    def glance(self, parts: list[Array], factors: list[float]) -> list[Maps]:
        """`look` at several small, levelled pieces at once, each at its own scale, quickly rather than exactly."""
        prepared = [self._prepare(part, (f, f), is_levelled=True) for part, f in zip(parts, factors, strict=True)]
        margin = self._margin
        shapes = [(image.shape[0] + 2 * margin, image.shape[1] + 2 * margin) for image, *_ in prepared]
        rows, columns = (max(shape[axis] for shape in shapes) for axis in (0, 1))
        images = np.zeros((len(parts), 1, rows, columns), dtype=np.float32)
        for number, (image, *_) in enumerate(prepared):
            images[number, 0, margin : margin + image.shape[0], margin : margin + image.shape[1]] = image
        maps = self._run(self._engine(), images)
        return [
            self._maps_type(maps[number, :, : shape[0], : shape[1]], factor, contrast)
            for number, (shape, (_, factor, contrast)) in enumerate(zip(shapes, prepared, strict=True))
        ]

    def inner(self, maps: Maps) -> Array:
        """Probabilities (class, y, x) of what `look` saw, background first, without the margin beyond the image."""
        margin, values = self._margin, self._class_maps(maps)
        return values[:, margin : values.shape[1] - margin, margin : values.shape[2] - margin]

    @abstractmethod
    def _class_maps(self, maps: Maps) -> Array:
        """Probabilities (class, y, x), background first, the margin included."""

    @abstractmethod
    def support(self, maps: Maps) -> float:
        """How well the model knows what it sees, 0 to 1, see `adatom.models.support`."""

    def unfamiliarity(self, values: Array, factor: float) -> float | None:
        """Probability that levelled `values` (y, x), at a scale, are unlike what the model was trained on, see
        `adatom.models.familiarity`; None for models that do not know.
        """
        return None

    def maps_as_image(self, seen: Maps, image: xr.DataArray, factor: Factor | None = None) -> xr.DataArray:
        """What `look` saw in `image`, with coordinates in the image's unit; `factor` where it saw something else than
        the image's own pixels.
        """
        return maps_as_image(self.inner(seen), self.classes_, factor or seen.factor, image)

    def working_factors(self, image: xr.DataArray) -> list[Factor]:
        """Scales at which this model could look at `image`, the likeliest first; at least one.

        The calibration comes first, where the image and the model have one; where both have none, the image as it is.
        Then the scales at which one of the image's own periods becomes the period of the training images. An image that
        shows no period is taken as it is.
        """
        self._check_fitted("working_factors")
        image = image.transpose(..., "y", "x")
        size = pixel_size_nm(image)
        aspect = 1.0 if size is None else size[0] / size[1]
        # what makes pixels square: finer rows, or coarser columns where the rows would be too many
        square = (aspect, 1.0) if aspect * image.sizes["y"] <= _LARGEST_WORKING_SIDE else (1.0, 1 / aspect)
        if self.takes_as_is:
            return [square]
        factors: list[Factor] = []
        if size is not None and self.scale_["calibrated"]:
            pixel = self.scale_["pixel_size_nm"]
            factors.append((size[0] / pixel, size[1] / pixel))
        if size is None and self.scale_["pixel_size_nm"] is None:
            factors.append(square)  # as the images that it was trained on, of which nobody knew the pixel size either
        values = _finite(image.to_numpy())
        values = values if abs(aspect - 1) < 0.01 else resample(values, square)[0]
        for period, _ in image_periods(values):
            factor = self.scale_["period_px"] / period
            factors.append((factor * square[0], factor * square[1]))
        longest = max(image.shape[-2:])
        return [f for f in factors if max(f) * longest <= _LARGEST_WORKING_SIDE] or [square]

    def peaks(self, maps: Maps, *, min_probability: float | None = None, min_distance_px: float | None = None) -> Peaks:
        """Atoms of what `look` saw, in pixels of the image, some of them a little outside; none closer than half the
        typical spacing, or `min_distance_px` pixels of the image; none less probable than `min_probability`, by default
        the model's own limit.
        """
        scale = float(np.sqrt(maps.factor[0] * maps.factor[1]))
        apart = 0.5 * self.scale_["spacing_px"] if min_distance_px is None else min_distance_px * scale
        found = self._find(maps, self.min_probability if min_probability is None else min_probability, apart)
        (factor_y, factor_x), margin = maps.factor, self._margin
        return replace(
            found,
            x=positions_back(found.x - margin, factor_x),
            y=positions_back(found.y - margin, factor_y),
            x_std=found.x_std / factor_x,
            y_std=found.y_std / factor_y,
            flux=found.flux * maps.contrast / (factor_x * factor_y),
        )

    @abstractmethod
    def _find(self, maps: Maps, min_probability: float, min_distance_px: float) -> Peaks:
        """Atoms in pixels of the maps; flux in units of the prepared image."""

    def training_samples(self, n: int) -> tuple[Array, NDArray[np.uint8]]:
        """The first `n` images (n, y, x) that the training showed the network, normalised, and their class maps."""
        return first_samples(self, n)

    def _prepare(self, values: Array, factor: Factor, *, is_levelled: bool = False) -> tuple[Array, Factor, float]:
        """Level, bring to the working scale, normalise; also the factor that whole pixels allowed, and the contrast."""
        settings = dict(self.preprocessing_)
        is_levelled |= not settings.pop("levelled", True)
        working, true_factor = resample(values if is_levelled else levelled(values), factor)
        if settings.pop("scaled", "contrast") == "range":
            prepared, contrast = scale_to_range(working)
        else:
            prepared, contrast = normalise_with_contrast(working, **settings)
        return prepared, true_factor, contrast

    def _prepare_working(self, values: Array) -> tuple[Array, float]:
        prepared, _, contrast = self._prepare(values, (1.0, 1.0))
        return prepared, contrast

    @property
    @abstractmethod
    def min_probability(self) -> float:
        """Atoms less probable than this are left out by default."""

    def prepared(self, values: Array, factor: float) -> Array:
        """What the network gets to see of levelled `values` (y, x) at a scale."""
        return self._prepare(values, (factor, factor), is_levelled=True)[0]

    @property
    def finds_scale(self) -> bool:
        """Whether the model was trained for any scale near its own, which is then to be found in the image."""
        return self.recipe_ is not None and self.recipe_.microscope.scale_from == "atoms"

    @property
    def takes_as_is(self) -> bool:
        """Whether it takes images pixel by pixel, as nobody knows the scale of its training."""
        return bool(self.scale_.get("as_is", False))

    @property
    def is_of_regions(self) -> bool:
        """Whether the classes are regions of the image, as domains are, and not kinds of atoms."""
        return bool(self.scale_.get("regions", False))

    @property
    def _margin(self) -> int:
        return int(self.scale_.get("margin_px", 0))  # models of before knew no margin

    @property
    def _multiple(self) -> int:
        return int(self.net_.multiple)  # type: ignore[arg-type]  # an attribute of every net, see adatom.nets

    def _see(self, run: Run, prepared: Array, factor: Factor = (1.0, 1.0), contrast: float = 1.0) -> Maps:
        """What is in a prepared image (y, x); without any contrast it is all background."""
        prepared = np.pad(prepared, self._margin)
        if not prepared.any():
            return self._maps_type(self._nothing(prepared.shape), factor, contrast)
        return self._maps_type(self._run(run, prepared.astype(np.float32)[None, None])[0], factor, contrast)

    @abstractmethod
    def _nothing(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Values of the maps (channel, y, x) where there is nothing."""

    def _run(self, run: Run, images: NDArray[np.float32]) -> NDArray[Any]:
        """Values of the maps (n, channel, y, x) of prepared images (n, 1, y, x) of any size."""
        rows, columns = images.shape[2:]
        raw = run(torch.from_numpy(pad_to_multiple(images, self._multiple)))
        return self._values(raw)[:, :, :rows, :columns]

    @abstractmethod
    def _values(self, raw: torch.Tensor) -> NDArray[Any]:
        """What a network gives (n, channel, y, x) to values of maps."""

    def _engine(self) -> Engine:
        """`net_` as it predicts fastest."""
        # torch counts the changes of each tensor: for weights that were changed in place there is a new one
        tensors = chain(self.net_.parameters(), self.net_.buffers())
        device = self._torch_device()
        state = (id(self.net_), device, *((id(value), value._version) for value in tensors))
        if self._fast is None or self._fast[0] != state:
            self._fast = (state, Engine(self.net_, device=device, exact=self.exact_))
        return self._fast[1]

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
            "description": self.recipe_.description if self.recipe_ else self.origin_,
            "architecture": self.architecture_,
            "classes": self.classes_,
            "scale": self.scale_,
            "preprocessing": self.preprocessing_,
            **({"exact": True} if self.exact_ else {}),
            "recipe": self.recipe_.to_yaml() if self.recipe_ else None,
        }

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write the model to one safetensors file, its header included; nothing is pickled.

        With `half` the weights are kept in half precision, in half the room; a model of ours loses nothing by it that
        can be measured.
        """
        self._check_fitted("save")
        if isinstance(self.net_, OnnxNet):
            raise ArgumentError("save: expected a model of torch, got one out of an ONNX file. Copy the file.")
        write_model_file(Path(path), self.header(), self.net_, self._beside(), half=half)

    def _beside(self) -> dict[str, Array]:
        """Arrays that the file holds beside the weights."""
        return {}

    @classmethod
    def _from_file(cls, path: Path, header: dict[str, Any], *, net: Net | None = None) -> Self:
        return cls._from_parts(header, *read_model_file(path, header, build=builder_of(path, net)))

    @classmethod
    def _from_parts(
        cls, header: dict[str, Any], net: nn.Module, recipe: Recipe | None, beside: dict[str, Array]
    ) -> Self:
        architecture, arguments = header["architecture"], header["architecture"]["arguments"]
        model = cls(
            classes=list(header["classes"]),
            net=None if architecture.get("own") else architecture["name"],
            width=arguments.get("width"),
            depth=arguments.get("depth"),
        )
        model.architecture_, model.classes_ = header["architecture"], header["classes"]
        model.scale_, model.preprocessing_ = header["scale"], header["preprocessing"]
        model.figures_, model.seed_, model.history_ = header["figures"], header["seed"], []
        model.recipe_, model.net_ = recipe, net
        model.origin_, model.exact_ = header["description"], header.get("exact", False)
        model._take(header, beside)
        return model

    def species_sets(self, peaks: Peaks, coverage: float) -> NDArray[Any]:
        """For each atom the names of the species that it may be, such as ``S2|V_S``: the right one is among them in the
        share `coverage` of all atoms like those of the training, see `adatom.models.conformal`.

        Raises
        ------
        ArgumentError : if the model does not know.
        """
        return species_sets(None, None, self.classes_, coverage)

    def uncalibrated(self) -> Self:
        """The same model, its numbers as the network gives them."""
        return self

    def _take(self, header: dict[str, Any], beside: dict[str, Array]) -> None:
        """Take from a model file what only this kind of model has; here nothing."""
        del header, beside


def first_samples(model: Any, n: int) -> tuple[Array, NDArray[np.uint8]]:
    """The first `n` images (n, y, x) of what a model learned from, and their class maps."""
    if not hasattr(model, "source_"):
        raise ArgumentError("training_samples: expected a model that was trained here, got one that was not.")
    samples = model.source_.samples(1)[:n]
    return np.stack([sample.image for sample in samples]), np.stack([sample.label for sample in samples])


def exactly(net: nn.Module) -> Run:
    """Logits of a network as it is, in float32."""

    @torch.inference_mode()
    def run(images: torch.Tensor) -> torch.Tensor:
        device = next(net.parameters()).device
        logits: torch.Tensor = net.eval()(images.to(device).contiguous(memory_format=torch.channels_last))
        return logits.cpu()

    return run


def _finite(values: Array) -> Array:
    """Numbers, and NaN where there is none."""
    values = np.asarray(values, dtype=float)
    return np.where(np.isfinite(values), values, np.nan)
