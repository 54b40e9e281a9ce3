"""Components of what surrounds atoms: scree, components as pictures, and their loadings on the image."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adatom.analyse import Decomposition
from adatom.data import check_image
from adatom.report.component_rows import ComponentRows, draw_scree, limits_about_zero, name_panel
from adatom.report.greyscale import pixel_step, show_grey
from adatom.report.scale_bar import add_scale_bar

SIGNED = "RdBu_r"


def draw_decomposition(image: xr.DataArray, atoms: pd.DataFrame, found: Decomposition) -> Figure:
    """Draw the scree and, for each component, its picture and its loading at each atom.

    Parameters
    ----------
    image : (y, x).
    atoms : the table that was described; atoms of frame 0 are drawn.
    found : the decomposition of their patches or neighbour vectors.
    """
    image = check_image(image, ndim=2).transpose("y", "x")
    step, units = pixel_step(image)
    extent = image.shape[1] * step[1], image.shape[0] * step[0]
    rows = ComponentRows(len(found.components), extent[1] / extent[0])
    figure = rows.make_figure()
    top = rows.place_top(figure)
    draw_scree(top, found.explained, found.n_suggested)
    name_panel(top, "Variance that each principal component explains")
    first = atoms["frame"].to_numpy()[found.of.rows] == 0
    places = atoms.iloc[found.of.rows[first]][["x", "y"]].to_numpy(float)
    if atoms.attrs.get("units") == "px" and units == "nm":
        places = places * np.array([step[1], step[0]])
    size = _marker_area(len(places), rows.map_size)
    for index, (name, picture) in enumerate(zip(found.names, found.pictures(), strict=True)):
        part, where = rows.place(figure, index)
        _draw_part(part, picture, found)
        name_panel(part, name)
        show_grey(where, image.values, step)
        score = found.scores[first, index]
        low, high = (0.0, limits_about_zero(score)[1]) if found.method == "nmf" else limits_about_zero(score)
        colours = "magma" if found.method == "nmf" else SIGNED
        where.scatter(places[:, 0], places[:, 1], c=score, s=size, cmap=colours, vmin=low, vmax=high, linewidths=0)
        add_scale_bar(where, rows.map_size, extent[0], units)
        name_panel(where, "loading")
    return figure


def _draw_part(axes: Axes, picture: np.ndarray, found: Decomposition) -> None:
    if found.of.is_picture:
        low, high = limits_about_zero(picture)
        if found.method == "nmf":
            axes.imshow(picture, cmap="magma", vmin=0, vmax=high)
        else:
            axes.imshow(picture, cmap=colormaps[SIGNED], vmin=low, vmax=high)
    else:
        # neighbours at their mean places, each with the way that the component moves it
        places = found.of.values.mean(axis=0).reshape(-1, 2)
        longest = float(np.linalg.norm(picture, axis=1).max()) or 1.0
        reach = float(np.linalg.norm(places, axis=1).max()) or 1.0
        arrows = 0.35 * reach * picture / longest
        axes.plot(0, 0, "o", color="#D55E00", markersize=5)
        axes.plot(*places.T, "o", color="#56B4E9", markersize=5)
        axes.quiver(*places.T, *arrows.T, angles="xy", scale_units="xy", scale=1, width=0.015)
        axes.set_xlim(-1.5 * reach, 1.5 * reach)
        axes.set_ylim(1.5 * reach, -1.5 * reach)
        axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])


def _marker_area(n: int, size: tuple[float, float]) -> float:
    """Area of a dot [pt^2] at which all of them cover a map of this size [inch]."""
    return float(np.clip(size[0] * size[1] * 72**2 / max(n, 1), 1.0, 40.0))
