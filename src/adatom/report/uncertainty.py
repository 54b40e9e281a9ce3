"""What an ensemble does not know of an image, pixel by pixel, and why."""

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adatom.data import check_image
from adatom.errors import ShapeError
from adatom.report.canvas import FONT, INK, fit_text, place_axes
from adatom.report.greyscale import frame_image, pixel_step, show_grey, shrink
from adatom.report.palette import NO_DATA
from adatom.report.panels import PanelGrid
from adatom.report.scale_bar import add_scale_bar

# Panels: title, and what is drawn; all end at what one coin thrown leaves open, or half the range of a probability.
_FULL = {"entropy_data": float(np.log(2)), "entropy_model": float(np.log(2)), "probability_std": 0.5}
_TITLES = {
    "entropy_data": "left open by data",
    "entropy_model": "models disagree",
    "probability_std": "spread of models",
}


def draw_uncertainty(image: xr.DataArray, doubts: xr.Dataset) -> Figure:
    """Draw an image and, beside it, the doubts of an ensemble: the entropy that each of its models states, the one that
    comes from their disagreement, and the standard deviation of the probability of an atom between them.

    Parameters
    ----------
    image : (y, x).
    doubts : ``entropy_data``, ``entropy_model`` (y, x) [nat] and ``probability_std`` (class, y, x), background first,
        the pixels of `image`.

    Raises
    ------
    ShapeError : if `image` has not two dimensions, or `doubts` are not of this image.
    """
    image = check_image(image, ndim=2).transpose("y", "x")
    shapes = {name: dict(doubts[name].isel({"class": 0}, missing_dims="ignore").sizes) for name in _FULL}
    if any(shape != dict(image.sizes) for shape in shapes.values()):
        raise ShapeError(f"doubts: expected maps of {dict(image.sizes)}, got {shapes}.")
    step, units = pixel_step(image)
    aspect = image.shape[0] * step[0] / (image.shape[1] * step[1])
    grid = PanelGrid(n_panels=4, columns=1 if aspect < 0.3 else 4 if aspect > 0.7 else 2, aspect=aspect, side=0.45)
    figure = grid.make_figure()
    width, height = grid.panel_size
    axes = grid.place(figure, 0)
    show_grey(axes, image.values, step)
    add_scale_bar(axes, (width, height), image.shape[1] * step[1], units)
    _name(axes, "image", width)
    for index, (name, title) in enumerate(_TITLES.items(), start=1):
        axes = grid.place(figure, index)
        values: NDArray[np.float64] = doubts[name].isel({"class": 0}, missing_dims="ignore").transpose("y", "x").values
        shown, factor = shrink(values / _FULL[name])
        rows, across = shown.shape[0] * factor, shown.shape[1] * factor
        drawn = axes.imshow(
            shown,
            cmap=colormaps["magma"].with_extremes(bad=NO_DATA),
            vmin=0,
            vmax=1,
            extent=(-0.5 * step[1], (across - 0.5) * step[1], (rows - 0.5) * step[0], -0.5 * step[0]),
            aspect="auto",
        )
        frame_image(axes, (image.shape[0], image.shape[1]), step)
        _name(axes, title, width)
    right = figure.get_figwidth() - 0.45
    bar = figure.colorbar(drawn, cax=place_axes(figure, right, 0.08, 0.09, height), ticks=[0, 1])
    bar.ax.set_yticklabels(["none", "full"])
    bar.ax.tick_params(labelsize=FONT - 1, width=0.6, length=2, color=INK, labelcolor=INK)
    bar.outline.set_linewidth(0.5)
    return figure


def _name(axes: Axes, title: str, width: float) -> None:
    axes.set_title(fit_text(title, width, max_lines=1), fontsize=FONT, color=INK, pad=3, loc="left", parse_math=False)
