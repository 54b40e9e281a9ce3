"""Ranges of numbers in a recipe, and what every part of a recipe is."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"a range is [low, high], got {list(bounds)}")
    return bounds


def _positive(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] <= 0:
        raise ValueError(f"expected a range above 0, got {list(bounds)}")
    return bounds


def _share(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0 or bounds[1] > 1:
        raise ValueError(f"expected shares between 0 and 1, got {list(bounds)}")
    return bounds


def _not_negative(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0:
        raise ValueError(f"expected a range from 0 up, got {list(bounds)}")
    return bounds


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
PositiveRange = Annotated[Range, AfterValidator(_positive)]
NonNegativeRange = Annotated[Range, AfterValidator(_not_negative)]
Share = Annotated[Range, AfterValidator(_share)]


class StrictModel(BaseModel):
    """A part of a recipe: unknown keys are errors, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
