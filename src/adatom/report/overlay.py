"""The image with its atoms on it: the figure one puts into a paper."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.markers import MarkerStyle
from matplotlib.patches import Patch

from adatom.data import check_atoms, check_image, spacing
from adatom.errors import UnitError
from adatom.report.canvas import FONT, INK, fit_text, make_figure, place_axes
from adatom.report.greyscale import pixel_step, show_grey
from adatom.report.layout import COLUMN_GAP, OverlayLayout
from adatom.report.palette import NO_DATA, species_colour, species_mark
from adatom.report.scale_bar import add_scale_bar

LONG_SIDE = 6.5, 9.5  # [inch], of the drawn image: usual, and with many atoms or pixels
SMALLEST_RADIUS = 1.3  # [pt], of a circle that still shows its colour
LARGEST_RADIUS = 11.0  # [pt], of a circle around an atom with no neighbour near ...
LARGEST_RADIUS_PX = 2.4  # ... unless the pixels are that large
UNSURE = 0.5  # below this probability an atom is drawn pale and dashed
ODD = 0.5  # above this probability to be odd in its sublattice an atom gets a second ring
ODD_COLOUR, ODD_SIZE = "#D55E00", 1.7


def draw_overlay(image: xr.DataArray, atoms: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Draw an image in grey, its atoms in colour, a scale bar, and a legend that counts the species.

    Circles have 0.3 of the median nearest-neighbour distance as radius, so that they frame the atoms and do not hide
    them. Contrast runs from the 1st to the 99th percentile, after a plane is taken out if the image is tilted.

    Parameters
    ----------
    image : (y, x); where it has no calibration the scale bar counts pixels.
    atoms : atoms of this one frame, in nm or px; rows without a position are left out.

    Returns
    -------
    A figure at most 2000 pixels wide at 200 dpi.

    Raises
    ------
    ShapeError : if `image` has not two dimensions or `atoms` lacks columns.
    UnitError : if atoms in nm lie on an image without calibration.
    """
    image = check_image(image, ndim=2).transpose("y", "x")
    step, units = pixel_step(image)
    atoms = _in_units_of(check_atoms(atoms), step, units)
    species = sorted(atoms["species"].unique())
    missing = not bool(np.isfinite(image.values).all())

    extent = image.shape[1] * step[1], image.shape[0] * step[0]  # width, height
    distance = spacing(atoms)
    scale = _inches_per_unit(extent, distance, image.shape)
    radius = _radius(distance * scale, min(step) * scale)
    layout = OverlayLayout(
        width=extent[0] * scale,
        height=extent[1] * scale,
        labels=tuple(_legend_labels(atoms, species, missing=missing)),
        caption=title or "",
    )

    figure = make_figure(*layout.figure_size)
    axes = place_axes(figure, *layout.image_place)
    show_grey(axes, image.values, step)
    for index, name in enumerate(species):
        rows = atoms[atoms["species"] == name]
        unsure = rows["probability"].to_numpy() < UNSURE
        _scatter(axes, rows[~unsure], species_colour(index), index, radius)
        _scatter(axes, rows[unsure], species_colour(index), index, radius, sure=False)
    _scatter(axes, atoms[atoms["odd_probability"] > ODD], ODD_COLOUR, 0, ODD_SIZE * radius)
    add_scale_bar(axes, (layout.width, layout.height), extent[0], units)
    if layout.title:
        x, y = layout.title_place
        figure.text(x, y, layout.title, fontsize=FONT + 1, color=INK, ha="left", va="top", parse_math=False)
    if layout.labels:
        handles: list[Any] = [_scatter(axes, atoms[:0], species_colour(i), i, 0.45 * FONT) for i in range(len(species))]
        if (atoms["probability"] < UNSURE).any():
            handles.append(_scatter(axes, atoms[:0], "#555555", 0, 0.45 * FONT, sure=False))
        if (atoms["odd_probability"] > ODD).any():
            handles.append(_scatter(axes, atoms[:0], ODD_COLOUR, 0, 0.6 * FONT))
        if missing:
            handles.append(Patch(facecolor=NO_DATA, edgecolor="none"))
        _add_legend(figure, handles, layout)
    return figure


