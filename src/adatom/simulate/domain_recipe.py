"""What a recipe may say of a specimen of ferroelectric domains."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from adatom.data.ranges import NonNegativeRange, PositiveRange, Share, StrictModel

UP, DOWN, IN_PLANE = "up", "down", "in_plane"


class Domains(StrictModel):
    """Domains polarised up and down, and lamellae polarised along the surface between them.

    Labels are 1 where up, 2 where down, 3 in lamellae, and 0 within `labels.radius_nm` of a wall.
    """

    kind: Literal["domains"]
    patterns: dict[Literal["bubbles", "maze", "stripes"], Annotated[float, Field(ge=0)]] = Field(
        default={"bubbles": 1.0, "maze": 1.0, "stripes": 1.0},
        min_length=1,
        description="how often each pattern is drawn, as weights",
    )
    width_nm: PositiveRange = Field(description="typical width of a domain; even in the logarithm")
    down_share: Share = Field(default=(0.3, 0.7), description="of the surface outside lamellae")
    wall_nm: PositiveRange = Field(description="length on which the polarisation turns from up to 0.76 down to 0")
    in_plane_share: Share = Field(default=(0, 0), description="of the surface under lamellae")
    in_plane_width_nm: PositiveRange = Field(default=(10, 30), description="width of a lamella")
    displacement_nm: NonNegativeRange = Field(
        default=(0, 0), description="standard deviation with which walls are pinned beside their places"
    )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the regions."""
        return (UP, DOWN, IN_PLANE) if self.in_plane_share[1] > 0 else (UP, DOWN)

    @property
    def lattice_constant_nm(self) -> None:
        """None: no atom is seen."""
        return None

    @model_validator(mode="after")
    def _some_pattern_is_drawn(self) -> Self:
        if sum(self.patterns.values()) <= 0:
            raise ValueError("patterns has a positive weight for at least one, got none")
        return self
