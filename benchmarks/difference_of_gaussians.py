"""The plain way to find single atoms: maxima of a difference of Gaussians, in units of its own strength around."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.detection_scores import Finds, best_threshold, judge, score

Array = NDArray[np.float64]

SIGMAS_PX = (1.5, 2.0, 2.5, 3.0, 4.0)
RATIOS = (1.3, 1.6, 2.0, 2.5)
_AROUND_PX = 40
_APART_PX = 4


def difference_of_gaussians(values: Array, sigma_px: float, ratio: float) -> Finds:
    """Maxima of a difference of Gaussians of `sigma_px` and `ratio` times that; "probability" is the height."""
    response = ndimage.gaussian_filter(values, sigma_px) - ndimage.gaussian_filter(values, ratio * sigma_px)
    response /= np.sqrt(ndimage.gaussian_filter(response**2, _AROUND_PX))
    top = (response == ndimage.maximum_filter(response, size=2 * _APART_PX + 1)) & (response > 0)
    row, column = np.nonzero(top)
    return Finds(np.column_stack([column, row]).astype(float), response[row, column])


def tuned_on(images: Sequence[Array], marks: Sequence[Array], *, tolerance_px: float) -> tuple[list[Finds], float]:
    """The widths and the threshold with the best F1 on these very images: more than any user can know beforehand.

    Returns
    -------
    The finds of each image, and the threshold.
    """
    best: tuple[float, list[Finds], float] | None = None
    for sigma in SIGMAS_PX:
        for ratio in RATIOS:
            finds = [difference_of_gaussians(values, sigma, ratio) for values in images]
            judged = [judge(f, m, tolerance_px=tolerance_px) for f, m in zip(finds, marks, strict=True)]
            threshold = best_threshold(judged)
            f1 = score(judged, threshold).f1
            if best is None or f1 > best[0]:
                best = (f1, finds, threshold)
    assert best is not None
    return best[1], best[2]
