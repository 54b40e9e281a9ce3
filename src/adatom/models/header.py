"""What the header of a model file must hold, checked before any of it is used."""

import hashlib
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class _Made(_Part):
    """What every header says of the making of its model, see `adatom.models.estimator.Estimator`."""

    seed: int
    figures: dict[str, float]
    versions: dict[str, str]
    licence: str


_Small = Annotated[int, Field(ge=-4096, le=4096)]


class _NetworkArguments(_Part):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, bool | _Small | float | str | list[_Small]] = Field(init=False)

    classes: int = Field(ge=2, le=512)
    width: int | None = Field(default=None, ge=1, le=256)
    depth: int | None = Field(default=None, ge=1, le=8)


class _Architecture(_Part):
    name: str
    own: bool = False  # whether only its user has the network
    arguments: _NetworkArguments


class _Scale(_Part):
    pixel_size_nm: float | None = Field(gt=0)
    spacing_px: float = Field(gt=0)
    period_px: float = Field(gt=0)
    label_radius_px: float = Field(gt=0)
    margin_px: int = Field(default=0, ge=0, le=64)
    claims_px: int = Field(default=1, ge=1, le=4)
    calibrated: bool
    regions: bool = False
    as_is: bool = False


class _Preprocessing(_Part):
    background_px: float = Field(gt=0)
    clip: float = Field(gt=0)
    bend: float | None = Field(default=None, gt=0)
    levelled: bool = True


class _ToRange(_Part):
    scaled: Literal["range"]
    levelled: bool = False


class ModelHeader(_Made):
    """What every model says of itself; what a header says beyond it is left alone."""

    n_beside: ClassVar[int] = 0  # channels of the network that stand for no class

    name: str
    description: str
    architecture: _Architecture
    classes: list[str] = Field(min_length=1)
    scale: _Scale
    preprocessing: _Preprocessing | _ToRange
    exact: bool = False  # whether its products are never rounded to bfloat16
    recipe: str | None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.architecture.arguments.classes != len(self.classes) + 1 + self.n_beside:
            raise ValueError("the network has not one class for each name and one for the background")
        if self.scale.calibrated and self.scale.pixel_size_nm is None:
            raise ValueError("the scale is calibrated but has no pixel size")
        return self


class _Curve(_Part):
    model_config = ConfigDict(extra="forbid")

    low: float = Field(ge=0)
    high: float = Field(ge=0)
    offset: float


class _Calibration(_Part):
    model_config = ConfigDict(extra="forbid")

    atom: _Curve
    species: _Curve
    std_factor: float = Field(gt=0)


