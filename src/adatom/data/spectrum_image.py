"""Spectrum images: `xarray.DataArray` with dimensions y, x and one of energy, bias, time."""

import numpy as np
import xarray as xr

from adatom.data.image import check_image
from adatom.errors import ShapeError, UnitError

SPECTRAL_DIMENSIONS = ("energy", "bias", "time")


def spectral_axis(image: xr.DataArray) -> str:
    """Name of the spectral dimension of a spectrum image."""
    found = [name for name in SPECTRAL_DIMENSIONS if name in image.dims]
    if len(found) != 1:
        raise ShapeError(
            f"spectra: expected one axis out of {', '.join(SPECTRAL_DIMENSIONS)}, got dimensions {image.dims}."
        )
    return found[0]


def check_spectrum_image(image: xr.DataArray) -> xr.DataArray:
    """Return `image` unchanged if it is a spectrum image with at least two points a spectrum.

    Raises
    ------
    ShapeError : if it has other dimensions than y, x and one of energy, bias, time, or one point a spectrum.
    UnitError : if the spectral axis has no coordinate, or a value on it is not finite.
    """
    check_image(image, ndim=3)
    axis = spectral_axis(image)
    if image.sizes[axis] < 2:
        raise ShapeError(f"spectra: expected at least two points along {axis}, got {image.sizes[axis]}.")
    if axis not in image.coords or not np.isfinite(image[axis].to_numpy().astype(float)).all():
        raise UnitError(f"spectra: expected a number at each place of axis {axis}. Give coordinates to make_image.")
    return image
