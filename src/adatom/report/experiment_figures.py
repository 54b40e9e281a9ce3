"""How an experiment goes on: what is known of the sample, how well, where it is measured next, and what it brought."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adatom.report.canvas import FONT, INK, make_figure, place_axes, style_chart

Array = NDArray[np.float64]

_SIDE, _GAP, _TOP, _LEFT = 2.6, 0.75, 0.45, 0.6  # [inch]
_MEASURED, _NEXT = "#d4423e", "#1aa3b8"


@dataclass(frozen=True)
class Progress:
    """What there is to draw.

    Parameters
    ----------
    overview : (y, x), in nm.
    places : (n, 2) of the candidates [nm].
    measured : (m,) their numbers, in order.
    values : (m,) of the quantity there.
    label : of the quantity.
    mean, std : (n,), what the model says; None where there is no model, or it knows too little.
    next_candidates : numbers.
    is_lower_better : whether the best is the lowest.
    expected : (k, 3), number of measurements before, error of a prediction made before its measurement, and the
        deviation that was stated.
    """

    overview: xr.DataArray
    places: Array
    measured: NDArray[np.int64]
    values: Array
    label: str
    mean: Array | None = None
    std: Array | None = None
    next_candidates: Sequence[int] = ()
    is_lower_better: bool = False
    expected: Array = field(default_factory=lambda: np.zeros((0, 3)))


def draw_progress(shown: Progress) -> Figure:
    """Overview with the points in their order, map, deviation, and the learning curves."""
    width = _LEFT + 4 * _SIDE + 3 * _GAP + 0.3
    figure = make_figure(width, _SIDE + _TOP + 0.55)
    boxes = [place_axes(figure, _LEFT + number * (_SIDE + _GAP), 0.5, _SIDE, _SIDE) for number in range(3)]
    _draw_overview(boxes[0], shown)
    for axes, values, title in ((boxes[1], shown.mean, f"believed {shown.label}"), (boxes[2], shown.std, "± of it")):
        _draw_map(axes, shown, values, title)
    left = _LEFT + 3 * (_SIDE + _GAP)
    half = (_SIDE - 0.5) / 2
    _draw_best(place_axes(figure, left, 0.5 + half + 0.5, _SIDE, half), shown)
    _draw_errors(place_axes(figure, left, 0.5, _SIDE, half), shown)
    return figure


def _draw_overview(axes: Axes, shown: Progress) -> None:
    axes.imshow(shown.overview.to_numpy(), cmap="gray", extent=_extent(shown.overview), interpolation="nearest")
    places = shown.places[shown.measured]
    if len(places):
        axes.scatter(places[:, 0], places[:, 1], c=np.arange(len(places)), cmap="autumn", s=8, linewidths=0)
    _mark_next(axes, shown)
    _finish_map(axes, shown.overview, f"{len(places)} measured, red first")


def _draw_map(axes: Axes, shown: Progress, values: Array | None, title: str) -> None:
    if values is None:
        title = f"{title}: no model yet"
        if title.startswith("believed") and len(shown.measured):
            axes.scatter(
                shown.places[shown.measured][:, 0],
                shown.places[shown.measured][:, 1],
                c=shown.values,
                cmap="viridis",
                s=12,
                linewidths=0,
            )
    else:
        size = max(1.0, 0.9 * (_SIDE * 72) ** 2 / len(values))
        drawn = axes.scatter(
            shown.places[:, 0], shown.places[:, 1], c=values, cmap="viridis", s=size, marker="s", linewidths=0
        )
        bar = axes.figure.colorbar(drawn, ax=axes, fraction=0.046, pad=0.02)
        bar.ax.tick_params(labelsize=FONT - 2)
        axes.scatter(
            shown.places[shown.measured][:, 0], shown.places[shown.measured][:, 1], color=_MEASURED, s=2, linewidths=0
        )
    _mark_next(axes, shown)
    _finish_map(axes, shown.overview, title)


def _draw_best(axes: Axes, shown: Progress) -> None:
    if len(shown.values):
        best = np.minimum.accumulate(shown.values) if shown.is_lower_better else np.maximum.accumulate(shown.values)
        number = np.arange(1, len(best) + 1)
        axes.plot(number, shown.values, ".", color="#bbbbbb", markersize=2)
        axes.step(number, best, where="post", color=INK, linewidth=1)
    style_chart(axes)
    axes.set_title(f"best {shown.label} so far", fontsize=FONT, color=INK)


def _draw_errors(axes: Axes, shown: Progress) -> None:
    if len(shown.expected):
        number, error, std = shown.expected.T
        axes.fill_between(number, -2 * std, 2 * std, color="#1aa3b8", alpha=0.25, linewidth=0, step="mid")
        axes.plot(number, error, ".", color=INK, markersize=2.5)
    style_chart(axes)
    axes.set_title("measured minus predicted before, ±2 stated", fontsize=FONT, color=INK)
    axes.set_xlabel("measurements")


def _mark_next(axes: Axes, shown: Progress) -> None:
    if len(shown.next_candidates):
        axes.scatter(
            shown.places[list(shown.next_candidates)][:, 0],
            shown.places[list(shown.next_candidates)][:, 1],
            s=40,
            facecolors="none",
            edgecolors=_NEXT,
        )


def _finish_map(axes: Axes, overview: xr.DataArray, title: str) -> None:
    left, right, bottom, top = _extent(overview)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set_title(title, fontsize=FONT, color=INK)
    axes.tick_params(labelsize=FONT - 2, width=0.5, length=2, color=INK, labelcolor=INK)
    axes.set_xlabel("x [nm]", fontsize=FONT - 1, color=INK)


def _extent(overview: xr.DataArray) -> tuple[float, float, float, float]:
    """Left, right, bottom, top: outer edges of the pixels, y downwards."""
    x, y = overview["x"].to_numpy(), overview["y"].to_numpy()
    half_x, half_y = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    return float(x[0] - half_x), float(x[-1] + half_x), float(y[-1] + half_y), float(y[0] - half_y)