class _Conformal(_Part):
    model_config = ConfigDict(extra="forbid")

    n: int = Field(ge=1)
    scores: list[float] = Field(min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if any(later < earlier for earlier, later in pairwise(self.scores)):
            raise ValueError("the scores of its species sets are not in order")
        return self


class LocalizerHeader(ModelHeader):
    """Header of a `Localizer`."""

    n_beside: ClassVar[int] = 6

    calibration: _Calibration
    conformal: _Conformal | None = None


class EnsembleHeader(_Made):
    """Header of an `Ensemble`, which holds the headers of its members."""

    name: str
    description: str
    classes: list[str] = Field(min_length=1)
    recipe: str | None
    form: Literal["seeds", "trunk", "swag", "symmetry"]
    estimator: str
    members: list[dict[str, Any]] = Field(min_length=1, max_length=256)
    calibration: _Calibration
    calibrated: Literal["before", "after"]
    conformal: _Conformal | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.estimator not in MEMBER_HEADERS:
            raise ValueError(f"its members are of a kind that this Adatom does not know, {self.estimator!r}")
        members = [MEMBER_HEADERS[self.estimator].model_validate(member) for member in self.members]
        first = members[0]
        for other in members:
            if other.classes != self.classes:
                raise ValueError("its members have not the classes of the ensemble")
            if other.architecture != first.architecture or other.scale.margin_px != first.scale.margin_px:
                raise ValueError("its members are of different architectures")
        return self


class _DenoisingArguments(_Part):
    model_config = ConfigDict(extra="forbid")

    width: int = Field(ge=1, le=256)
    depth: int = Field(ge=1, le=6)
    residual: bool


class _OtherDenoisingArguments(_NetworkArguments):
    classes: int = Field(ge=1, le=1)  # channels of the result


class _DenoisingArchitecture(_Part):
    name: str
    arguments: _DenoisingArguments | _OtherDenoisingArguments
    own: bool = False  # whether only its user has the network


class _DenoisingPreprocessing(_Part):
    background_px: float = Field(gt=0)


class DenoiserHeader(_Made):
    """Header of a `Denoiser`."""

    name: str
    description: str
    architecture: _DenoisingArchitecture
    classes: list[str] = Field(max_length=0)
    method: Literal["simulated", "blind_spot", "frames"]
    hidden_run_px: int = Field(ge=0, le=64)
    risk_factor: float = Field(gt=0)
    preprocessing: _DenoisingPreprocessing
    recipe: str | None


class _PairArguments(_Part):
    model_config = ConfigDict(extra="forbid")

    channels: int = Field(ge=1, le=64)
    patch: list[Annotated[int, Field(ge=1, le=256)]] = Field(min_length=2, max_length=2)
    spectra: int = Field(ge=1, le=64)
    length: int = Field(ge=2, le=16384)
    latent: int = Field(ge=1, le=1024)
    width: int = Field(ge=1, le=512)
    filters: int = Field(ge=1, le=512)
    invariance: str = "none"


class _PairArchitecture(_Part):
    name: str
    arguments: _PairArguments


class _Axis(_Part):
    name: Literal["energy", "bias", "time"]
    units: str


class PairHeader(_Made):
    """Header of a model between patches and spectra."""

    architecture: _PairArchitecture
    n_members: int = Field(ge=1, le=64)
    axis: _Axis
    pixel_nm: list[Annotated[float, Field(gt=0)]] | None = Field(min_length=2, max_length=2)
    border: Literal["leave out", "mirror"]
    clean: bool
    blend: dict[Literal["network", "ridge", "trees"], float]
    student: bool
    n_pairs: int = Field(ge=0)
    recipe: None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if set(self.blend) not in ({"network"}, {"network", "ridge", "trees"}):
            raise ValueError("the blend is neither of the network alone nor of all opinions")
        return self


class _WholeImageArguments(_Part):
    model_config = ConfigDict(extra="forbid")

    channels: int = Field(ge=1, le=64)
    outputs: int = Field(ge=1, le=1024)
    width: int = Field(ge=1, le=256)
    depth: int = Field(ge=1, le=8)


class _WholeImageArchitecture(_Part):
    name: str
    own: bool = False
    arguments: _WholeImageArguments


class WholeImageHeader(_Made):
    """Header of a `Regressor` or a `Classifier`."""

    architecture: _WholeImageArchitecture
    n_members: int = Field(ge=1, le=64)
    size_px: list[Annotated[int, Field(ge=1, le=65536)]] = Field(min_length=2, max_length=2)
    symmetric: bool
    names: list[str] = Field(min_length=1)
    recipe: None


class _SpatialVAEArguments(_Part):
    model_config = ConfigDict(extra="forbid")

    channels: int = Field(ge=1, le=64)
    patch: list[Annotated[int, Field(ge=1, le=16384)]] = Field(min_length=2, max_length=2)
    latent: int = Field(ge=1, le=1024)
    kinds: int = Field(ge=1, le=256)
    values: int = Field(ge=0, le=1)
    invariances: list[Literal["rotation", "translation", "scale"]]
    angle_std: float | None = Field(gt=0)
    shift_std: float = Field(gt=0, le=4)
    scale_std: float = Field(gt=0, le=2)
    width: int = Field(ge=1, le=1024)
    filters: int = Field(ge=1, le=256)
    learns_noise: bool


class _SpatialVAEArchitecture(_Part):
    name: Literal["spatial_vae"]
    arguments: _SpatialVAEArguments


class _Frame(_Part):
    model_config = ConfigDict(extra="forbid")

    shape: list[int]
    channels: int
    units: str
    step: float = Field(gt=0)
    axis: str
    start: float
    has_channels: bool


class VAEHeader(_Made):
    """Header of a `VariationalAutoencoder`."""

    architecture: _SpatialVAEArchitecture
    frame: _Frame
    classes: list[str]
    kind_column: Literal["class", "kind"]
    value_scale: list[float] | None = Field(min_length=2, max_length=2)
    n_patches: int = Field(ge=0)
    recipe: None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        arguments = self.architecture.arguments
        if self.frame.shape != arguments.patch or self.frame.channels != arguments.channels:
            raise ValueError("its frame is not the input of its network")
        if len(self.classes) != (arguments.kinds if arguments.kinds > 1 else 0):
            raise ValueError("it has not one name for each kind")
        if (self.value_scale is not None) != (arguments.values == 1):
            raise ValueError("a scale of values belongs to a network that tells them")
        return self


class GaussianProcessHeader(_Made):
    """Header of a `GaussianProcessRegressor`."""

    kernel: str = Field(max_length=200)
    mean: Literal["zero", "constant", "linear"]
    noise: Literal["learned", "varying"]
    outputs: Literal["independent", "correlated"]
    isotropic: bool
    most_exact: int = Field(ge=1, le=100_000)
    names: list[str] = Field(min_length=1, max_length=1024)
    recipe: None


class DeepKernelHeader(_Made):
    """Header of a `DeepKernelRegressor`."""

    net: Literal["convolutional", "dense"] | None
    kernel: str = Field(max_length=200)
    chosen: Literal["plain Gaussian process", "deep kernel"]
    shape: list[Annotated[int, Field(ge=1, le=65536)]] = Field(min_length=1, max_length=3)
    n_features: int = Field(ge=1, le=1024)
    width: int = Field(ge=1, le=1024)
    n_members: int = Field(ge=1, le=64)
    names: list[str] = Field(min_length=1, max_length=1024)
    recipe: None


MEMBER_HEADERS: dict[str, type[ModelHeader]] = {"Segmenter": ModelHeader, "Localizer": LocalizerHeader}
HEADERS: dict[str, type[_Part]] = {
    **MEMBER_HEADERS,
    "Classifier": WholeImageHeader,
    "DeepKernelRegressor": DeepKernelHeader,
    "Denoiser": DenoiserHeader,
    "Ensemble": EnsembleHeader,
    "GaussianProcessRegressor": GaussianProcessHeader,
    "ImageToSpectrum": PairHeader,
    "Regressor": WholeImageHeader,
    "SpectrumToImage": PairHeader,
    "VariationalAutoencoder": VAEHeader,
}


def sealed(header: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The header with a SHA-256 of itself and of the weights."""
    bare = {key: value for key, value in header.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(bare, sort_keys=True).encode())
    for name, values in sorted(weights.items()):
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return {**bare, "sha256": digest.hexdigest()}


def is_whole(header: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> bool:
    """Whether header and weights are what was sealed: a damaged file must not pass for a model."""
    return header.get("sha256") == sealed(header, weights)["sha256"]
