"""What a recipe may say of particles in which no atoms are seen."""

from typing import Literal

from pydantic import Field

from adatom.data.ranges import NonNegativeRange, PositiveRange, Share, StrictModel

PARTICLE, BOUNDARY = "particle", "boundary"


class Nanoparticles(StrictModel):
    """Nanoparticles, islands or grains on a support, some of which touch each other.

    Labels are 1 in particles, 2 between particles that touch, to `labels.radius_nm` on either side, and 0 elsewhere.
    Each image comes with the numbers of its particles (``instance``).
    """

    kind: Literal["nanoparticles"]
    coverage: Share = Field(description="share of the image under particles, as far as they find room")
    radius_nm: PositiveRange = Field(description="of a disc of the same shape; even in the logarithm")
    size_spread: NonNegativeRange = Field(
        default=(0.05, 0.4), description="standard deviation of the logarithm of the radii within an image"
    )
    elongation: PositiveRange = Field(default=(1.0, 1.4), description="length over width of single particles")
    faceting: Share = Field(default=(0.0, 1.0), description="from a disc (0) to a hexagon or square (1)")
    domed: Share = Field(
        default=(0.0, 1.0), description="how much thinner a particle is at its edge than in its middle"
    )
    touching: Share = Field(default=(0.0, 0.7), description="share of the particles that are laid against another one")
    overlap: Share = Field(default=(0.0, 0.15), description="of the smaller radius, of particles that touch")
    height_spread: NonNegativeRange = Field(
        default=(0.0, 0.2), description="relative standard deviation of the heights of particles"
    )
    texture: NonNegativeRange = Field(
        default=(0.0, 0.1), description="relative standard deviation of the height within a particle"
    )

    @property
    def classes(self) -> tuple[str, str]:
        """Names of the regions."""
        return (PARTICLE, BOUNDARY)

    @property
    def lattice_constant_nm(self) -> None:
        """None: no atom is seen."""
        return None
