"""Domains on the image: each atom in the colour of its class, and the walls between them."""

import numpy as np
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from adatom.analyse import Domains
from adatom.data import check_image, spacing
from adatom.report.canvas import place_axes
from adatom.report.greyscale import pixel_step, show_grey
from adatom.report.palette import species_colour
from adatom.report.panels import MARGIN, PanelGrid, add_class_legend
from adatom.report.scale_bar import add_scale_bar, length_label

WALL = "#FFFFFF"


def draw_domains(image: xr.DataArray, domains: Domains) -> Figure:
    """Draw the image with its atoms in the colours of their classes, and white walls.

    Parameters
    ----------
    image : (y, x).
    domains : of its atoms; those of frame 0 are drawn.
    """
    image = check_image(image, ndim=2).transpose("y", "x")
    step, units = pixel_step(image)
    atoms, walls = (table[table["frame"] == 0] for table in (domains.atoms, domains.walls))
    scale = np.array([step[1], step[0]]) if domains.atoms.attrs.get("units") == "px" and units == "nm" else np.ones(2)
    extent = image.shape[1] * step[1], image.shape[0] * step[0]
    grid = PanelGrid(n_panels=1, columns=1, aspect=extent[1] / extent[0], foot=0.5)
    width = 5.0 if extent[1] <= extent[0] else 5.0 * extent[0] / extent[1]
    height = width * extent[1] / extent[0]
    figure = grid.make_figure()
    figure.set_size_inches(width + 2 * MARGIN, height + grid.foot + 2 * MARGIN)
    axes = place_axes(figure, MARGIN, MARGIN + grid.foot, width, height)
    show_grey(axes, image.values, step)
    near = spacing(atoms) * float(scale.mean())
    radius = 0.25 * (near if np.isfinite(near) else 0.02 * extent[0]) * width / extent[0] * 72
    known = atoms[atoms["class"] > 0]
    for kind in sorted(known["class"].unique()):
        places = known[known["class"] == kind][["x", "y"]].to_numpy(float) * scale
        dot = (2 * max(radius, 0.8)) ** 2  # [pt^2]
        axes.scatter(places[:, 0], places[:, 1], s=dot, color=species_colour(kind - 1), linewidths=0)
    ends = walls[["x0", "y0", "x1", "y1"]].to_numpy(float).reshape(-1, 2, 2) * scale
    for colour, line_width in (("black", 3.2), (WALL, 1.8)):
        axes.add_collection(LineCollection(list(ends), colors=colour, linewidths=line_width, capstyle="round"))
    add_scale_bar(axes, (width, height), extent[0], units)
    length = float(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum())
    counts = known["class"].value_counts().sort_index()
    told = length_label(float(f"{length:.3g}"), units) if length > 0 else "none"
    labels = [f"class {kind}: {count} atoms" for kind, count in counts.items()]
    add_class_legend(
        figure,
        [*(species_colour(int(kind) - 1) for kind in counts.index), "#777777"],
        [*labels, f"walls: {told}"],
    )
    return figure
