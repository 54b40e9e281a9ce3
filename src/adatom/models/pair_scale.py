"""How patches and spectra are brought to numbers near one, and back; the model keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BEND = 2.0  # robust standard deviations from which values grow with their logarithm only


@dataclass(frozen=True)
class PatchScale:
    """Middle and robust spread of each channel; what lies far out is bent by an inverse hyperbolic sine.

    The scale is one for all patches: how bright a patch is may be what its spectrum depends on.

    Parameters
    ----------
    middle, spread : (channel,).
    """

    middle: Array
    spread: Array

    @classmethod
    def of(cls, patches: Array) -> Self:
        """Measured on (pair, channel, y, x)."""
        values = np.moveaxis(patches, 1, 0).reshape(patches.shape[1], -1)
        middle = np.median(values, axis=1)
        spread = 1.4826 * np.median(np.abs(values - middle[:, None]), axis=1)
        spread = np.where(spread > 0, spread, values.std(axis=1))
        return cls(middle, np.where(spread > 0, spread, 1.0))

    def scaled(self, patches: Array) -> Array:
        """(pair, channel, y, x) to numbers near one."""
        relative = (patches - self.middle[:, None, None]) / self.spread[:, None, None]
        return np.asarray(_BEND * np.arcsinh(relative / _BEND))

    def back(self, scaled: Array) -> Array:
        """What was scaled, in its own unit; of any leading dimensions (..., channel, y, x)."""
        straight = _BEND * np.sinh(scaled / _BEND)
        return np.asarray(straight * self.spread[:, None, None] + self.middle[:, None, None])

    def std_back(self, scaled: Array, std: Array) -> Array:
        """Standard deviations in the unit of the patches, at scaled values, to first order."""
        return np.asarray(std * np.cosh(scaled / _BEND) * self.spread[:, None, None])

    def arrays(self) -> dict[str, Array]:
        """For a model file."""
        return {"patch_middle": self.middle, "patch_spread": self.spread}

    @staticmethod
    def shapes(channels: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays."""
        return {"patch_middle": (channels,), "patch_spread": (channels,)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """From a model file."""
        return cls(arrays["patch_middle"], arrays["patch_spread"])


@dataclass(frozen=True)
class SpectrumScale:
    """Mean spectrum, and one spread for all points of it, so that points of small variance stay unimportant.

    Parameters
    ----------
    mean : (spectrum, point).
    spread : (spectrum,).
    """

    mean: Array
    spread: Array

    @classmethod
    def of(cls, spectra: Array) -> Self:
        """Measured on (pair, spectrum, point)."""
        mean = spectra.mean(axis=0)
        spread = np.sqrt(np.mean((spectra - mean) ** 2, axis=(0, 2)))
        return cls(mean, np.where(spread > 0, spread, 1.0))

    def scaled(self, spectra: Array) -> Array:
        """(pair, spectrum, point) to numbers near one."""
        return np.asarray((spectra - self.mean) / self.spread[:, None])

    def back(self, scaled: Array) -> Array:
        """What was scaled, in its own unit."""
        return np.asarray(scaled * self.spread[:, None] + self.mean)

    def std_back(self, std: Array) -> Array:
        """Standard deviations in the unit of the spectra."""
        return np.asarray(std * self.spread[:, None])

    def arrays(self) -> dict[str, Array]:
        """For a model file."""
        return {"spectrum_mean": self.mean, "spectrum_spread": self.spread}

    @staticmethod
    def shapes(spectra: int, length: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays."""
        return {"spectrum_mean": (spectra, length), "spectrum_spread": (spectra,)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """From a model file."""
        return cls(arrays["spectrum_mean"], arrays["spectrum_spread"])
