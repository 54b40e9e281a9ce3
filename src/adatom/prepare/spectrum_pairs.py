"""Pairs of an image patch and the spectrum measured in its middle.

The patch is found by coordinates: image and spectra may lie on different grids of the same place. A patch has an odd
number of pixels unless an even one is asked for; then its middle is the pixel right of and below the centre.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data import check_image, pixel_size_nm
from adatom.data.spectrum_image import check_spectrum_image, spectral_axis
from adatom.data.units import length_in_nm
from adatom.errors import ArgumentError, ShapeError, UnitError
from adatom.prepare.spectrum_outliers import check_spectra

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Border = Literal["leave out", "mirror"]

DEFAULT_PATCH_PX = 7


@dataclass(frozen=True)
class SpectralAxis:
    """Where the points of a spectrum lie.

    Parameters
    ----------
    name : energy, bias or time.
    values : of the points, in the order of the measurement; a sweep may come back.
    units : such as V.
    """

    name: str
    values: Array
    units: str


@dataclass(frozen=True)
class Pairs:
    """Patches and spectra that belong together.

    Parameters
    ----------
    patches : (pair, channel, y, x).
    spectra : (pair, spectrum, point).
    row, column : (pair,), the pixel of the image in the middle of each patch.
    place : (pair, 2), row and column in the grid of the spectra.
    grid : rows and columns of that grid.
    axis : of the spectra.
    pixel_nm : (y, x) size of a pixel of the image [nm], None if not calibrated.
    n_left_out : reason to number of spectra that have no pair.
    """

    patches: Array
    spectra: Array
    row: Indices
    column: Indices
    place: Indices
    grid: tuple[int, int]
    axis: SpectralAxis
    pixel_nm: tuple[float, float] | None
    n_left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def patch_px(self) -> tuple[int, int]:
        """(y, x) sides of a patch [px]."""
        return self.patches.shape[2], self.patches.shape[3]

    def take(self, which: Any) -> "Pairs":
        """Some of the pairs, by index or mask."""
        per_pair = ("patches", "spectra", "row", "column", "place")
        return replace(self, **{name: getattr(self, name)[which] for name in per_pair})

    def on_grid(self, values: NDArray[Any]) -> Array:
        """Values (pair, ...) at their places (y, x, ...) in the grid of the spectra; NaN where there is no pair."""
        result = np.full((*self.grid, *np.shape(values)[1:]), np.nan)
        result[self.place[:, 0], self.place[:, 1]] = values
        return result


def pair_up(
    image: xr.DataArray | Sequence[xr.DataArray],
    spectra: xr.DataArray | Sequence[xr.DataArray],
    *,
    patch_size_nm: float | None = None,
    patch_size_px: int | None = None,
    border: Border = "leave out",
    clean: bool = True,
) -> Pairs:
    """Cut a patch of the image around the place of each spectrum.

    Parameters
    ----------
    image : (y, x), or several channels on one grid.
    spectra : (y, x, energy | bias | time), or several on one grid and axis.
    patch_size_nm : side of a patch [nm]; the image then has to be calibrated. It becomes an odd number of pixels.
    patch_size_px : the same in pixels, even ones too; by default 7.
    border : what becomes of a patch that reaches over the border of the image: left out, or filled by its mirror image.
    clean : leave out broken spectra and replace spikes, see `adatom.prepare.spectrum_outliers`; else only spectra with
        NaN are left out.

    Raises
    ------
    ShapeError : if channels, or spectra, do not share a grid, or a patch is larger than the image.
    UnitError : if image and spectra cannot be brought together: one is calibrated, the other is not, and their grids
        differ.
    ArgumentError : if fewer than two pairs are left.
    """
    channels = check_channels(image)
    measured = _check_spectra_share_axes(spectra)
    if border not in ("leave out", "mirror"):
        raise ArgumentError(f"border: expected 'leave out' or 'mirror', got {border!r}.")
    sides = patch_sides(channels[0], patch_size_nm, patch_size_px)
    axis = spectral_axis(measured[0])
    usable = np.ones((measured[0].sizes["y"], measured[0].sizes["x"]), dtype=bool)
    values = []
    for each in measured:
        if clean:
            checked = check_spectra(each)
            usable &= checked.good
            values.append(checked.spectra.transpose("y", "x", axis).to_numpy())
        else:
            values.append(each.transpose("y", "x", axis).to_numpy().astype(float))
            usable &= np.isfinite(values[-1]).all(axis=-1)
    rows, columns = nearest_pixels(channels[0], measured[0])
    places = np.argwhere(usable)
    patches, has_patch = cut_patches(channels, rows[places[:, 0]], columns[places[:, 1]], sides, border=border)
    is_whole = np.isfinite(patches).all(axis=(1, 2, 3))
    n_left_out = {
        "broken or not measured": int((~usable).sum()),
        "patch over the border": int((~has_patch).sum()),
        "patch not measured": int((~is_whole).sum()),
    }
    places = places[has_patch][is_whole]
    if len(places) < 2:
        told = ", ".join(f"{n} {reason}" for reason, n in n_left_out.items())
        raise ArgumentError(
            f"spectra: expected at least two with a patch, got {len(places)} ({told}). "
            "Take a smaller patch, or border='mirror'."
        )
    coordinate = measured[0][axis]
    return Pairs(
        patches[is_whole],
        np.stack([each[places[:, 0], places[:, 1]] for each in values], axis=1),
        rows[places[:, 0]],
        columns[places[:, 1]],
        places,
        (usable.shape[0], usable.shape[1]),
        SpectralAxis(axis, coordinate.to_numpy().astype(float), str(coordinate.attrs.get("units", ""))),
        pixel_size_nm(channels[0]),
        n_left_out,
    )


def map_at(spectra: xr.DataArray, value: float) -> tuple[xr.DataArray, xr.DataArray]:
    """The map of a spectrum image at one value of its axis, and the spectra without the point that it took.

    Where the structure was not measured beside the spectra, such a map stands for it. That is partly circular: the
    point is left out of the spectra, but its neighbours resemble it. Where a sweep passes the value more than once, the
    first time counts. Spikes of the map are replaced by the median of the pixels around, other points have no say.

    Raises
    ------
    ShapeError : if `spectra` is no spectrum image, or has fewer than three points.
    ArgumentError : if `value` lies beyond the axis.
    """
    from scipy import ndimage

    image = check_spectrum_image(spectra)
    axis = spectral_axis(image)
    places = image[axis].to_numpy().astype(float)
    if len(places) < 3:
        raise ShapeError(f"spectra: expected at least three points to take one out, got {len(places)}.")
    if not places.min() <= value <= places.max():
        raise ArgumentError(f"value: expected {places.min():g} to {places.max():g} on the {axis} axis, got {value!r}.")
    number = int(np.argmin(np.abs(places - value)))
    structure = image.isel({axis: number}, drop=True).transpose("y", "x").astype(float)
    values = structure.to_numpy()
    known = np.where(np.isfinite(values), values, np.nanmedian(values))
    residual = known - ndimage.median_filter(known, size=5)
    spread = 1.4826 * float(np.median(np.abs(residual)))
    is_spike = np.abs(residual) > 6 * spread
    note = f"map at {places[number]:.4g} {image[axis].attrs.get('units', '')}, {is_spike.sum()} spikes replaced"
    structure = structure.copy(data=np.where(is_spike, ndimage.median_filter(known, size=3), known))
    structure.attrs = {**image.attrs, "history": [*image.attrs.get("history", []), note]}
    return structure, image.isel({axis: [n for n in range(len(places)) if n != number]})


def check_channels(image: xr.DataArray | Sequence[xr.DataArray]) -> list[xr.DataArray]:
    """Images (y, x) of one grid."""
    channels = [image] if isinstance(image, xr.DataArray) else list(image)
    if not channels:
        raise ArgumentError("image: expected at least one channel, got none.")
    channels = [check_image(channel, ndim=2).transpose("y", "x") for channel in channels]
    for channel in channels[1:]:
        if not _same_grid(channel, channels[0]):
            raise ShapeError(f"image: expected channels on one grid, got {_grid(channels[0])} and {_grid(channel)}.")
    return channels


def patch_sides(image: xr.DataArray, size_nm: float | None, size_px: int | None) -> tuple[int, int]:
    """(y, x) sides of a patch [px] in this image.

    Raises
    ------
    ArgumentError : if both sizes are given, or one is too small.
    UnitError : if the size is in nm and the image is not calibrated.
    ShapeError : if the patch is larger than the image.
    """
    if size_nm is not None and size_px is not None:
        raise ArgumentError("patch_size_nm: expected this or patch_size_px, got both.")
    if size_nm is not None:
        pixel = pixel_size_nm(image)
        if pixel is None:
            raise UnitError("patch_size_nm: expected a calibrated image, got one in pixels. Give patch_size_px.")
        if not (math.isfinite(size_nm) and size_nm >= max(pixel)):
            raise ArgumentError(f"patch_size_nm: expected at least one pixel, {max(pixel):g} nm, got {size_nm!r}.")
        y, x = (2 * round((size_nm / side - 1) / 2) + 1 for side in pixel)
    else:
        y = x = DEFAULT_PATCH_PX if size_px is None else size_px
        if not isinstance(y, int) or y < 1:
            raise ArgumentError(f"patch_size_px: expected a whole number of at least 1, got {size_px!r}.")
    if y > image.shape[0] or x > image.shape[1]:
        raise ShapeError(f"patch: expected at most {image.shape[0]} x {image.shape[1]} px, got {y} x {x} px.")
    return y, x


def cut_patches(
    channels: Sequence[xr.DataArray], rows: Indices, columns: Indices, sides: tuple[int, int], *, border: Border
) -> tuple[Array, NDArray[np.bool_]]:
    """Patches (pair, channel, y, x) around pixels, and which of the pixels have one (pixel,).

    A pixel of -1 lies outside the image and has none.
    """
    values = np.stack([channel.to_numpy().astype(float) for channel in channels])
    height, width = values.shape[1:]
    before = (sides[0] // 2, sides[1] // 2)
    after = (sides[0] - 1 - before[0], sides[1] - 1 - before[1])
    inside = (rows >= 0) & (columns >= 0)
    if border == "leave out":
        inside &= (rows >= before[0]) & (rows + after[0] < height)
        inside &= (columns >= before[1]) & (columns + after[1] < width)
        offset = (0, 0)
    else:
        mode = "reflect" if min(height, width) > max(sides) // 2 else "symmetric"
        values = np.pad(values, ((0, 0), (before[0], after[0]), (before[1], after[1])), mode=mode)  # type: ignore[call-overload]
        offset = before
    windows = np.lib.stride_tricks.sliding_window_view(values, sides, axis=(1, 2))  # (channel, y, x, side, side)
    tops, lefts = (rows - before[0] + offset[0])[inside], (columns - before[1] + offset[1])[inside]
    return np.moveaxis(windows[:, tops, lefts], 0, 1).copy(), inside


def nearest_pixels(image: xr.DataArray, spectra: xr.DataArray) -> tuple[Indices, Indices]:
    """For each row, and each column, of the spectra the nearest one of the image; -1 where it lies outside.

    Raises
    ------
    UnitError : if one is calibrated, the other is not, and they have not the same number of rows and columns.
    """
    if _is_in_pixels(image) != _is_in_pixels(spectra):
        if all(image.sizes[dim] == spectra.sizes[dim] for dim in "yx"):
            return np.arange(image.sizes["y"]), np.arange(image.sizes["x"])
        raise UnitError(
            "image: expected calibrated axes of image and spectra, or one grid, got one calibrated and one in pixels "
            f"({_grid(image)} and {_grid(spectra)}). Give a pixel size."
        )
    indices = []
    for dim in ("y", "x"):
        there, here = _places_nm(image, dim), _places_nm(spectra, dim)
        step = (there[-1] - there[0]) / max(1, len(there) - 1) or 1.0
        number = np.rint((here - there[0]) / step).astype(np.intp)
        number[(number < 0) | (number >= len(there))] = -1
        indices.append(number)
    if (indices[0] < 0).all() or (indices[1] < 0).all():
        raise ShapeError("spectra: expected places inside the image, got none. Do both show the same place?")
    return indices[0], indices[1]


def _is_in_pixels(image: xr.DataArray) -> bool:
    return any(image[dim].attrs.get("units", "px") == "px" for dim in ("y", "x"))


def _places_nm(image: xr.DataArray, dim: str) -> Array:
    units = str(image[dim].attrs.get("units", "px"))
    return image[dim].to_numpy().astype(float) * (1.0 if units == "px" else length_in_nm(1.0, units))


def _check_spectra_share_axes(spectra: xr.DataArray | Sequence[xr.DataArray]) -> list[xr.DataArray]:
    every = [spectra] if isinstance(spectra, xr.DataArray) else list(spectra)
    if not every:
        raise ArgumentError("spectra: expected at least one spectrum image, got none.")
    first = check_spectrum_image(every[0])
    for other in every[1:]:
        axis = spectral_axis(check_spectrum_image(other))
        if not _same_grid(first, other):
            raise ShapeError(f"spectra: expected spectrum images on one grid, got {_grid(first)} and {_grid(other)}.")
        if axis != spectral_axis(first) or not (
            other.sizes[axis] == first.sizes[axis] and np.allclose(other[axis], first[axis])
        ):
            raise ShapeError("spectra: expected spectrum images of one spectral axis, got unequal axes.")
    return every


def _same_grid(first: xr.DataArray, second: xr.DataArray) -> bool:
    return all(
        first.sizes[dim] == second.sizes[dim]
        and first[dim].attrs.get("units") == second[dim].attrs.get("units")
        and np.allclose(first[dim], second[dim])
        for dim in ("y", "x")
    )


def _grid(image: xr.DataArray) -> str:
    return f"{image.sizes['y']} x {image.sizes['x']} in {image['x'].attrs.get('units', 'no unit')}"
