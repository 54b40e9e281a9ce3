"""A plan: what to look at, what to measure, how to choose, when to stop, and what must never happen. One YAML file."""

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from adatom.decide import ACQUISITIONS, Disc, Polygon, Rectangle, Zone
from adatom.errors import ArgumentError, MissingFileError, RecipeError
from adatom.instruments import Limits, ScanFrame, SpectrumSettings

_MOST_BYTES = 1_000_000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InstrumentPlan(_Part):
    """Which instrument, and its settings, see `adatom.instruments`."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)


class OverviewPlan(_Part):
    """The cheap image.

    Parameters
    ----------
    x_nm, y_nm, width_nm, height_nm, rows, columns, dwell_time_s : see `ScanFrame`.
    channel : of the instrument.
    """

    x_nm: float = 0.0
    y_nm: float = 0.0
    width_nm: float = Field(gt=0)
    height_nm: float = Field(gt=0)
    rows: int = Field(ge=4, le=8192)
    columns: int = Field(ge=4, le=8192)
    dwell_time_s: float = Field(gt=0)
    channel: str = "image"

    def frame(self) -> ScanFrame:
        """For the instrument."""
        return ScanFrame(
            self.x_nm,
            self.y_nm,
            self.width_nm,
            self.height_nm,
            self.rows,
            self.columns,
            self.dwell_time_s,
            (self.channel,),
        )


class SpectrumPlan(_Part):
    """What is measured at a place.

    Parameters
    ----------
    axis : ``bias`` [V], ``energy`` [eV], ``time`` [s].
    low, high, n_points : of the axis.
    shape : ``sweep`` from low to high; ``there_and_back``; or ``loop``: from the middle up, down, and back to it.
    dwell_time_s : at each point.
    channel : of the instrument; by default its usual one.
    """

    axis: Literal["bias", "energy", "time"] = "bias"
    low: float
    high: float
    n_points: int = Field(ge=2, le=100_000)
    shape: Literal["sweep", "there_and_back", "loop"] = "sweep"
    dwell_time_s: float = Field(gt=0)
    channel: str = ""

    def settings(self) -> SpectrumSettings:
        """For the instrument."""
        n, low, high = self.n_points, self.low, self.high
        if self.shape == "sweep":
            values = np.linspace(low, high, n)
        elif self.shape == "there_and_back":
            there = np.linspace(low, high, (n + 1) // 2)
            values = np.concatenate([there, there[::-1]])[:n]
        else:
            turn = np.arange(n) / n
            middle, half = 0.5 * (low + high), 0.5 * (high - low)
            values = middle + half * (1 - 4 * np.abs((turn + 0.25) % 1 - 0.5))
        return SpectrumSettings(self.axis, values, self.dwell_time_s, self.channel)


class QuantityPlan(_Part):
    """The number that is looked for in a spectrum: one of them.

    Parameters
    ----------
    descriptor : of `adatom.analyse.spectrum_descriptors`: ``work``, ``coercive_rising``, ``imprint``, ``gap``, ...
    at : the value there on the axis.
    statistic : ``mean``, ``max``, ``min``, ``range`` or ``area`` (of a loop, without sign).
    """

    descriptor: str | None = None
    at: float | None = None
    statistic: Literal["mean", "max", "min", "range", "area"] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.descriptor, self.at, self.statistic)) != 1:
            raise ValueError("expected one out of descriptor, at, statistic")
        return self

    def of(self, at: NDArray[np.float64], values: NDArray[np.float64], axis: str) -> float:
        """The number, NaN where the spectrum has none."""
        if not np.isfinite(values).all():
            return float("nan")
        if self.at is not None:
            return float(values[int(np.argmin(np.abs(at - self.at)))])
        if self.descriptor is not None:
            from adatom.analyse.spectrum_descriptors import descriptors_of

            told = descriptors_of(axis, at)(at, values[None])
            if self.descriptor not in told:
                raise ArgumentError(f"descriptor: expected one of {', '.join(told)}, got {self.descriptor!r}.")
            return float(told[self.descriptor][0])
        if self.statistic == "area":
            return float(abs(np.sum(0.5 * (values + np.roll(values, -1)) * (np.roll(at, -1) - at))))
        if self.statistic == "range":
            return float(np.ptp(values))
        return float(getattr(np, str(self.statistic))(values))

    @property
    def name(self) -> str:
        """In words."""
        return self.descriptor or self.statistic or f"value at {self.at:g}"


class TargetsPlan(_Part):
    """Where it may be measured.

    Parameters
    ----------
    kind : ``grid``, the pixels of the overview; or ``atoms``, those that `adatom.find` finds in it.
    every : pixel of the grid, along both axes.
    species : of atoms, by default all.
    min_probability : of atoms.
    model : for `adatom.find`.
    """

    kind: Literal["grid", "atoms"] = "grid"
    every: int = Field(default=1, ge=1)
    species: list[str] | None = None
    min_probability: float | None = Field(default=None, ge=0, le=1)
    model: str | None = None


class ZonePlan(_Part):
    """A forbidden zone: a disc (x_nm, y_nm, radius_nm), a rectangle (two x, two y), or corners of a polygon."""

    disc: tuple[float, float, float] | None = None
    rectangle: tuple[tuple[float, float], tuple[float, float]] | None = None
    polygon: list[tuple[float, float]] | None = Field(default=None, min_length=3)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.disc, self.rectangle, self.polygon)) != 1:
            raise ValueError("expected one out of disc, rectangle, polygon")
        return self

    def zone(self) -> Zone:
        """For the search."""
        if self.disc is not None:
            return Disc(*self.disc)
        if self.rectangle is not None:
            return Rectangle(*self.rectangle)
        return Polygon(self.polygon or [])


class PolicyPlan(_Part):
    """How the next place is chosen.

    Parameters
    ----------
    acquisition, settings : see `adatom.decide.ACQUISITIONS`.
    model : ``gaussian_process`` or ``deep_kernel``.
    sees : what the model sees: ``places``, ``patches`` of the overview (a plain process their principal components), or
        ``descriptors``, the strength of the image there and around it.
    patch_px : side of a patch, odd.
    batch, n_first : places at a time, and those before the model is asked.
    minimise : look for the least.
    forbidden, margin_nm : where not to go.
    weighs_time : a gain is divided by the time that it takes.
    """

    acquisition: str = "expected_improvement"
    settings: dict[str, Any] = Field(default_factory=dict)
    model: Literal["gaussian_process", "deep_kernel"] = "gaussian_process"
    sees: Literal["places", "patches", "descriptors"] = "places"
    patch_px: int = Field(default=7, ge=3, le=65)
    batch: int = Field(default=1, ge=1, le=1000)
    n_first: int = Field(default=10, ge=1)
    minimise: bool = False
    forbidden: list[ZonePlan] = Field(default_factory=list)
    margin_nm: float = Field(default=0.0, ge=0)
    weighs_time: bool = False

    @field_validator("patch_px")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"expected an odd number, got {value}")
        return value


class StopPlan(_Part):
    """When to stop: at the first that comes true. There has to be a number of points.

    Parameters
    ----------
    points : measurements.
    seconds : of the instrument's time.
    uncertainty_below : share of the spread that the map's error is below.
    no_improvement_by : share of the spread by which no place is likely to be better.
    """

    points: int = Field(ge=1)
    seconds: float | None = Field(default=None, gt=0)
    uncertainty_below: float | None = Field(default=None, gt=0)
    no_improvement_by: float | None = Field(default=None, gt=0)


class DriftPlan(_Part):
    """The overview is scanned again after so many measurements, and the targets follow the specimen.

    Parameters
    ----------
    every : measurements.
    largest_nm : a larger shift between two scans is not believed, and stops the experiment.
    """

    every: int = Field(ge=1)
    largest_nm: float = Field(gt=0)


class Plan(_Part):
    """The whole of it.

    Parameters
    ----------
    retries : times that a measurement is tried again when the instrument has failed.
    failures : measurements in a row that may fail for good before the experiment gives up.
    seed : of whatever is left to chance.
    """

    name: str = Field(min_length=1, max_length=100)
    instrument: InstrumentPlan
    limits: Limits
    overview: OverviewPlan
    spectrum: SpectrumPlan
    quantity: QuantityPlan
    targets: TargetsPlan = TargetsPlan()
    policy: PolicyPlan = PolicyPlan()
    stop: StopPlan
    drift: DriftPlan | None = None
    retries: int = Field(default=1, ge=0, le=10)
    failures: int = Field(default=5, ge=0)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.policy.acquisition not in ACQUISITIONS:
            raise ValueError(f"policy.acquisition: expected one of {', '.join(ACQUISITIONS)}")
        return self

    def to_yaml(self) -> str:
        """As it is read."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=True), sort_keys=False)


