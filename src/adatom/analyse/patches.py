"""Patches of an image around its atoms, each centred on its atom to a fraction of a pixel."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy import ndimage

from adatom.analyse.descriptors import Array, Descriptors
from adatom.data import check_atoms, check_image, pixel_size_nm
from adatom.errors import ArgumentError, UnitError

_SPLINE = 3
# A cubic spline rings this far around a pixel that is missing, with less than 1 % of its error beyond [px].
_RINGING_PX = 3
# Standard deviation of a box 1 wide.
_BOX = 12**-0.5


def patches_around_atoms(
    image: xr.DataArray,
    atoms: pd.DataFrame,
    size: float,
    *,
    standardise: bool = False,
    step: float | None = None,
) -> Descriptors:
    """Cut a square patch around each atom.

    Parameters
    ----------
    image : (y, x) or (frame, y, x).
    atoms : its atoms.
    size : side of a patch, in the unit of the atoms (nm, or px where the image is not calibrated).
    standardise : whether each patch gets mean 0 and deviation 1, so that brightness and contrast play no part.
    step : width of a patch's pixel in the unit of the atoms; by default the narrower side of the image's. For a wider
        one the image is smoothed first, as pixels of that width would be.

    Returns
    -------
    Descriptors of an odd number of pixels a side. Atoms whose patch
    reaches beyond the image, or touches pixels without a value, are left out; so are flat patches where patches are
    standardised.

    Raises
    ------
    ArgumentError : if `size` is below 3 pixels or above the image.
    UnitError : if atoms are in nm and the image is not calibrated.
    """
    image = check_image(image)
    frames = (
        image.transpose("frame", "y", "x")
        if "frame" in image.dims
        else image.expand_dims("frame").transpose("frame", "y", "x")
    )
    units = check_atoms(atoms).attrs["units"]
    pixel = pixel_size_nm(image)
    if units == "nm" and pixel is None:
        raise UnitError("image: expected a calibrated one for atoms in nm, got one in px. Give its pixel size.")
    height, width = (1.0, 1.0) if units != "nm" or pixel is None else pixel
    if step is not None and not (np.isfinite(step) and step > 0):
        raise ArgumentError(f"step: expected a length above 0, got {step}.")
    step = min(height, width) if step is None else step
    smooth = tuple(_BOX * np.sqrt(max((step / side) ** 2 - 1, 0.0)) for side in (height, width))
    half = int(size / step / 2 + 1e-6) if np.isfinite(size) else 0
    shortest = min(frames.sizes["y"] * height, frames.sizes["x"] * width)
    if not (half >= 1 and size < shortest):
        raise ArgumentError(f"size: expected 3 pixels ({3 * step:.3g} {units}) to {shortest:.3g} {units}, got {size}.")
    along = np.arange(-half, half + 1) * step
    offset_y, offset_x = np.meshgrid(along / height, along / width, indexing="ij")  # (m, m) in pixels
    x, y = atoms["x"].to_numpy(float) / width, atoms["y"].to_numpy(float) / height
    rows, columns = frames.sizes["y"], frames.sizes["x"]
    reach_x, reach_y = half * step / width, half * step / height
    whole = (x >= reach_x) & (x <= columns - 1 - reach_x) & (y >= reach_y) & (y <= rows - 1 - reach_y)
    number = atoms["frame"].to_numpy()
    values, kept = [], []
    for frame in np.unique(number[whole]):
        if not 0 <= frame < frames.sizes["frame"]:
            raise ArgumentError(f"atoms: expected frames 0 to {frames.sizes['frame'] - 1}, got {frame}.")
        mine = np.flatnonzero(whole & (number == frame))
        picture = np.asarray(frames.isel(frame=int(frame)), dtype=float)
        picture = _smoothed(picture, smooth)
        cut, measured = _cut(picture, x[mine], y[mine], offset_x, offset_y)
        values.append(cut[measured])
        kept.append(mine[measured])
    cut = np.concatenate(values) if values else np.zeros((0, offset_x.size))
    row = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
    if standardise:
        deviation = cut.std(axis=1)
        uneven = deviation > 1e-9 * np.abs(cut).max(axis=1, initial=0)
        cut, row = cut[uneven], row[uneven]
        cut = (cut - cut.mean(axis=1, keepdims=True)) / deviation[uneven][:, None]
    order = np.argsort(row)
    return Descriptors(cut[order], row[order], offset_x.shape, step, units)


def _smoothed(picture: Array, deviations: tuple[float, ...]) -> Array:
    """The picture as wider pixels see it, what is missing left missing."""
    if max(deviations) == 0:
        return picture
    known = np.isfinite(picture)
    if known.all():
        return np.asarray(ndimage.gaussian_filter(picture, deviations))
    weight = ndimage.gaussian_filter(known.astype(float), deviations)
    total = ndimage.gaussian_filter(np.where(known, picture, 0.0), deviations)
    return np.where(known, total / np.where(known, weight, 1.0), np.nan)


def _cut(picture: Array, x: Array, y: Array, offset_x: Array, offset_y: Array) -> tuple[Array, Array]:
    """Patches (n, pixel) by spline interpolation, and whether each touches measured pixels only (n,)."""
    missing = ~np.isfinite(picture)
    places = np.stack([y[:, None] + offset_y.ravel(), x[:, None] + offset_x.ravel()])  # (2, n, pixel)
    touched = np.zeros(len(x), dtype=bool)
    if missing.any():
        middle = 0.0 if missing.all() else float(np.median(picture[~missing]))
        picture = np.where(missing, middle, picture)
        near = ndimage.binary_dilation(missing, iterations=_RINGING_PX)
        touched = near[np.rint(places[0]).astype(int), np.rint(places[1]).astype(int)].any(axis=1)
    cut: Array = ndimage.map_coordinates(picture, places, order=_SPLINE, mode="nearest")
    return cut, ~touched
