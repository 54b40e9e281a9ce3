"""What the members of an ensemble saw in an image: the atoms of each, and their class maps summed up."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.locate import Peaks
from adatom.models.maps import Factor

Array = NDArray[np.float64]


class MapSummary:
    """Mean and spread of class maps (class, y, x), added one after the other: none of them has to be kept."""

    def __init__(self) -> None:
        self.n = 0
        self.mean: NDArray[np.float32] = np.zeros(0, np.float32)
        self._squares: NDArray[np.float32] = np.zeros(0, np.float32)
        self._entropy: NDArray[np.float32] = np.zeros(0, np.float32)

    def add(self, maps: Array) -> None:
        """Take in the probabilities (class, y, x) of one more member. Source: Welford 1962, 10.2307/1266577."""
        values = maps.astype(np.float32)
        if self.n == 0:
            self.mean, self._squares = np.zeros_like(values), np.zeros_like(values)
            self._entropy = np.zeros(values.shape[1:], np.float32)
        self.n += 1
        self._entropy += (_entropy(values) - self._entropy) / self.n
        step = values - self.mean
        self.mean += step / self.n
        self._squares += step * (values - self.mean)

    @property
    def std(self) -> NDArray[np.float32]:
        """Standard deviation (class, y, x) between the members."""
        std: NDArray[np.float32] = np.sqrt(self._squares / max(1, self.n))
        return std

    @property
    def entropy_data(self) -> NDArray[np.float32]:
        """Mean entropy (y, x) of the members [nat]: what data leave open."""
        return self._entropy

    @property
    def entropy_model(self) -> NDArray[np.float32]:
        """Entropy (y, x) of the mean beyond it [nat]: what the members disagree in."""
        entropy: NDArray[np.float32] = np.maximum(_entropy(self.mean) - self._entropy, 0)
        return entropy


@dataclass(frozen=True)
class EnsembleMaps:
    """What the members saw.

    Attributes
    ----------
    members : atoms that each claims, the unlikely and the close ones included, in pixels of the image.
    factor : working pixels a pixel of the image along (y, x), as whole pixels allowed.
    summary : of their class maps, the margin beyond the image included; None where nobody asked for maps.
    """

    members: list[Peaks]
    factor: Factor
    summary: MapSummary | None


def uncertainty_as_image(summary: MapSummary, margin: int, mean: xr.DataArray) -> xr.Dataset:
    """Maps of the doubts, in the frame of the `mean` probability maps (class, y, x)."""

    def inner(values: NDArray[Any]) -> NDArray[Any]:
        return values[..., margin : values.shape[-2] - margin, margin : values.shape[-1] - margin]

    place = {name: mean.coords[name] for name in ("y", "x")}
    std = mean.copy(data=inner(summary.std))
    std.name = "probability_std"
    return xr.Dataset(
        {
            "probability_std": std,
            "entropy_data": (("y", "x"), inner(summary.entropy_data)),
            "entropy_model": (("y", "x"), inner(summary.entropy_model)),
        },
        coords=place,
        attrs={"history": mean.attrs["history"], "entropy_unit": "nat"},
    )


def _entropy(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy (y, x) [nat] of (class, y, x)."""
    cut = np.clip(probability, 1e-7, 1.0)
    entropy: NDArray[np.float32] = -(cut * np.log(cut)).sum(axis=0)
    return entropy