def read_plan(path: str | Path) -> Plan:
    """Read a plan from a YAML file, or one that ships by its name; files that it names are looked for beside it.

    Raises
    ------
    MissingFileError : if it is not there.
    RecipeError : if it is no plan.
    """
    file = Path(path)
    if not file.exists():
        shipped = Path(__file__).parent.parent / "examples" / f"{path}.yaml"
        if not shipped.exists() or file.suffix or "/" in str(path):
            raise MissingFileError(f"plan: expected a YAML file, got {path}, which is not there.")
        file = shipped
    if file.stat().st_size > _MOST_BYTES:
        raise RecipeError(f"plan: expected a YAML file, got {file.name} of {file.stat().st_size} bytes.")
    return parse_plan(file.read_text(encoding="utf-8"), name=file.name, beside=file.parent)


def parse_plan(text: str, *, name: str = "plan", beside: Path | None = None) -> Plan:
    """Read a plan from YAML text.

    Raises
    ------
    RecipeError : if it is no plan.
    """
    try:
        content = yaml.safe_load(text)
        if not isinstance(content, dict):
            raise RecipeError(f"plan: expected keys and values, got {name}, which holds none.")
        if beside is not None:
            settings = content.get("instrument", {}).get("settings", {})
            for key in ("spectra", "image"):
                given = settings.get(key)
                if isinstance(given, str) and not Path(given).is_absolute() and (beside / given).exists():
                    settings[key] = str((beside / given).resolve())
        return Plan.model_validate(content)
    except yaml.YAMLError as error:
        raise RecipeError(f"plan: {name} is no YAML ({' '.join(str(error).split())[:200]}).") from error
    except AttributeError as error:
        raise RecipeError(f"plan: {name} has an instrument without settings by name.") from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "plan"
        raise RecipeError(f"{name}: {where}: {problem['msg']}.") from error
