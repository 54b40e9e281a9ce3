"""What the neighbourhoods of atoms say, drawn over the image: strain, rings, defects, and how they lie."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from adatom.analyse.defects import defect_labels
from adatom.report.canvas import FONT, INK, fit_text, make_figure, place_axes, style_chart
from adatom.report.greyscale import frame_image, pixel_step, show_grey
from adatom.report.palette import species_colour
from adatom.report.panels import PanelGrid, add_class_legend, add_legend
from adatom.report.scale_bar import add_scale_bar

Box = tuple[float, float, float, float]
Curve = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

_NAMES = {"exx": "strain xx [%]", "eyy": "strain yy [%]", "exy": "strain xy [%]", "rotation": "rotation [°]"}
_IN_PERCENT = 100.0
_CROPS = 24
_LEGEND_COLUMNS = 2
# Rings by size, the usual six in pale grey.
_RING = {3: "#0072B2", 4: "#56B4E9", 5: "#009E73", 6: "#DDDDDD", 7: "#E69F00", 8: "#D55E00"}
_LARGER = "#CC79A7"


def draw_strain(atoms: pd.DataFrame, box: Box) -> Figure:
    """Strain and rotation around each atom, each on a scale of its own about 0.

    Parameters
    ----------
    atoms : with ``x``, ``y``, ``exx``, ``eyy``, ``exy``, ``rotation``; NaN where not known.
    box : left, top, right, bottom of the image in the unit of the positions.
    """
    left, top, right, bottom = box
    aspect = (bottom - top) / (right - left)
    grid = PanelGrid(n_panels=4, columns=2, aspect=aspect, gap=0.75, head=0.25, side=0.75)
    figure = grid.make_figure()
    width, height = grid.panel_size
    for index, (name, title) in enumerate(_NAMES.items()):
        axes = grid.place(figure, index)
        values = atoms[name].to_numpy() * (_IN_PERCENT if name != "rotation" else np.degrees(1.0))
        known = np.isfinite(values)
        most = float(np.quantile(np.abs(values[known]), 0.98)) if known.any() else 1.0
        most = most if most > 0 else 1.0
        size = _spot_size(atoms, box, (width, height))
        drawn = axes.scatter(
            atoms["x"][known], atoms["y"][known], c=values[known], s=size, cmap="RdBu_r", vmin=-most, vmax=most, lw=0
        )
        _frame_box(axes, box)
        axes.set_title(title, fontsize=FONT, color=INK, pad=3, loc="left")
        place = axes.get_position()
        bar = figure.colorbar(
            drawn,
            cax=place_axes(
                figure,
                place.x1 * figure.get_figwidth() + 0.06,
                place.y0 * figure.get_figheight(),
                0.09,
                place.height * figure.get_figheight(),
            ),
        )
        bar.ax.tick_params(labelsize=FONT - 1, width=0.6, length=2, color=INK, labelcolor=INK)
        bar.outline.set_linewidth(0.5)
    return figure


def draw_rings(atoms: pd.DataFrame, rings: pd.DataFrame, box: Box) -> Figure:
    """Every ring in the colour of its size, with how many there are of each."""
    left, top, right, bottom = box
    grid = PanelGrid(n_panels=1, columns=1, aspect=(bottom - top) / (right - left), head=0.0, foot=0.5)
    figure = grid.make_figure()
    axes = grid.place(figure, 0)
    place = atoms[["x", "y"]].set_axis(atoms.index.astype(str))
    polygons = [place.loc[members.split(" ")].to_numpy() for members in rings["atoms"]]
    colours = [_ring_colour(size) for size in rings["size"]]
    axes.add_collection(PolyCollection(polygons, facecolors=colours, edgecolors="white", linewidths=0.3))
    _frame_box(axes, box)
    counts = rings["size"].value_counts().sort_index()
    small = [int(size) for size in counts.index if size in _RING]
    labels = [f"{size} ({counts[size]})" for size in small]
    larger = int(counts[[size for size in counts.index if size not in _RING]].sum())
    if larger:
        small, labels = [*small, 0], [*labels, f"larger ({larger})"]
    add_class_legend(figure, [_ring_colour(size) for size in small], labels)
    return figure


def draw_defects(image: xr.DataArray | None, atoms: pd.DataFrame, defects: pd.DataFrame, box: Box) -> Figure:
    """Each defect ringed in the colour of its name over the image, or over the atoms, with counts in the legend."""
    left, top, right, bottom = box
    aspect = (bottom - top) / (right - left)
    called = defect_labels(defects)
    names = sorted(set(called))
    lines = -(-max(1, len(names)) // _LEGEND_COLUMNS)
    grid = PanelGrid(n_panels=1, columns=1, aspect=aspect, head=0.0, foot=0.12 + 0.2 * lines)
    figure = grid.make_figure()
    axes = grid.place(figure, 0)
    if image is None:
        axes.scatter(atoms["x"], atoms["y"], s=0.3 * _spot_size(atoms, box, grid.panel_size), c="#999999", lw=0)
        _frame_box(axes, box)
    else:
        step, units = pixel_step(image)
        step = step if atoms.attrs["units"] == "nm" else (1.0, 1.0)
        show_grey(axes, image.to_numpy(), step)
        add_scale_bar(
            axes, grid.panel_size, image.sizes["x"] * step[1], units if atoms.attrs["units"] == "nm" else "px"
        )
    size = 3.0 * _spot_size(atoms, box, grid.panel_size)
    for number, name in enumerate(names):
        mine = defects[called == name]
        axes.scatter(mine["x"], mine["y"], s=size, facecolors="none", edgecolors=species_colour(number), linewidths=1.0)
    labels = [f"{fit_text(name, 1.4, max_lines=1)} ({(called == name).sum()})" for name in names] or ["no defects"]
    marks = [
        Line2D([], [], marker="o", linestyle="", markerfacecolor="none", markeredgecolor=species_colour(number))
        for number in range(max(1, len(names)))
    ]
    add_legend(figure, marks, labels, columns=_LEGEND_COLUMNS)
    return figure


def draw_defect_crops(image: xr.DataArray, defects: pd.DataFrame, side: float, units: str) -> Figure:
    """The likeliest defects of each name, each as the image shows it, `side` wide in the unit `units` of the table."""
    step, _ = pixel_step(image)
    step = step if units == "nm" else (1.0, 1.0)
    values = image.to_numpy()
    defects = defects.assign(name=defect_labels(defects))
    chosen = defects.groupby("name", sort=True).head(max(1, _CROPS // max(1, defects["name"].nunique()))).head(_CROPS)
    grid = PanelGrid(n_panels=len(chosen), columns=min(6, max(2, len(chosen))), aspect=1.0, head=0.34, gap=0.1)
    figure = grid.make_figure()
    columns = (chosen[name] for name in ("x", "y", "name", "probability"))
    for index, (at_x, at_y, name, probability) in enumerate(zip(*columns, strict=True)):
        axes = grid.place(figure, index)
        x, y = float(at_x) / step[1], float(at_y) / step[0]
        half_x, half_y = 0.5 * side / step[1], 0.5 * side / step[0]
        first_row, first_column = max(0, int(y - half_y)), max(0, int(x - half_x))
        part = values[first_row : int(y + half_y) + 2, first_column : int(x + half_x) + 2]
        if part.size:
            show_grey(axes, part)
        around: dict[str, Any] = {"markersize": 16, "markerfacecolor": "none", "markeredgecolor": species_colour(0)}
        axes.plot(x - first_column, y - first_row, "o", markeredgewidth=0.9, **around)
        sure = "" if np.isnan(probability) else f" {probability:.2f}"
        title = fit_text(f"{name}{sure}", grid.panel_size[0], fontsize=FONT - 1)
        axes.set_title(title, fontsize=FONT - 1, color=INK, pad=2, loc="left", parse_math=False)
    return figure


def draw_statistics(curves: Mapping[str, Curve], units: str, *, level: Sequence[float]) -> Figure:
    """Statistics of distances with the band of complete randomness.

    Parameters
    ----------
    curves : title to distance, value, and the band's low and high edge.
    level : what each would be at random.
    """
    n = len(curves)
    width, height = 2.7, 1.9
    rows = -(-n // 2)
    figure = make_figure(2 * (width + 0.75), rows * (height + 0.75))
    for index, (title, (distance, value, low, high)) in enumerate(curves.items()):
        row, column = divmod(index, 2)
        bottom = (rows - 1 - row) * (height + 0.75) + 0.5
        axes = place_axes(figure, 0.6 + column * (width + 0.75), bottom, width, height)
        axes.fill_between(distance, low, high, color="#CCCCCC", lw=0)
        axes.axhline(level[index], color=INK, lw=0.5, ls=":")
        axes.plot(distance, value, color=species_colour(6), lw=1.0)
        axes.set_title(
            fit_text(title, width, max_lines=1), fontsize=FONT, color=INK, loc="left", pad=3, parse_math=False
        )
        axes.set_xlabel(f"distance [{units}]")
        style_chart(axes)
    return figure


def draw_displacements(atoms: pd.DataFrame, box: Box) -> Figure:
    """How far each atom is from its site, as arrows, enlarged so that they are seen."""
    left, top, right, bottom = box
    grid = PanelGrid(n_panels=1, columns=1, aspect=(bottom - top) / (right - left), head=0.25)
    figure = grid.make_figure()
    axes = grid.place(figure, 0)
    known = atoms[["displacement_x", "displacement_y"]].notna().all(axis=1)
    start = atoms.loc[known, ["x", "y"]].to_numpy()
    way = atoms.loc[known, ["displacement_x", "displacement_y"]].to_numpy()
    length = np.hypot(*way.T)
    typical = float(np.median(length)) if len(length) else 0.0
    times = 0.4 * _apart(atoms, box) / typical if typical > 0 else 1.0
    colours = 0.85 * colormaps["hsv"](np.arctan2(way[:, 1], way[:, 0]) / (2 * np.pi) + 0.5)[:, :3]
    arrows = [np.stack([one, one + times * other]) for one, other in zip(start, way, strict=True)]
    axes.add_collection(LineCollection(arrows, colors=colours, linewidths=0.9))
    _frame_box(axes, box)
    units = atoms.attrs["units"]
    title = f"from their sites, {times:.0f} x enlarged (median {typical:.3g} {units})"
    axes.set_title(title, fontsize=FONT, color=INK, pad=3, loc="left")
    return figure


def _ring_colour(size: int) -> str:
    return _RING.get(size, _LARGER)


def _apart(atoms: pd.DataFrame, box: Box) -> float:
    left, top, right, bottom = box
    return float(np.sqrt((right - left) * (bottom - top) / max(1, len(atoms))))


def _spot_size(atoms: pd.DataFrame, box: Box, panel: tuple[float, float]) -> float:
    """Area of a spot [pt^2] that leaves a little room between atoms."""
    inches = _apart(atoms, box) / (box[2] - box[0]) * panel[0]
    return float(np.clip((0.8 * inches * 72) ** 2, 0.3, 60.0))


def _frame_box(axes: Axes, box: Box) -> None:
    frame_image(axes, (1, 1))
    axes.set_xlim(box[0], box[2])
    axes.set_ylim(box[3], box[1])
