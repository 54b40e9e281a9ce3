"""How a network is trained, as a recipe states it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from adatom.train.names import Kind, known


def _known_losses(loss: dict[str, float]) -> dict[str, float]:
    names = known("loss")
    unknown = [name for name in loss if name not in names]
    if unknown or not loss or min(loss.values()) < 0 or max(loss.values()) <= 0:
        raise ValueError(f"a loss is a positive weight for some of {', '.join(names)}, got {loss}")
    return loss


def _known(kind: Kind) -> AfterValidator:
    """Whether a name, or each of several, is one of its kind."""

    def check(given: str | list[str]) -> str | list[str]:
        for name in [given] if isinstance(given, str) else given:
            if name not in known(kind):
                names = (
                    ", ".join(known(kind)) or "those that were registered (adatom.train.register), of which are none"
                )
                raise ValueError(f"expected one of {names}, got {name!r}")
        return given

    return AfterValidator(check)


class TrainingSettings(BaseModel):
    """Numbers of the training loop."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    steps: int = Field(default=3000, ge=1, description="optimiser steps at most")
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=0.003, gt=0, le=10, description="at its highest")
    optimiser: Annotated[str, _known("optimiser")] = "adam"
    schedule: Annotated[str, _known("schedule")] = Field(default="warm_up_cosine", description="of the learning rate")
    metrics: Annotated[list[str], _known("metric")] = Field(default=[], description="registered ones")
    callbacks: Annotated[list[str], _known("callback")] = Field(default=[], description="registered ones")
    loss: Annotated[dict[str, float], AfterValidator(_known_losses)] = {"cross_entropy": 1.0, "dice": 0.5}
    average: Literal["none", "ema", "swa"] = Field(default="ema", description="which average of weights is kept")
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    swa_start: float = Field(default=0.7, ge=0, lt=1, description="share of the steps after which SWA averages")
    validate_every: int = Field(default=100, ge=1, description="steps between validations; a checkpoint at each")
    validation_images: int = Field(default=32, ge=1, description="a fixed set, never augmented")
    patience: int = Field(default=10, ge=1, description="validations without improvement before stopping")
    precision: Literal["float32", "bfloat16"] = Field(default="float32", description="of the products; weights keep 32")
    seed: int = Field(default=0, ge=0, lt=2**63)
