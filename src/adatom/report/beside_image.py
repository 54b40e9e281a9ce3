"""A measured image, the image of a structure, and what is left, side by side."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adatom.errors import ShapeError
from adatom.report.canvas import FONT, INK
from adatom.report.greyscale import frame_image, shrink
from adatom.report.palette import NO_DATA
from adatom.report.panels import PanelGrid
from adatom.report.scale_bar import add_scale_bar

_NAMES = ("measured", "simulated from the structure", "measured less simulated")
_MOST = 5.0  # standard deviations at the ends of the colours of what is left
_MARK = "#D55E00"
_RADIUS = 7.0  # [pt], of a mark
_FOOT = 0.35  # [inch]


def draw_beside_image(
    measured: np.ndarray,
    simulated: np.ndarray,
    residual: np.ndarray,
    contradicted: pd.DataFrame,
    *,
    pixel_nm: float,
    text: str = "",
) -> Figure:
    """Draw three panels: two in the same grey, and what is left in colours, with what the image contradicts marked.

    Parameters
    ----------
    measured, simulated : (y, x) in one unit.
    residual : (y, x) in standard deviations of the noise.
    contradicted : places x, y [nm] that get a mark.
    text : below, such as the score.

    Raises
    ------
    ShapeError : if the images are not of one shape.
    """
    images = [np.asarray(image, dtype=float) for image in (measured, simulated, residual)]
    if images[0].ndim != 2 or any(image.shape != images[0].shape for image in images):
        raise ShapeError(f"images: expected three (y, x) of one shape, got {[image.shape for image in images]}.")
    known = images[0][np.isfinite(images[0])]
    low, high = np.quantile(known, (0.01, 0.99)) if known.size else (0.0, 1.0)
    rows, columns = images[0].shape
    grid = PanelGrid(3, 3, rows / columns, foot=_FOOT)
    figure = grid.make_figure()
    step = (pixel_nm, pixel_nm)
    # what a model of a real image leaves is more than noise: colours reach as far as nearly all of it
    left = np.abs(images[2][np.isfinite(images[2])])
    most = max(_MOST, float(np.quantile(left, 0.99))) if left.size else _MOST
    limits = ((low, high), (low, high), (-most, most))
    for index, (image, name, ends) in enumerate(zip(images, _NAMES, limits, strict=True)):
        axes = grid.place(figure, index)
        _show(axes, image, "gray" if index < 2 else "RdBu_r", ends, step)
        axes.set_title(name, fontsize=FONT, color=INK, pad=3)
        if index == 0:
            width, height = grid.panel_size
            add_scale_bar(axes, (width, height), columns * pixel_nm, "nm")
        else:
            axes.plot(
                contradicted["x"], contradicted["y"], "o", markersize=_RADIUS, markeredgewidth=0.8, fillstyle="none",
                color=_MARK,
            )  # fmt: skip
    figure.text(
        0.01,
        0.02,
        f"{text}\nRed: brighter than the structure would be, blue: dimmer, up to {most:.3g} standard deviations of the "
        "noise. Circles: contradicted.",
        fontsize=FONT - 1,
        color=INK,
        ha="left",
        va="bottom",
        parse_math=False,
    )
    return figure


def _show(axes: Axes, image: np.ndarray, colours: str, ends: tuple[float, float], step: tuple[float, float]) -> None:
    small, factor = shrink(image)
    height, width = small.shape[0] * factor, small.shape[1] * factor
    axes.imshow(
        np.ma.masked_invalid(small),
        cmap=colormaps[colours].with_extremes(bad=NO_DATA),
        vmin=ends[0],
        vmax=ends[1] if ends[1] > ends[0] else ends[0] + 1,
        extent=(-0.5 * step[1], (width - 0.5) * step[1], (height - 0.5) * step[0], -0.5 * step[0]),
        interpolation="auto",
        origin="upper",
        aspect="auto",
    )
    frame_image(axes, image.shape, step)
