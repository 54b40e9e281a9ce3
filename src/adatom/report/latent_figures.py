"""Latent numbers: what they draw, how atoms lie in them, and where these are in the image."""

import io

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from adatom.analyse.exploration import Encoder
from adatom.data import check_image, spacing
from adatom.errors import ArgumentError
from adatom.report.canvas import FONT, INK, make_figure, place_axes, style_chart
from adatom.report.greyscale import pixel_step, show_grey
from adatom.report.palette import species_colour
from adatom.report.panels import PanelGrid, add_class_legend
from adatom.report.scale_bar import add_scale_bar

_MOST_POINTS = 20_000
_COLOURS = "viridis"
_GREYS = 0.01, 0.97  # the atom in the middle may be white, so that its neighbours are seen
_MANY = 800
_MOST_NAMES = 12  # of a column that is coloured as names, not as numbers
_FAR = 2.0  # standard deviations that a traversal goes to either side
_FRAMES = 24
_FRAME_MS = 80
_ENLARGED_PX = 96  # a window of a traversal is at least so wide


def draw_manifold(grid: xr.DataArray) -> Figure:
    """Draw windows decoded on a grid over two latent numbers.

    Parameters
    ----------
    grid : (row, column, y, x), with the numbers as coordinates of rows and columns.
    """
    if grid.ndim != 4:
        raise ArgumentError(f"grid: expected (row, column, y, x), got {grid.dims}.")
    n_rows, n_columns, height, width = grid.shape
    values = grid.to_numpy()
    low, high = np.quantile(values, _GREYS)
    side = min(5.0, 0.75 * n_columns)
    figure = make_figure(side + 0.65, side * n_rows * height / (n_columns * width) + 0.6)
    axes = place_axes(figure, 0.55, 0.45, side, side * n_rows * height / (n_columns * width))
    tiles = values.transpose(0, 2, 1, 3).reshape(n_rows * height, n_columns * width)
    axes.imshow(tiles, cmap="gray", vmin=low, vmax=high if high > low else low + 1, interpolation="nearest",
                aspect="auto")  # fmt: skip
    for k in range(1, n_columns):
        axes.axvline(k * width - 0.5, color="white", linewidth=0.5)
    for k in range(1, n_rows):
        axes.axhline(k * height - 0.5, color="white", linewidth=0.5)
    names = {
        dim: next((str(name) for name in grid.coords if grid[name].dims == (dim,)), "") for dim in ("row", "column")
    }
    for axis, dim, n, step in ((axes.xaxis, "column", n_columns, width), (axes.yaxis, "row", n_rows, height)):
        chosen = np.unique(np.linspace(0, n - 1, min(n, 7)).round().astype(int))
        numbers = grid[names[dim]].to_numpy()[chosen] if names[dim] else chosen
        axis.set_ticks((chosen + 0.5) * step - 0.5, [f"{number:.1f}" for number in numbers])
    axes.set_xlabel(names["column"])
    axes.set_ylabel(names["row"])
    style_chart(axes)
    return figure


def draw_latents(table: pd.DataFrame, names: tuple[str, str] | list[str], *, by: str | list[str] = "state") -> Figure:
    """Draw atoms by two latent numbers, in the colours of one column or, in a panel for each, of several.

    Parameters
    ----------
    table : with the columns `names` and `by`; rows that lack a number are left out.
    names : of the latent numbers along x and y; of one number alone its histogram is drawn.
    by : columns of names or numbers.

    Raises
    ------
    ArgumentError : if a column is missing.
    """
    wanted = [by] if isinstance(by, str) else list(by)
    missing = [name for name in (*names, *wanted) if name not in table]
    if missing:
        raise ArgumentError(f"by: expected columns {', '.join(map(str, table.columns))}, got {missing[0]!r}.")
    known = table.dropna(subset=list(names))
    shown = known.take(np.random.default_rng(0).permutation(len(known))[:_MOST_POINTS])
    side = 2.6
    figure = make_figure(0.6 + len(wanted) * (side + 1.0), side + 0.85)
    for number, name in enumerate(wanted):
        axes = place_axes(figure, 0.6 + number * (side + 1.0), 0.5, side, side)
        _scatter(figure, axes, shown, list(names), name)
        axes.set_title(name, fontsize=FONT, color=INK, loc="left", pad=4, parse_math=False)
    return figure


def _scatter(figure: Figure, axes: Axes, shown: pd.DataFrame, names: list[str], by: str) -> None:
    x = shown[names[0]].to_numpy(float)
    colours = shown[by]
    is_number = pd.api.types.is_float_dtype(colours)
    style_chart(axes)
    axes.set_xlabel(names[0])
    size = float(np.clip(6e3 / max(len(shown), 1), 1.0, 12.0))
    if len(names) < 2:
        groups = [("", np.ones(len(x), bool))] if is_number else _groups(colours)
        for index, (label, mine) in enumerate(groups):
            axes.hist(x[mine], bins=40, range=(x.min(), x.max()), color=species_colour(index), alpha=0.7, label=label)
        axes.set_ylabel("atoms")
        axes.legend(fontsize=FONT - 1.5, frameon=False)
        return
    y = shown[names[1]].to_numpy(float)
    axes.set_ylabel(names[1])
    if is_number:
        values = colours.to_numpy(float)
        ends = np.nanquantile(values, (0.01, 0.99)) if np.isfinite(values).any() else (0.0, 1.0)
        drawn = axes.scatter(x, y, c=values, s=size, cmap=_COLOURS, vmin=ends[0], vmax=ends[1], linewidths=0)
        bar = figure.colorbar(drawn, ax=axes, fraction=0.05, pad=0.03)
        bar.ax.tick_params(labelsize=FONT - 1.5, width=0.6, length=2)
        bar.outline.set_linewidth(0.5)
        return
    for index, (label, mine) in enumerate(_groups(colours)):
        axes.scatter(x[mine], y[mine], s=size, color=species_colour(index), linewidths=0, label=label)
    legend = axes.legend(fontsize=FONT - 1.5, frameon=False, markerscale=2, loc="upper left", bbox_to_anchor=(1, 1),
                         handletextpad=0.1, borderaxespad=0)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _groups(names: "pd.Series") -> list[tuple[str, np.ndarray]]:
    """Values of a column with the rows that have them, the most frequent ones; in order."""
    kept = sorted(names.value_counts().index[:_MOST_NAMES])
    return [(str(each), (names == each).to_numpy()) for each in kept]


