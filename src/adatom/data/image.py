"""Images, movies and spectrum images: plain `xarray.DataArray` with a schema that is stated and checked here.

Dimensions come from ``frame, y, x, energy, bias, time``. Every axis has a coordinate whose ``attrs["units"]`` is a
unit (``nm``, ``eV``, ``V``, ``s``) or ``"px"`` where the file does not say. x runs along columns, y along rows
downwards, and the centre of the first pixel is (0, 0). The image's own attributes:

======== ==========================================================================================
signal   what was measured, e.g. ``"Z"`` or ``"HAADF"`` (``""`` if unknown)
units    unit of the values (``""`` if unknown)
source   ``{"file": name, "sha256": hash}`` of the file it came from, or ``{}``
metadata flat dictionary of what else the file says
history  list of sentences: the steps from the file to here
======== ==========================================================================================
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from adatom.data.units import length_in_nm
from adatom.errors import ArgumentError, ShapeError, UnitError

DIMENSIONS = ("frame", "y", "x", "energy", "bias", "time")


def make_image(
    values: Any,
    *,
    pixel_size: float | tuple[float, float] | None = None,
    dims: Sequence[str] | None = None,
    coordinates: Mapping[str, tuple[Any, str]] | None = None,
    signal: str = "",
    units: str = "",
    source: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    history: Iterable[str] = (),
) -> xr.DataArray:
    """Make an image that keeps the schema of this module.

    Parameters
    ----------
    values : (y, x) or (frame, y, x) numbers, or as `dims` say.
    pixel_size : (y, x) size of a pixel [nm], one number for square pixels, None if unknown.
    dims : names of the axes; by default ``y, x`` or ``frame, y, x``.
    coordinates : for axes other than y and x, the value at each place and its unit: ``{"bias": (volts, "V")}``; an
        axis without counts from 0.

    Raises
    ------
    ShapeError : if `values` has neither two nor three dimensions, or a side of zero, or if `dims` or `coordinates` are
        not its axes.
    ArgumentError : if `values` are not real numbers or `pixel_size` is not positive.
    """
    array = np.asarray(values)
    if dims is None:
        dims = ("frame", "y", "x")[-array.ndim :] if array.ndim in (2, 3) else ()
    if array.ndim != len(dims) or array.size == 0:
        raise ShapeError(f"image: expected 2 or 3 dimensions, none of them empty, got shape {array.shape}.")
    if array.dtype.kind not in "fiub":
        raise ArgumentError(f"image: expected real numbers, got values of type {array.dtype}.")
    steps = {"y": None, "x": None} if pixel_size is None else dict(zip("yx", _both(pixel_size), strict=True))
    coords = {}
    for dim, length in zip(dims, array.shape, strict=True):
        if coordinates and dim in coordinates:
            places = np.asarray(coordinates[dim][0], dtype=float)
            if places.shape != (length,):
                raise ShapeError(f"coordinates: expected {length} values on axis {dim}, got shape {places.shape}.")
            coords[dim] = (dim, places, {"units": coordinates[dim][1]})
            continue
        step = steps.get(dim)
        axis_units = "nm" if step is not None else "px" if dim in "yx" else ""
        coords[dim] = (dim, np.arange(length) * (step if step is not None else 1), {"units": axis_units})
    attrs = {
        "signal": signal,
        "units": units,
        "source": dict(source or {}),
        "metadata": dict(metadata or {}),
        "history": list(history),
    }
    return check_image(xr.DataArray(array, dims=tuple(dims), coords=coords, name=signal or "image", attrs=attrs))


def _both(pixel_size: float | tuple[float, float]) -> tuple[float, float]:
    size = (pixel_size, pixel_size) if isinstance(pixel_size, (int, float, np.number)) else tuple(pixel_size)
    if len(size) != 2 or not all(np.isfinite(s) and s > 0 for s in size):
        raise ArgumentError(f"pixel_size: expected a positive length in nm, got {pixel_size!r}.")
    return float(size[0]), float(size[1])


def check_image(image: xr.DataArray, *, ndim: int | None = None) -> xr.DataArray:
    """Return `image` unchanged if it keeps the schema, else raise an error that says what is wrong.

    Raises
    ------
    ShapeError : if axes are missing, empty, unknown, or not `ndim` of them.
    UnitError : if a y or x axis says no unit, or an unknown one.
    """
    if not isinstance(image, xr.DataArray):
        raise ArgumentError(f"image: expected an xarray.DataArray, got {type(image).__name__}. Use adatom.make_image.")
    unknown = [str(dim) for dim in image.dims if dim not in DIMENSIONS]
    if unknown or "y" not in image.dims or "x" not in image.dims:
        raise ShapeError(f"image: expected dimensions y and x out of {', '.join(DIMENSIONS)}, got {image.dims}.")
    if image.size == 0 or (ndim is not None and image.ndim != ndim):
        raise ShapeError(f"image: expected {ndim or 'some'} dimensions, none empty, got shape {image.shape}.")
    if image.dtype.kind not in "fiub":
        raise ArgumentError(f"image: expected real numbers, got values of type {image.dtype}.")
    pixel_size_nm(image)
    return image


def pixel_size_nm(image: xr.DataArray) -> tuple[float, float] | None:
    """Size of a pixel along (y, x) [nm], or None where the image is not calibrated.

    Raises
    ------
    UnitError : if an axis has no unit, one that is not a length, or uneven steps.
    """
    sizes: list[float | None] = []
    for dim in ("y", "x"):
        coordinate = image.coords.get(dim)
        units = None if coordinate is None else coordinate.attrs.get("units")
        if units is None:
            raise UnitError(f"image: expected units on axis {dim} (nm, or px if unknown), got none.")
        nm_per_unit = None if units == "px" else length_in_nm(1.0, units)
        values = np.asarray(coordinate, dtype=float)
        if nm_per_unit is None or len(values) < 2:  # one pixel has no step: its size cannot be told
            sizes.append(None)
            continue
        steps = np.diff(values)
        if not np.allclose(steps, steps[0], rtol=1e-3, atol=0) or steps[0] <= 0:
            raise UnitError(f"image: expected even, rising steps on axis {dim}, got {steps.min()} to {steps.max()}.")
        sizes.append(float(values[-1] - values[0]) / (len(values) - 1) * nm_per_unit)
    y, x = sizes
    return None if y is None or x is None else (y, x)
