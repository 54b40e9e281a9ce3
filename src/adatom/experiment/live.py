"""What goes on, as a picture drawn anew after each decision: ``live.html`` shows it, and looks again by itself."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adatom.data.atomic_file import write_atomically
from adatom.decide import Search
from adatom.experiment.plan import Plan
from adatom.report.canvas import FONT, figure_png, make_figure, style_chart

Array = NDArray[np.float64]

_AT_MOST_EVERY_S = 2.0
_PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<title>Live</title><style>body{margin:0;background:#fff}img{max-width:100%}</style></head>
<body><img src="live.png" alt="overview, map, uncertainty and learning curve"></body></html>
"""


class Live:
    """Draws an experiment into its folder."""

    def __init__(self, folder: Path, plan: Plan, overview: xr.DataArray) -> None:
        self._folder, self._plan, self._overview, self._drawn = folder, plan, overview, 0.0
        write_atomically(folder / "live.html", _PAGE)

    def draw(self, search: Search, *, last: bool = False) -> None:
        """Draw it, unless it was drawn just now."""
        if not last and time.monotonic() - self._drawn < _AT_MOST_EVERY_S:
            return
        write_atomically(
            self._folder / "live.png", figure_png(draw_experiment(self._plan, self._overview, search), 110)
        )
        self._drawn = time.monotonic()


def draw_experiment(plan: Plan, overview: xr.DataArray, search: Search) -> Figure:
    """Overview with the places in their order, map, uncertainty, and learning curve."""
    figure = make_figure(10.0, 2.9)
    axes = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.1])
    x, y = (overview[dim].to_numpy() for dim in "xy")
    half = [0.5 * float(each[1] - each[0]) for each in (x, y)]
    extent = (x[0] - half[0], x[-1] + half[0], y[-1] + half[1], y[0] - half[1])
    low, high = np.nanquantile(overview, [0.01, 0.99])
    axes[0].imshow(overview, cmap="gray", extent=extent, vmin=low, vmax=high)
    measured = search.places[search.measured]
    if len(measured):
        order = np.arange(len(measured))
        axes[0].scatter(*measured.T, c=order, s=9, cmap="viridis", linewidths=0.3, edgecolors="white")
    if search.failed:
        axes[0].scatter(*search.places[search.failed].T, s=14, marker="x", c="tab:red", linewidths=0.8)
    if search.pending:
        axes[0].scatter(*search.places[search.pending].T, s=30, facecolors="none", edgecolors="tab:orange")
    axes[0].set_title(f"{plan.overview.channel}, and the way", fontsize=FONT)
    told = None
    if search.surrogate is not None and len(search.measured) >= 2 and search.acquisition.needs_model:
        told = search.belief()
    for ax, values, title in (
        (axes[1], None if told is None else told.mean[:, 0], plan.quantity.name),
        (axes[2], None if told is None else told.std[:, 0], "its uncertainty"),
    ):
        ax.set_title(title, fontsize=FONT)
        if values is not None:
            _paint(ax, search.places, values, extent)
    for ax in axes[:3]:
        ax.set(xlim=extent[:2], ylim=extent[2:], aspect="equal")
        ax.set_xlabel("nm", fontsize=FONT)
        ax.tick_params(labelsize=FONT - 1)
    if search.measured:
        values = search.values[:, 0]
        best = np.minimum.accumulate(values) if search.minimise else np.maximum.accumulate(values)
        axes[3].plot(np.arange(1, len(values) + 1), values, ".", color="0.6", markersize=3)
        axes[3].step(np.arange(1, len(values) + 1), best, where="post", color="tab:blue", linewidth=1)
    axes[3].set_title("measured, and the best", fontsize=FONT)
    axes[3].set_xlabel("measurements")
    style_chart(axes[3])
    figure.tight_layout(pad=0.6)
    return figure


def _paint(ax: Any, places: Array, values: Array, extent: tuple[float, ...]) -> None:
    """A map of places on a grid, or dots where they lie anyhow."""
    xs, ys = np.unique(np.round(places[:, 0], 9)), np.unique(np.round(places[:, 1], 9))
    if len(xs) * len(ys) <= 2 * len(places):
        grid = np.full((len(ys), len(xs)), np.nan)
        grid[np.searchsorted(ys, np.round(places[:, 1], 9)), np.searchsorted(xs, np.round(places[:, 0], 9))] = values
        ax.imshow(grid, extent=extent, cmap="magma")
    else:
        ax.scatter(*places.T, c=values, s=8, cmap="magma")
