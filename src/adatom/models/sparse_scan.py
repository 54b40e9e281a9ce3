"""A scan of which only some pixels were measured, as a whole image with its error bars."""

import numpy as np
import xarray as xr

from adatom.errors import ArgumentError, ShapeError
from adatom.models.gaussian_process_regressor import GaussianProcessRegressor

_FEWEST = 3  # measured pixels


def reconstruct_scan(image: xr.DataArray, *, model: GaussianProcessRegressor | None = None) -> xr.Dataset:
    """What a Gaussian process says of all pixels, those not measured too.

    Parameters
    ----------
    image : (y, x), NaN where nothing was measured; x and y in any unit, pixels where there are none.
    model : of which a copy with the same arguments learns; by default a Matern 5/2 kernel with one length scale for
        each axis.

    Returns
    -------
    ``image`` and ``std`` (y, x), the true value without noise and its standard deviation, in the unit of the image and
    on its coordinates.

    Raises
    ------
    ShapeError : if the image has other dimensions than y and x.
    ArgumentError : if fewer than three pixels were measured, or some are infinite.
    """
    if set(image.dims) != {"y", "x"}:
        raise ShapeError(f"image: expected dimensions y and x, got {', '.join(map(str, image.dims)) or 'none'}.")
    scan = image.transpose("y", "x")
    values = scan.to_numpy().astype(float)
    known = ~np.isnan(values)
    if known.sum() < _FEWEST:
        raise ArgumentError(f"image: expected {_FEWEST} measured pixels or more, got {known.sum()}.")
    if np.isinf(values).any():
        raise ArgumentError(f"image: expected finite values, and NaN where none is, got {np.isinf(values).sum()} inf.")
    y, x = (
        scan[axis].to_numpy().astype(float) if axis in scan.coords else np.arange(float(scan.sizes[axis]))
        for axis in ("y", "x")
    )
    places = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
    arguments = model.get_params() if model is not None else {}
    learned = GaussianProcessRegressor(**arguments).fit(places[known], values[known])
    told = learned.posterior(places.reshape(-1, 2))
    mean, std = (each[:, 0].reshape(values.shape) for each in (told.mean, told.std))
    result = xr.Dataset({"image": scan.copy(data=mean), "std": scan.copy(data=std)})
    return result.transpose(*image.dims)
