"""The classical way: bright blobs by the Laplacian of a Gaussian, with a threshold that the image sets itself."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from adatom.errors import ArgumentError, ShapeError
from adatom.locate.peaks import Peaks, suppress_close

Array = NDArray[np.float64]


def find_blobs(values: Array, *, spacing_px: float) -> Peaks:
    """Bright blobs of one size.

    Parameters
    ----------
    values : (y, x), levelled; NaN where nothing was measured.
    spacing_px : typical distance of neighbours [px]; the Gaussian has a quarter of it as standard deviation.

    Returns
    -------
    Local maxima of the filtered image above the threshold, closest pairs thinned to half the spacing, all of species 0.
    `probability` is the share of the maxima that are not higher: a rank, since this method has no probability.

    Notes
    -----
    Threshold: Otsu's split of the heights of all maxima, but never above half their upper quartile, since in a clean
    lattice there is only one group to split. Source: Lindeberg, IJCV 30, 79 (1998), 10.1023/A:1008045108935; Otsu,
    IEEE Trans. SMC 9, 62 (1979), 10.1109/TSMC.1979.4310076.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ShapeError(f"values: expected a (y, x) array, got shape {values.shape}.")
    if not spacing_px > 0:
        raise ArgumentError(f"spacing_px: expected a positive number, got {spacing_px}.")
    known = np.isfinite(values)
    empty = np.zeros(0)
    nothing = Peaks.at(empty, empty, np.zeros(0, dtype=np.int64), empty)
    if not known.any() or np.ptp(values[known]) == 0:
        return nothing
    filled = np.where(known, values, np.median(values[known]))
    response = -ndimage.gaussian_laplace(filled, 0.25 * spacing_px, mode="nearest")
    top = (response == ndimage.maximum_filter(response, size=3, mode="nearest")) & (response > 0) & known
    row, column = np.nonzero(top)
    if not len(row):
        return nothing
    height = response[row, column]
    threshold = min(threshold_otsu(height) if np.ptp(height) > 0 else 0.0, 0.5 * np.percentile(height, 75))
    strong = height > threshold
    row, column, height = row[strong], column[strong], height[strong]
    kept = suppress_close(np.column_stack([column, row]).astype(float), height, 0.5 * spacing_px)
    row, column, height = row[kept], column[kept], height[kept]
    rank = (np.argsort(np.argsort(height, kind="stable"), kind="stable") + 1) / max(1, len(height))
    return Peaks.at(column.astype(float), row.astype(float), np.zeros(len(row), dtype=np.int64), rank)
