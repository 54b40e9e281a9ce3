"""What a network says about an image: for each class, how probable it is, pixel by pixel."""

import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure

from adatom.data import check_image
from adatom.errors import ShapeError
from adatom.report.canvas import FONT, INK, fit_text, place_axes
from adatom.report.greyscale import frame_image, pixel_step, show_grey, shrink
from adatom.report.palette import NO_DATA
from adatom.report.panels import PanelGrid
from adatom.report.scale_bar import add_scale_bar


def draw_maps(image: xr.DataArray, maps: xr.DataArray) -> Figure:
    """Draw an image and, beside it, the probability map of each class on one scale from 0 to 1.

    Parameters
    ----------
    image : (y, x).
    maps : (class, y, x), the pixels of `image`; the coordinate `class` holds the names.

    Raises
    ------
    ShapeError : if `image` has not two dimensions, or `maps` are not maps of this image.
    """
    image = check_image(image, ndim=2).transpose("y", "x")
    if set(maps.dims) != {"class", "y", "x"} or {"y": maps.sizes["y"], "x": maps.sizes["x"]} != dict(image.sizes):
        raise ShapeError(
            f"maps: expected dimensions (class, y, x) with y, x = {image.shape}, got {maps.dims} of {maps.shape}."
        )
    maps = maps.transpose("class", "y", "x")
    step, units = pixel_step(image)
    n_panels = 1 + maps.sizes["class"]
    aspect = image.shape[0] * step[0] / (image.shape[1] * step[1])
    columns = min(n_panels, 1 if aspect < 0.3 else 4 if aspect > 0.7 else 2)
    grid = PanelGrid(n_panels=n_panels, columns=columns, aspect=aspect, side=0.45)
    figure = grid.make_figure()
    width, height = grid.panel_size

    axes = grid.place(figure, 0)
    show_grey(axes, image.values, step)
    add_scale_bar(axes, (width, height), image.shape[1] * step[1], units)
    names = ["image", *(str(name) for name in maps["class"].values)]
    drawn = None
    for index, name in enumerate(names):
        if index > 0:
            axes = grid.place(figure, index)
            values, factor = shrink(maps.values[index - 1])
            rows, across = values.shape[0] * factor, values.shape[1] * factor
            drawn = axes.imshow(
                values,
                cmap=colormaps["magma"].with_extremes(bad=NO_DATA),
                vmin=0,
                vmax=1,
                extent=(-0.5 * step[1], (across - 0.5) * step[1], (rows - 0.5) * step[0], -0.5 * step[0]),
                aspect="auto",
            )
            frame_image(axes, (image.shape[0], image.shape[1]), step)
        axes.set_title(
            fit_text(name, width, max_lines=1), fontsize=FONT, color=INK, pad=3, loc="left", parse_math=False
        )
    if drawn is not None:
        right = figure.get_figwidth() - 0.45
        bar = figure.colorbar(drawn, cax=place_axes(figure, right, 0.08, 0.09, height), ticks=[0, 0.5, 1])
        bar.ax.tick_params(labelsize=FONT - 1, width=0.6, length=2, color=INK, labelcolor=INK)
        bar.ax.set_title("p", fontsize=FONT, color=INK, pad=3, fontstyle="italic")
        bar.outline.set_linewidth(0.5)
    return figure
