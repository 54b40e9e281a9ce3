"""How a network is trained, as a recipe states it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _known(loss: dict[str, float]) -> dict[str, float]:
    known = ("cross_entropy", "dice", "focal")
    unknown = [name for name in loss if name not in known]
    if unknown or not loss or min(loss.values()) < 0 or max(loss.values()) <= 0:
        raise ValueError(f"a loss is a positive weight for some of {', '.join(known)}, got {loss}")
    return loss


class TrainingSettings(BaseModel):
    """Numbers of the training loop."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    steps: int = Field(default=3000, ge=1, description="optimiser steps at most")
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=0.003, gt=0, le=10, description="of Adam, at its highest")
    loss: Annotated[dict[str, float], AfterValidator(_known)] = {"cross_entropy": 1.0, "dice": 0.5}
    average: Literal["none", "ema", "swa"] = Field(default="ema", description="which average of weights is kept")
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    swa_start: float = Field(default=0.7, ge=0, lt=1, description="share of the steps after which SWA averages")
    validate_every: int = Field(default=100, ge=1, description="steps between validations; a checkpoint at each")
    validation_images: int = Field(default=32, ge=1, description="a fixed set, never augmented")
    patience: int = Field(default=10, ge=1, description="validations without improvement before stopping")
    precision: Literal["float32", "bfloat16"] = Field(default="float32", description="of the products; weights keep 32")
    seed: int = Field(default=0, ge=0, lt=2**63)
