"""Images in grey: contrast that outliers, tilt and missing values cannot spoil."""

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes

from adatom.data import pixel_size_nm
from adatom.report.palette import NO_DATA

MAX_SIDE = 2048  # more pixels than a figure shows


def pixel_step(image: xr.DataArray) -> tuple[tuple[float, float], str]:
    """Size of a pixel along (y, x), and the unit it is drawn in: nm, or px where the image is not calibrated."""
    size = pixel_size_nm(image)
    return ((1.0, 1.0), "px") if size is None else (size, "nm")


def show_grey(axes: Axes, values: np.ndarray, step: tuple[float, float] = (1.0, 1.0)) -> None:
    """Draw an image in grey, with a border and no ticks.

    Parameters
    ----------
    values : (y, x), any real numbers; what is not finite is drawn in a neutral colour.
    step : size of a pixel along (y, x), the unit of the axes; the centre of the first pixel is (0, 0).
    """
    rows, columns = values.shape
    small, factor = shrink(values)
    grey = grey_levels(small)
    height, width = small.shape[0] * factor, small.shape[1] * factor
    axes.imshow(
        np.ma.masked_invalid(grey),
        cmap=colormaps["gray"].with_extremes(bad=NO_DATA),
        vmin=0,
        vmax=1,
        extent=(-0.5 * step[1], (width - 0.5) * step[1], (height - 0.5) * step[0], -0.5 * step[0]),
        interpolation="auto",
        origin="upper",
        aspect="auto",
    )
    frame_image(axes, (rows, columns), step)


def frame_image(axes: Axes, shape: tuple[int, int], step: tuple[float, float] = (1.0, 1.0)) -> None:
    """Close the axes tightly around an image of this shape: a thin border, no ticks."""
    axes.set_xlim(-0.5 * step[1], (shape[1] - 0.5) * step[1])
    axes.set_ylim((shape[0] - 0.5) * step[0], -0.5 * step[0])
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.5, color="#444444")


def grey_levels(values: np.ndarray) -> np.ndarray:
    """Bring an image to 0 ... 1 between its 1st and 99th percentile; NaN stays NaN.

    A tilt as large as half of what is left without it is taken out first (for display only): otherwise it would use up
    the greys of the atoms.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return np.full(values.shape, np.nan)
    plane = _fit_plane(values, finite)
    level = values - plane
    if np.ptp(plane) > 0.5 * np.ptp(np.percentile(level[finite], (1, 99))):
        values = level
    low, high = np.percentile(values[finite], (1, 99))
    if not high > low:  # flat but for less than 1 % of it
        low, high = values[finite].min(), values[finite].max()
    if not high > low:
        return np.where(finite, 0.5, np.nan)
    with np.errstate(invalid="ignore"):
        return np.clip((values - low) / (high - low), 0, 1)


def _fit_plane(values: np.ndarray, finite: np.ndarray) -> np.ndarray:
    thin = (slice(None, None, max(values.shape) // 256 + 1),) * 2  # some pixels are enough to see a tilt
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in values.shape), indexing="ij", sparse=True)
    known = finite[thin]
    terms = np.stack([t[known] for t in np.broadcast_arrays(1.0, y[thin[0]], x[:, thin[1]])], axis=-1)  # (pixel, 3)
    offset, slope_y, slope_x = np.linalg.lstsq(terms, values[thin][known], rcond=None)[0]
    return np.asarray(offset + slope_y * y + slope_x * x)


def shrink(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Average blocks of pixels until no side is longer than `MAX_SIDE`; a block without a value is NaN."""
    values = np.asarray(values, float)
    factor = -(-max(values.shape) // MAX_SIDE)
    if factor <= 1:
        return np.where(np.isfinite(values), values, np.nan), 1
    rows, columns = (-(-n // factor) for n in values.shape)
    padding = [(0, rows * factor - values.shape[0]), (0, columns * factor - values.shape[1])]
    blocks = np.pad(values, padding, constant_values=np.nan).reshape(rows, factor, columns, factor)
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3))
    total = np.where(known, blocks, 0).sum(axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), factor
