"""What an experiment is to do, as one YAML file."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from adatom.data.ranges import StrictModel
from adatom.errors import MissingFileError, RecipeError
from adatom.instruments import Limits, ScanFrame

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
BETWEEN = ("area_under", "peak_place")  # quantities that look at a part of the axis


class InstrumentPlan(StrictModel):
    """Which instrument, and how it is opened."""

    name: str = "twin"
    settings: dict[str, Any] = Field(default_factory=dict, description="of `adatom.instruments.open_instrument`")

    @model_validator(mode="after")
    def _experiment_sets_the_rest(self) -> Self:
        if taken := self.settings.keys() & {"limits", "used", "on_event", "state"}:
            raise ValueError(f"settings cannot hold {', '.join(sorted(taken))}, which the experiment sets")
        return self


class Frame(StrictModel):
    """What is scanned: an upright rectangle, lengths in nm in the frame of the scanner."""

    x_nm: float = 0.0
    y_nm: float = 0.0
    width_nm: Positive
    height_nm: Positive
    rows: Annotated[int, Field(ge=4)]
    columns: Annotated[int, Field(ge=4)]
    dwell_time_s: Positive = 0.001
    channel: str | None = Field(default=None, description="that is looked at; by default the first of the instrument")

    def scan_frame(self, channel: str, shift_nm: tuple[float, float] = (0.0, 0.0)) -> ScanFrame:
        """As an instrument takes it, moved along with the sample."""
        return ScanFrame(
            self.x_nm + shift_nm[0],
            self.y_nm + shift_nm[1],
            self.width_nm,
            self.height_nm,
            self.rows,
            self.columns,
            self.dwell_time_s,
            (channel,),
        )


class Spectra(StrictModel):
    """What is measured at each place."""

    axis: Literal["bias", "energy", "time"] | None = Field(default=None, description="by default the instrument's")
    values: tuple[float, ...] | None = Field(default=None, description="by default those the instrument usually takes")
    dwell_time_s: Positive = 0.01
    channel: str = ""


class Quantity(StrictModel):
    """The number wanted of each spectrum."""

    name: str = Field(
        description="a descriptor of adatom.analyse.spectrum_descriptors, as work; or value, area_under, peak_place"
    )
    at: float | None = Field(default=None, description="of value: the place on the axis, in its unit")
    low: float | None = Field(default=None, description="of area_under and peak_place: from here on the axis")
    high: float | None = Field(default=None, description="up to here")
    goal: Literal["highest", "lowest", "map"] = "highest"

    @model_validator(mode="after")
    def _value_has_a_place(self) -> Self:
        if (self.name == "value") != (self.at is not None):
            raise ValueError("at goes with the quantity value, and with no other")
        if (self.low is not None or self.high is not None) and self.name not in BETWEEN:
            raise ValueError(f"low and high go with {' and '.join(BETWEEN)}, and with no other")
        return self


class Targets(StrictModel):
    """Where spectra may be taken."""

    kind: Literal["grid", "atoms"] = "grid"
    every_px: Count = Field(default=1, description="of a grid: every so-manieth pixel of the overview")
    species: tuple[str, ...] = Field(default=(), description="of atoms: only these; none means all")
    min_probability: Annotated[float, Field(ge=0, le=1)] | None = None
    uncertain_first: Count | None = Field(
        default=None, description="of atoms: only so many, those whose species is least certain"
    )
    method: Literal["network", "classical"] = "network"


class Policy(StrictModel):
    """How the next place is chosen."""

    acquisition: str = "expected_improvement"
    settings: dict[str, Any] = Field(default_factory=dict, description="of the acquisition")
    model: Literal["gp", "dkl", "none"] = "gp"
    model_settings: dict[str, Any] = Field(default_factory=dict, description="of the regressor")
    sees: Literal["places", "patches", "strength"] = Field(
        default="places",
        description="what the model knows of a target: where it is; the overview around it (gp: its principal "
        "components); or how strong the overview is there and around it, without sign",
    )
    patch_px: Annotated[int, Field(ge=3)] = 9
    initial: str = "maximin"
    n_initial: Annotated[int, Field(ge=2)] = 10
    batch: Count = 1
    forbidden: tuple["ForbiddenDisc | ForbiddenRectangle", ...] = ()
    margin_nm: Annotated[float, Field(ge=0)] = 0.0
    moving_costs: bool = Field(default=False, description="weigh what a place is worth by the time it takes")

    @model_validator(mode="after")
    def _kernel_sees_patches(self) -> Self:
        if self.model == "dkl" and self.sees != "patches":
            raise ValueError("the model dkl learns from patches: sees has to be patches")
        if self.patch_px % 2 == 0:
            raise ValueError("patch_px has to be odd, so that a patch has a middle")
        return self


class ForbiddenDisc(StrictModel):
    """A disc in which nothing is measured [nm]."""

    x_nm: float
    y_nm: float
    radius_nm: Positive


class ForbiddenRectangle(StrictModel):
    """A rectangle in which nothing is measured [nm]."""

    x_low_nm: float
    x_high_nm: float
    y_low_nm: float
    y_high_nm: float


class Stop(StrictModel):
    """When enough was measured; whichever comes first."""

    points: Count
    seconds: Positive | None = Field(default=None, description="by the instrument's clock")
    std_below: Positive | None = Field(default=None, description="of the quantity, at 95 % of the open targets")
    no_improvement: Count | None = Field(default=None, description="in so many measurements, and none expected")
    regret: Annotated[float, Field(ge=0)] = Field(default=0.0, description="that does not count as an improvement")


class DriftPlan(StrictModel):
    """A small frame scanned again and again, by which targets follow the sample."""

    every: Count = Field(description="measurements")
    frame: Frame


class ExperimentPlan(StrictModel):
    """A whole experiment."""

    instrument: InstrumentPlan = InstrumentPlan()
    limits: Limits
    overview: Frame
    spectrum: Spectra = Spectra()
    quantity: Quantity
    targets: Targets = Targets()
    policy: Policy = Policy()
    stop: Stop
    drift: DriftPlan | None = None
    speed_nm_per_s: Positive | None = Field(
        default=None, description="of moves; by default as fast as the limits allow"
    )
    retries: Annotated[int, Field(ge=0)] = Field(default=2, description="of a measurement that fails")
    most_failures: Count = Field(default=5, description="targets one after the other in vain, after which a run ends")
    seed: Annotated[int, Field(ge=0)] = 0


def read_plan(path: Path) -> ExperimentPlan:
    """A plan from its file; paths in the instrument's settings are looked for beside it too.

    Raises
    ------
    MissingFileError : if there is no such file.
    RecipeError : if a key is unknown or a value makes no sense.
    """
    if not path.is_file():
        raise MissingFileError(f"plan: expected a file, got {path}, which is none.")
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path.name}: expected YAML, got something else ({error}).") from error
    plan = plan_of(facts, name=path.name)
    settings = {key: _beside(path.parent, value) for key, value in plan.instrument.settings.items()}
    return plan.model_copy(update={"instrument": plan.instrument.model_copy(update={"settings": settings})})


def plan_of(facts: Any, *, name: str = "plan") -> ExperimentPlan:
    """A plan from plain values.

    Raises
    ------
    RecipeError : if a key is unknown or a value makes no sense.
    """
    try:
        return ExperimentPlan.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise RecipeError(f"{name}: {where}: {first['msg']}, got {str(first['input'])[:80]!r}.") from error


def _beside(folder: Path, value: Any) -> Any:
    """A file named relative to the plan, as an absolute path, so that a resumed run finds it from anywhere."""
    if isinstance(value, str) and (folder / value).is_file():
        return str((folder / value).resolve())
    if isinstance(value, list):
        return [_beside(folder, each) for each in value]
    return value
