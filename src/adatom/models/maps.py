"""What a model saw in an image, and how it becomes an image itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]
Factor = tuple[float, float]  # working pixels a pixel of an image, along (y, x)


@dataclass(frozen=True)
class Maps:
    """What a model saw in an image.

    Attributes
    ----------
    values : (channel, y, x) at the working scale, reaching the model's margin beyond the image on all sides.
    factor : working pixels a pixel of the image along (y, x), as whole pixels allowed.
    contrast : what the image was divided by before the model saw it.
    """

    values: NDArray[Any]
    factor: Factor
    contrast: float = 1.0


def maps_as_image(probability: Array, names: list[str], factor: Factor, image: xr.DataArray) -> xr.DataArray:
    """Probabilities (class, y, x), background first, with coordinates in the unit of the `image` that was looked at."""
    coords: dict[str, Any] = {"class": ["background", *names]}
    for axis, dim in enumerate(("y", "x")):
        original = image.coords[dim]
        step = float(original[-1] - original[0]) / (len(original) - 1) if len(original) > 1 else 1.0
        positions = (np.arange(probability.shape[1 + axis]) + 0.5) / factor[axis] - 0.5
        coords[dim] = (dim, float(original[0]) + positions * step, {"units": original.attrs["units"]})
    step_note = f"seen at {factor[0]:.4g} x {factor[1]:.4g} working pixels a pixel"
    return xr.DataArray(
        probability.astype(np.float32),
        dims=("class", "y", "x"),
        coords=coords,
        name="probability",
        attrs={
            "signal": "probability",
            "units": "",
            "source": image.attrs.get("source", {}),
            "metadata": {},
            "history": [*image.attrs.get("history", []), step_note],
            "factor": factor,
        },
    )