def _in_units_of(atoms: pd.DataFrame, step: tuple[float, float], units: str) -> pd.DataFrame:
    """Positions in the unit the image is drawn in, species as text; rows without a position are left out."""
    table = pd.DataFrame(
        {
            "frame": atoms["frame"].to_numpy(),
            "x": atoms["x"].to_numpy(float),
            "y": atoms["y"].to_numpy(float),
            "species": pd.Series([str(name) for name in atoms["species"]], dtype="object"),
            "probability": atoms["probability"].to_numpy(float),
            "odd_probability": atoms.get("odd_probability", pd.Series(np.nan, atoms.index)).to_numpy(float),
        }
    )
    if atoms.attrs["units"] == "px":
        table["x"] *= step[1]
        table["y"] *= step[0]
    elif units == "px":
        raise UnitError(
            f"atoms: expected positions in px, as the image has no calibration, got {atoms.attrs['units']}. "
            "Give the image its pixel size."
        )
    return table[np.isfinite(table["x"]) & np.isfinite(table["y"])]


def _inches_per_unit(extent: tuple[float, float], distance: float, shape: tuple[int, ...]) -> float:
    """Scale of the drawing: the usual size, but larger for an image that is rich in pixels or atoms."""
    usual, largest = LONG_SIDE
    wanted = [usual, max(shape) / 150]
    if np.isfinite(distance) and distance > 0:
        wanted.append(max(extent) / distance * 10 / 72)  # 10 pt from atom to atom
    return min(max(wanted), largest) / max(extent)


def _radius(distance: float, pixel: float) -> float:
    """Radius of the circles [pt], from the nearest-neighbour distance and the size of a pixel in the figure [inch]."""
    largest = max(LARGEST_RADIUS, LARGEST_RADIUS_PX * pixel * 72)
    return largest if not np.isfinite(distance) else float(np.clip(0.3 * distance * 72, SMALLEST_RADIUS, largest))


def _scatter(
    axes: Axes, rows: pd.DataFrame, colour: str, index: int, radius: float, *, sure: bool = True
) -> tuple[Artist, ...]:
    """Draw open marks twice: a dark, wider line, and the colour on top, so that they show on black and on white."""
    mark, size = species_mark(index)
    line = float(np.clip(0.22 * radius, 0.5, 1.4))
    layers = []
    for edge, width, alpha in (("black", line + 0.9, 0.55), (colour, line, 1.0)):
        dash = 2 * np.pi * radius * size / 8 / width  # eight dashes around; matplotlib counts in line widths
        layers.append(
            axes.scatter(
                rows["x"],
                rows["y"],
                s=(2 * radius * size) ** 2,
                marker=MarkerStyle(mark),
                facecolors="none",
                edgecolors=edge,
                linewidths=width,
                linestyles="solid" if sure or radius < 2.5 else (0, (0.55 * dash, 0.45 * dash)),
                alpha=alpha if sure else 0.75 * alpha,
                zorder=3,
            )
        )
    return tuple(layers)


def _legend_labels(atoms: pd.DataFrame, species: Sequence[str], *, missing: bool) -> list[str]:
    labels = []
    for name in species:
        shown = fit_text(name, 2.0, max_lines=1) or "atom"
        indent = " " if shown.startswith("_") else ""  # matplotlib leaves out labels that begin with an underscore
        labels.append(f"{indent}{shown} ({(atoms['species'] == name).sum()})")
    n_unsure = (atoms["probability"] < UNSURE).sum()
    if n_unsure:
        labels.append(f"probability < {UNSURE:g} ({n_unsure})")
    n_odd = (atoms["odd_probability"] > ODD).sum()
    if n_odd:
        labels.append(f"odd in their sublattice ({n_odd})")
    return [*labels, "no data"] if missing else labels


def _add_legend(figure: Figure, handles: Sequence[Any], layout: OverlayLayout) -> None:
    """Add the legend; a handle is an artist, or a tuple of artists that lie on top of each other."""
    legend = figure.legend(
        handles,
        layout.labels,
        handler_map={tuple: HandlerTuple(ndivide=1)},
        loc="upper left",
        bbox_to_anchor=layout.legend_place,
        ncols=layout.legend_columns,
        scatterpoints=1,
        scatteryoffsets=[0.4],
        fontsize=FONT,
        labelcolor=INK,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=COLUMN_GAP / (FONT / 72),
        labelspacing=0.5,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
