"""Patches, or spectra, as a stack of samples: read from arrays of several forms, checked, and put back."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data.units import length_in_nm
from adatom.errors import ArgumentError, ShapeError, UnitError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """What the samples of a stack have in common.

    Parameters
    ----------
    shape : rows, columns (1 row for spectra).
    channels : values of each pixel.
    units : of lengths in a patch: ``nm``, ``px``, or the unit of a spectrum's axis.
    step : from one pixel to the next, in `units`.
    axis : name of a spectrum's axis, "" for patches.
    start : first value of that axis.
    has_channels : whether the samples came with an axis of channels.
    """

    shape: tuple[int, int]
    channels: int
    units: str
    step: float
    axis: str = ""
    start: float = 0.0
    has_channels: bool = False

    @property
    def half(self) -> float:
        """Half of the longer side, from the first pixel to the last, in `units`."""
        return max(1.0, (max(self.shape) - 1) / 2) * self.step

    def agrees(self, other: Self) -> bool:
        """Whether samples of `other` may be seen by a model that learned from samples of this frame."""
        return self.units == other.units and bool(np.isclose(self.step, other.step, rtol=0.02))

    def labelled(self, values: Array) -> xr.DataArray:
        """Samples (n, channel, y, x) in the form that they came in."""
        n = len(values)
        coords: dict[str, Any] = {"sample": np.arange(n)}
        places = [np.arange(side) * self.step for side in self.shape]
        if self.axis:
            coords[self.axis] = (self.axis, self.start + places[1], {"units": self.units})
            return xr.DataArray(values[:, 0, 0], dims=("sample", self.axis), coords=coords, name="spectra")
        coords |= {dim: (dim, place, {"units": self.units}) for dim, place in zip("yx", places, strict=True)}
        if self.has_channels:
            moved = np.moveaxis(values, 1, -1)
            return xr.DataArray(moved, dims=("sample", "y", "x", "channel"), coords=coords, name="patches")
        return xr.DataArray(values[:, 0], dims=("sample", "y", "x"), coords=coords, name="patches")


@dataclass(frozen=True)
class PatchStack:
    """Samples (n, channel, y, x) and what they have in common."""

    values: Array
    frame: Frame

    @classmethod
    def of(cls, patches: Any) -> Self:
        """Read patches (sample, y, x) or (sample, y, x, channel), or spectra (sample, point); as arrays, or with
        coordinates in nm or in a spectrum's unit.

        Raises
        ------
        ShapeError : if they have another number of axes, or there are none.
        ArgumentError : if they are not real, finite numbers, or all the same.
        UnitError : if an axis has no even steps, or y and x differ.
        """
        named = isinstance(patches, xr.DataArray)
        values = np.asarray(patches)
        if values.ndim not in (2, 3, 4) or values.size == 0:
            raise ShapeError(
                "patches: expected (sample, y, x), (sample, y, x, channel), or spectra (sample, point), got shape "
                f"{values.shape}."
            )
        if values.dtype.kind not in "fiub":
            raise ArgumentError(f"patches: expected real numbers, got values of type {values.dtype}.")
        values = values.astype(float)
        broken = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if broken.any():
            raise ArgumentError(
                f"patches: expected finite numbers, got NaN or infinity in {broken.sum()} of {len(values)}, the first "
                f"number {int(np.argmax(broken))}. Leave those out."
            )
        if values.ndim == 2:
            frame = _spectral_frame(patches if named else None, values.shape[1])
            return cls(values[:, None, None, :], frame)
        channels = values.shape[3] if values.ndim == 4 else 1
        units, step = _length_scale(patches) if named else ("px", 1.0)
        shape = (values.shape[1], values.shape[2])
        if min(shape) < 4:
            raise ShapeError(f"patches: expected at least 4 x 4 px, got {shape[0]} x {shape[1]}.")
        moved = np.moveaxis(values, 3, 1) if values.ndim == 4 else values[:, None]
        return cls(moved, Frame(shape, channels, units, step, has_channels=values.ndim == 4))


@dataclass(frozen=True)
class PatchScale:
    """Offset and scale of each channel: a network sees numbers about 0 with a spread of about 1."""

    offset: Array
    spread: Array

    @classmethod
    def of(cls, values: Array) -> Self:
        """Of samples (n, channel, y, x).

        Raises
        ------
        ArgumentError : if a channel is the same everywhere.
        """
        spread = values.std(axis=(0, 2, 3))
        if not (spread > 1e-12 * np.abs(values).max(initial=1e-300)).all():
            raise ArgumentError("patches: expected values that vary, got a channel that is the same everywhere.")
        return cls(values.mean(axis=(0, 2, 3)), spread)

    def scaled(self, values: Array) -> Array:
        """(n, channel, y, x) as a network sees them."""
        return (values - self.offset[:, None, None]) / self.spread[:, None, None]

    def back(self, scaled: Array) -> Array:
        """The inverse of `scaled`."""
        return scaled * self.spread[:, None, None] + self.offset[:, None, None]


def _spectral_frame(spectra: xr.DataArray | None, length: int) -> Frame:
    if length < 4:
        raise ShapeError(f"patches: expected spectra of at least 4 points, got {length}.")
    if spectra is None:
        return Frame((1, length), 1, "px", 1.0, axis="point")
    dim = str(spectra.dims[1])
    if dim not in spectra.coords:
        return Frame((1, length), 1, "px", 1.0, axis=dim)
    places = np.asarray(spectra[dim], dtype=float)
    step = _even_step(places, dim)
    return Frame((1, length), 1, str(spectra[dim].attrs.get("units", "")), step, axis=dim, start=float(places[0]))


def _length_scale(patches: xr.DataArray) -> tuple[str, float]:
    """Unit of lengths, and the size of a pixel in it."""
    steps = []
    for dim in patches.dims[1:3]:
        units = patches[dim].attrs.get("units", "px") if dim in patches.coords else "px"
        if units == "px":
            return "px", 1.0
        steps.append(_even_step(np.asarray(patches[dim], dtype=float), str(dim)) * length_in_nm(1.0, units))
    if not np.isclose(steps[0], steps[1], rtol=0.01):
        raise UnitError(f"patches: expected square pixels, got {steps[1]:.4g} x {steps[0]:.4g} nm. Resample them.")
    return "nm", float(steps[0])


def _even_step(places: Array, dim: str) -> float:
    steps = np.diff(places)
    if not np.allclose(steps, steps[0], rtol=1e-3, atol=0) or steps[0] <= 0:
        raise UnitError(f"patches: expected even, rising steps on axis {dim}, got {steps.min()} to {steps.max()}.")
    return float(steps.mean())
