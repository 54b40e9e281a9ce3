"""Atoms of a movie that come, go or hop: where, when, and as the frames show them."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adatom.report.canvas import FONT, INK, fit_text, make_figure, place_axes, style_chart
from adatom.report.greyscale import frame_image, pixel_step, show_grey
from adatom.report.palette import species_colour
from adatom.report.panels import PanelGrid

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]

_SITES_SHOWN, _EVENTS_SHOWN = 24, 12
_CROP_SPACINGS = 2.5  # to either side


def draw_sites_over_time(
    positions: Array, unstable: Array, probability: Array, frames: NDArray[np.int64], box: Box
) -> Figure:
    """Left, every site in the shade of the probability that it changes; right, the likeliest such sites over time.

    Parameters
    ----------
    positions : (n, 2) of the sites.
    unstable : (n,) probability that each changes.
    probability : (t, n) of the atom found there in each frame.
    frames : (t,) their numbers.
    box : left, top, right, bottom of the image.
    """
    left, top, right, bottom = box
    side = 3.0
    height = float(np.clip(side * (bottom - top) / (right - left), 1.5, 4.5))
    figure = make_figure(2 * side + 1.6, height + 0.75)
    axes = place_axes(figure, 0.1, 0.45, side, height)
    order = np.argsort(unstable)
    drawn = axes.scatter(
        positions[order, 0], positions[order, 1], c=unstable[order], cmap="inferno_r", vmin=0, vmax=1, s=14, lw=0
    )
    frame_image(axes, (1, 1))
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_title("probability that a site changes", fontsize=FONT, color=INK, loc="left", pad=3)
    bar = figure.colorbar(drawn, cax=place_axes(figure, side + 0.16, 0.45, 0.09, height), ticks=[0, 0.5, 1])
    bar.ax.tick_params(labelsize=FONT - 1, width=0.6, length=2, color=INK, labelcolor=INK)
    bar.outline.set_linewidth(0.5)
    chosen = np.argsort(-unstable, kind="stable")[:_SITES_SHOWN]
    axes = place_axes(figure, side + 1.2, 0.45, side, height)
    axes.imshow(
        probability[:, chosen].T,
        cmap="gray",
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
        extent=(frames[0] - 0.5, frames[-1] + 0.5, len(chosen) - 0.5, -0.5),
    )
    axes.set_yticks(range(len(chosen)), [f"{site}" for site in chosen])
    axes.set_xlabel("frame")
    axes.set_ylabel("site")
    axes.set_title("probability of the atom found there", fontsize=FONT, color=INK, loc="left", pad=3)
    style_chart(axes)
    axes.tick_params(axis="y", labelsize=FONT - 3)
    return figure


def draw_event_crops(movie: xr.DataArray, events: pd.DataFrame, spacing: float, units: str) -> Figure:
    """The likeliest events, each in the frame before it and the frame after.

    Parameters
    ----------
    movie : (frame, y, x).
    events : one row an event, the likeliest first.
    spacing : typical distance of neighbours, in the unit `units` of the events' places.
    """
    step, _ = pixel_step(movie.isel(frame=0))
    step = step if units == "nm" else (1.0, 1.0)
    shown = events.head(_EVENTS_SHOWN)
    grid = PanelGrid(n_panels=2 * len(shown), columns=6, aspect=1.0, head=0.22, gap=0.08)
    figure = grid.make_figure()
    half_x, half_y = _CROP_SPACINGS * spacing / step[1], _CROP_SPACINGS * spacing / step[0]
    columns = (shown[name] for name in ("kind", "probability", "frame", "x", "y"))
    for index, (kind, probability, frame, at_x, at_y) in enumerate(zip(*columns, strict=True)):
        x, y = float(at_x) / step[1], float(at_y) / step[0]
        first_row, first_column = max(0, int(y - half_y)), max(0, int(x - half_x))
        for k, number in enumerate((max(0, int(frame) - 1), int(frame))):
            axes = grid.place(figure, 2 * index + k)
            values = movie.isel(frame=min(number, movie.sizes["frame"] - 1)).to_numpy()
            part = values[first_row : int(y + half_y) + 2, first_column : int(x + half_x) + 2]
            if part.size:
                show_grey(axes, part)
            axes.plot(
                x - first_column,
                y - first_row,
                "o",
                markersize=12,
                markerfacecolor="none",
                markeredgecolor=species_colour(0),
                markeredgewidth=0.9,
            )
            title = f"{kind} {probability:.2f}, {number}" if k == 0 else f"{number}"
            axes.set_title(fit_text(title, 1.1, max_lines=1), fontsize=FONT - 1, color=INK, pad=2, loc="left")
    return figure
