"""What is asked of a search for atoms, by whatever parts it goes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adatom.models.choice import Contrast

if TYPE_CHECKING:
    from adatom.models.ensemble import Ensemble
    from adatom.models.image_model import ImageModel

_OF_PARTS = ("memory_gb", "maps", "report")  # which `adatom.find` does not know


@dataclass(frozen=True)
class AtomSearch:
    """Parameters as of `adatom.find`."""

    model: "ImageModel | Ensemble | str | Path | None" = None
    spacing_nm: float | None = None
    min_distance_nm: float | None = None
    min_probability: float | None = None
    refine: bool = True
    lattice_constant_nm: float | str | None = None
    contrast: Contrast = "auto"
    coverage: float | None = None

    def find_arguments(self) -> dict[str, Any]:
        """Arguments of `adatom.finder.search`, for a part of the image or one frame."""
        return {name: value for name, value in vars(self).items() if name not in _OF_PARTS}
