"""Figures of models between images and spectra: spectra, maps over the scan, what was left out, latent space."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adatom.errors import ShapeError
from adatom.report.canvas import FONT, INK, fit_text, make_figure, place_axes, style_chart
from adatom.report.greyscale import frame_image, show_grey
from adatom.report.palette import NO_DATA, species_colour
from adatom.report.panels import PanelGrid

Array = NDArray[np.float64]

PREDICTED = species_colour(6)
BAND = 1.645  # standard deviations, which hold 90 %
_WIDTH = 7.2  # [inch]
_BROKEN_SHOWN = 6


def draw_spectra(places: Array, measured: Array, predicted: Array, std: Array, *, axis: str, unit: str) -> Figure:
    """Draw measured spectra and, over them, what was predicted, with bands that hold 90 %.

    Parameters
    ----------
    places : (point,), in the order of the measurement.
    measured, predicted, std : (n, point), n >= 1; twelve of them are drawn, from the best predicted to the worst.
    axis, unit : name and unit of the axis.
    """
    _check_alike(measured, predicted, std)
    error = np.sqrt(np.mean((measured - predicted) ** 2, axis=1))
    order = np.argsort(error)
    chosen = order[np.unique(np.linspace(0, len(order) - 1, 12).round().astype(int))]
    columns, rows = 4, -(-len(chosen) // 4)
    side = (_WIDTH - 0.6) / columns - 0.35
    figure = make_figure(_WIDTH, rows * (side + 0.35) + 0.55)
    for number, index in enumerate(chosen):
        row, column = divmod(number, columns)
        left, bottom = 0.5 + column * (side + 0.35), figure.get_figheight() - 0.35 - (row + 1) * side - row * 0.35
        axes = place_axes(figure, left, bottom, side, side)
        _draw_band(axes, places, predicted[index], std[index])
        axes.plot(places, measured[index], color=INK, linewidth=0.9, label="measured")
        axes.plot(places, predicted[index], color=PREDICTED, linewidth=0.9, label="predicted")
        share = (index == order).argmax() / max(1, len(order) - 1)
        axes.set_title(f"error rank {100 * share:.0f} %", fontsize=FONT - 1, color=INK, pad=2, loc="left")
        style_chart(axes)
        axes.set_yticks([])
        if row == rows - 1 or number + columns >= len(chosen):
            axes.set_xlabel(f"{axis} [{unit}]" if unit else axis)
        if number == 0:
            axes.legend(fontsize=FONT - 2, frameon=False, labelcolor=INK, handlelength=1.0, loc="best")
    return figure


def draw_scan_maps(maps: Mapping[str, Array], *, labels: Mapping[str, str] | None = None) -> Figure:
    """Draw numbers over the scan side by side, each with its own colours.

    Parameters
    ----------
    maps : name to (y, x); NaN is drawn in a neutral colour.
    labels : name to unit, where there is one.
    """
    shapes = {np.shape(each) for each in maps.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ShapeError(f"maps: expected (y, x) of one shape, got {sorted(shapes)}.")
    shape = next(iter(shapes))
    grid = PanelGrid(n_panels=len(maps), columns=min(3, len(maps)), aspect=shape[0] / shape[1], gap=0.3, head=0.3)
    figure = grid.make_figure()
    for number, (name, values) in enumerate(maps.items()):
        axes = grid.place(figure, number)
        known = values[np.isfinite(values)]
        low, high = np.quantile(known, [0.02, 0.98]) if len(known) else (0.0, 1.0)
        axes.imshow(
            np.ma.masked_invalid(values),
            cmap=colormaps["viridis"].with_extremes(bad=NO_DATA),
            vmin=low,
            vmax=high if high > low else low + 1,
            interpolation="nearest",
            aspect="auto",
        )
        frame_image(axes, (shape[0], shape[1]))
        unit = (labels or {}).get(name, "")
        told = f"{name}: {low:.2g} to {high:.2g} {unit}".rstrip()
        title = fit_text(told, grid.panel_size[0], max_lines=2)
        axes.set_title(title, fontsize=FONT - 1, color=INK, pad=3, loc="left", parse_math=False)
    return figure


def draw_left_out(
    places: Array, spectra: Array, reason: NDArray[np.int8], words: Sequence[str], *, axis: str
) -> Figure:
    """Draw which spectra were left out, and why, with examples; the good ones' median and range for comparison.

    Parameters
    ----------
    places : (point,).
    spectra : (y, x, point).
    reason : (y, x), index into `words`; 0 is good.
    """
    present = [number for number in range(1, len(words)) if (reason == number).any()]
    n = 1 + len(present)
    side = (_WIDTH - 0.5) / max(n + 1, 3) - 0.35
    figure = make_figure(_WIDTH, side + 0.75)
    colours = ["#FFFFFF", *(species_colour(number) for number in range(len(words) - 1))]
    axes = place_axes(figure, 0.1, 0.35, side, side)
    picture = np.array([[int(c[1:][k : k + 2], 16) for k in (0, 2, 4)] for c in colours], dtype=np.uint8)[reason]
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    frame_image(axes, (reason.shape[0], reason.shape[1]))
    share = 100 * float((reason != 0).mean())
    axes.set_title(f"left out: {share:.1f} %", fontsize=FONT, color=INK, pad=3, loc="left")
    good = spectra[reason == 0]
    for column, number in enumerate([0, *present], start=1):
        axes = place_axes(figure, 0.1 + column * (side + 0.35), 0.35, side, side)
        if number == 0:
            low, middle, high = np.quantile(good, [0.05, 0.5, 0.95], axis=0)
            for line, width in ((low, 0.5), (middle, 1.2), (high, 0.5)):
                axes.plot(places, line, color=INK, linewidth=width)
        else:
            which = np.argwhere(reason == number)
            shown = which[np.unique(np.linspace(0, len(which) - 1, _BROKEN_SHOWN).round().astype(int))]
            for y, x in shown:
                axes.plot(places, spectra[y, x], color=colours[number], linewidth=0.6)
        told = words[number] if number else "good: median, 90 %"
        axes.set_title(f"{told} ({int((reason == number).sum())})", fontsize=FONT - 1, color=INK, pad=3, loc="left")
        style_chart(axes)
        axes.set_yticks([])
        axes.set_xlabel(axis)
    return figure


def draw_manifold(
    codes: Array, spectra: Array, patches: Array, places: Array, *, axis: str, along: tuple[int, int] = (0, 1)
) -> Figure:
    """Draw a latent space: spectra that are decoded on a grid of two of its numbers, and the measured patches there.

    Parameters
    ----------
    codes : (row, column, latent), the grid.
    spectra : (row, column, point), decoded.
    patches : (row, column, y, x), mean of the measured patches whose codes are nearest; NaN where there is none.
    places : (point,).
    along : the two latent numbers that the grid follows.
    """
    rows, columns = codes.shape[:2]
    side = (_WIDTH / 2 - 0.3) / columns
    figure = make_figure(_WIDTH, rows * side + 0.5)
    low, high = float(np.min(spectra)), float(np.max(spectra))
    known = patches[np.isfinite(patches)]
    grey = tuple(np.quantile(known, [0.01, 0.99])) if len(known) else (0.0, 1.0)
    for row in range(rows):
        for column in range(columns):
            bottom = figure.get_figheight() - 0.25 - (row + 1) * side
            axes = place_axes(figure, 0.15 + column * side, bottom, 0.94 * side, 0.94 * side)
            axes.plot(places, spectra[row, column], color=PREDICTED, linewidth=0.9)
            axes.set_ylim(low, high)
            axes.set_xticks([])
            axes.set_yticks([])
            axes = place_axes(figure, _WIDTH / 2 + 0.15 + column * side, bottom, 0.94 * side, 0.94 * side)
            if np.isfinite(patches[row, column]).all():
                axes.imshow(patches[row, column], cmap="gray", vmin=grey[0], vmax=grey[1], interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
            else:
                axes.set_axis_off()
    names = (f"decoded spectra over {axis}", "mean of the measured patches there")
    for number, name in enumerate(names):
        x = (0.15 + number * _WIDTH / 2) / _WIDTH
        figure.text(x, 1 - 0.04 / figure.get_figheight(), name, fontsize=FONT, color=INK, va="top")
    text = f"latent number {along[1] + 1} from left to right, {along[0] + 1} from top to bottom"
    figure.text(0.15 / _WIDTH, 0.05 / figure.get_figheight(), text, fontsize=FONT - 1, color=INK, va="bottom")
    return figure


def draw_attribution(patch: Array, attributions: Mapping[str, Array]) -> Figure:
    """Draw a patch (y, x) and, beside it, how much each of its pixels raises (red) or lowers (blue) features of the
    spectrum: name to (y, x).
    """
    grid = PanelGrid(
        n_panels=1 + len(attributions), columns=4, aspect=patch.shape[0] / patch.shape[1], gap=0.2, head=0.25
    )
    figure = grid.make_figure()
    axes = grid.place(figure, 0)
    show_grey(axes, patch)
    axes.set_title("patch", fontsize=FONT, color=INK, pad=3, loc="left")
    for number, (name, values) in enumerate(attributions.items(), start=1):
        axes = grid.place(figure, number)
        most = float(np.abs(values).max()) or 1.0
        axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest", aspect="auto")
        frame_image(axes, (patch.shape[0], patch.shape[1]))
        axes.set_title(fit_text(name, grid.panel_size[0], max_lines=1), fontsize=FONT, color=INK, pad=3, loc="left")
    return figure


def _draw_band(axes: Axes, places: Array, predicted: Array, std: Array) -> None:
    low, high = predicted - BAND * std, predicted + BAND * std
    start = 0
    # a sweep comes back: each of its legs has a band of its own
    turns = [*(np.flatnonzero(np.diff(np.sign(np.diff(places))) != 0) + 1), len(places) - 1]
    for end in turns:
        leg = slice(start, end + 1)
        axes.fill_between(places[leg], low[leg], high[leg], color=PREDICTED, alpha=0.18, linewidth=0)
        start = end


def _check_alike(*arrays: Array) -> None:
    if len({np.shape(each) for each in arrays}) != 1 or np.ndim(arrays[0]) != 2 or not len(arrays[0]):
        raise ShapeError(f"spectra: expected (n, point) of one shape, got {[np.shape(each) for each in arrays]}.")