def draw_latent_map(image: xr.DataArray, atoms: pd.DataFrame, names: list[str], *, frame: int = 0) -> Figure:
    """Draw the image and, on it, atoms in the colours of each of the columns; states in colours of their own.

    Parameters
    ----------
    image : (y, x), or (frame, y, x) of which `frame` is drawn.
    atoms : of this image, with the columns; those without a number are left out.
    """
    image = check_image(image)
    still = image.isel(frame=frame) if "frame" in image.dims else image
    still = still.transpose("y", "x")
    mine = atoms[atoms["frame"] == frame] if "frame" in image.dims else atoms
    step, units = pixel_step(still)
    scale = np.array([step[1], step[0]]) if atoms.attrs.get("units") == "px" and units == "nm" else np.ones(2)
    extent = still.shape[1] * step[1], still.shape[0] * step[0]
    has_states = "state" in names
    counts = mine.loc[mine["state"] > 0, "state"].value_counts().sort_index() if has_states else pd.Series(dtype=int)
    foot = 0.3 * (1 + len(counts) // 6) if has_states else 0.0
    # many atoms want large panels
    columns = min(len(names), 1 if extent[1] >= 1.5 * extent[0] else 3 if len(mine) < _MANY else 2)
    grid = PanelGrid(len(names), columns, extent[1] / extent[0], foot=foot, gap=0.55, side=0.5)
    figure = grid.make_figure()
    width, height = grid.panel_size
    near = spacing(mine) * float(scale.mean())
    radius = 0.33 * (near if np.isfinite(near) else 0.03 * extent[0]) * width / extent[0] * 72
    dot = (2 * max(radius, 0.8)) ** 2  # [pt^2]
    for number, name in enumerate(names):
        axes = grid.place(figure, number)
        show_grey(axes, still.to_numpy(), step)
        axes.set_title(name, fontsize=FONT, color=INK, loc="left", pad=3, parse_math=False)
        known = mine[mine[name] > 0] if name == "state" else mine[np.isfinite(mine[name])]
        places = known[["x", "y"]].to_numpy(float) * scale
        if name == "state":
            colours = [species_colour(int(state) - 1) for state in known["state"]]
            axes.scatter(places[:, 0], places[:, 1], s=dot, c=colours, linewidths=0)
        else:
            whole = atoms[name].to_numpy(float)  # of all frames: colours mean the same in each
            ends = np.nanquantile(whole, (0.01, 0.99)) if np.isfinite(whole).any() else (0.0, 1.0)
            drawn = axes.scatter(places[:, 0], places[:, 1], s=dot, c=known[name], cmap=_COLOURS, vmin=ends[0],
                                 vmax=ends[1], linewidths=0)  # fmt: skip
            box = axes.get_position()
            bar = figure.colorbar(
                drawn,
                cax=figure.add_axes((box.x1 + 0.05 / figure.get_figwidth(), box.y0,
                                     0.07 / figure.get_figwidth(), box.height)),
            )  # fmt: skip
            bar.ax.tick_params(labelsize=FONT - 2, width=0.5, length=2)
            bar.outline.set_linewidth(0.5)
        if number == 0:
            add_scale_bar(axes, (width, height), extent[0], units)
    if has_states:
        add_class_legend(
            figure,
            [species_colour(int(state) - 1) for state in counts.index],
            [f"state {state}: {count}" for state, count in counts.items()],
        )
    return figure


def traversal_gif(model: Encoder) -> bytes:
    """An animation with a window for each latent number, which goes from -2 to 2 and back while the others are 0."""
    names = [f"z{k + 1}" for k in range(model.latent)]
    phase = np.linspace(0, 2 * np.pi, _FRAMES, endpoint=False)
    rows = []
    for time in phase:
        for k in range(len(names)):
            at = np.zeros(len(names))
            at[k] += _FAR * np.sin(time)
            rows.append(at)
    table = pd.DataFrame(rows, columns=names)
    drawn = model.decode(table).to_numpy()
    if drawn.ndim != 3:
        raise ArgumentError(f"model: expected one of windows (y, x), got samples of shape {drawn.shape[1:]}.")
    low, high = np.quantile(drawn, _GREYS)
    grey = np.clip((drawn - low) / max(high - low, 1e-12), 0, 1)
    factor = -(-_ENLARGED_PX // drawn.shape[1])
    grey = grey.repeat(factor, axis=1).repeat(factor, axis=2)
    frames = []
    for picture in grey.reshape(_FRAMES, len(names), *grey.shape[1:]):
        joined = np.concatenate([np.pad(each, 2, constant_values=1.0) for each in picture], axis=1)
        frames.append(Image.fromarray((255 * joined).astype(np.uint8)))
    stream = io.BytesIO()
    frames[0].save(stream, format="gif", save_all=True, append_images=frames[1:], duration=_FRAME_MS, loop=0)
    return stream.getvalue()
