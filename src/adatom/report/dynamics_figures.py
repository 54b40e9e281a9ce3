"""What linked atoms did: latent numbers over time, transitions, lifetimes, displacements, tracks on the image."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from adatom.analyse.diffusion import place_columns
from adatom.analyse.dynamics import Dynamics
from adatom.data import check_image
from adatom.report.canvas import FONT, INK, make_figure, place_axes, style_chart
from adatom.report.greyscale import pixel_step, show_grey
from adatom.report.palette import species_colour
from adatom.report.panels import PanelGrid
from adatom.report.scale_bar import add_scale_bar

_TRACKS_SHOWN = 8
_MOST_SURVIVALS = 7


def draw_trajectories(atoms: pd.DataFrame, names: list[str], tracks: pd.DataFrame) -> Figure:
    """Draw latent numbers over the frames of the tracks that change most, and their way through the first two numbers.

    Parameters
    ----------
    atoms : with ``track``, ``frame``, ``state`` and the columns `names`.
    tracks : one row a track with ``n_changes`` and ``n_frames``.
    """
    seen = tracks[tracks["state"].notna()]
    chosen = seen.sort_values(["n_changes", "n_frames"], ascending=False)["track"].head(_TRACKS_SHOWN)
    height, width, gap = 0.62, 3.6, 0.1
    figure = make_figure(width + 1.0 + 3.3, len(chosen) * (height + gap) + 0.75)
    top = figure.get_figheight() - 0.25
    low, high = np.nanquantile(atoms[names], (0.001, 0.999)) if len(atoms) else (-1, 1)
    last = int(atoms["frame"].max()) if len(atoms) else 1
    axes = None
    for row, track in enumerate(chosen):
        mine = atoms[(atoms["track"] == track) & (atoms["state"] > 0)].sort_values("frame")
        axes = place_axes(figure, 0.95, top - (row + 1) * (height + gap) + gap, width, height)
        for state in np.unique(mine["state"]):
            there = mine["state"] == state
            axes.bar(mine["frame"][there], high - low, 1.0, low, color=species_colour(int(state) - 1), alpha=0.35, lw=0)
        for name, style in zip(names, ("-", "--", ":", "-."), strict=False):
            axes.plot(mine["frame"], mine[name], style, color=INK, linewidth=0.8, label=name)
        axes.set_xlim(-0.5, last + 0.5)
        axes.set_ylim(low, high)
        style_chart(axes)
        axes.set_ylabel(f"track {track}", fontsize=FONT - 1, rotation=0, ha="right", va="center", labelpad=14)
        if row + 1 < len(chosen):
            axes.set_xticklabels([])
        if row == 0:
            axes.set_title(f"{', '.join(names)} over time; colours are states", fontsize=FONT, color=INK, loc="left",
                           pad=3)  # fmt: skip
    if axes is not None:
        axes.set_xlabel("frame")
    side = 2.4
    right = place_axes(figure, width + 1.6, max(0.45, top - side), side, min(side, top - 0.45))
    known = atoms[atoms["state"] > 0]
    two = (names * 2)[:2]
    right.plot(known[two[0]], known[two[1]], ".", color="#CCCCCC", markersize=1.5, zorder=1)
    for row, track in enumerate(chosen):
        mine = atoms[(atoms["track"] == track) & (atoms["state"] > 0)].sort_values("frame")
        right.plot(mine[two[0]], mine[two[1]], "-", color=species_colour(row), linewidth=0.6, zorder=2)
    style_chart(right)
    right.set_xlabel(two[0])
    right.set_ylabel(two[1])
    right.set_title("their ways", fontsize=FONT, color=INK, loc="left", pad=3)
    return figure


def draw_dynamics(found: Dynamics) -> Figure:
    """Draw probabilities of transitions with intervals, survival of the states, and displacements against time."""
    side = 1.95
    figure = make_figure(7.6, side + 0.95)
    _draw_matrix(figure, found, 0.55, side)
    _draw_survival(figure, found, 0.55 + side + 0.6, side)
    _draw_displacement(figure, found, 0.55 + 2 * (side + 0.55) + 0.15, side)
    return figure


def _draw_matrix(figure: Figure, found: Dynamics, left: float, side: float) -> None:
    changes = found.changes
    n = len(changes.classes)
    axes = place_axes(figure, left, 0.5, side, side)
    axes.imshow(changes.probability, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    small = FONT - 1.5 if n <= 4 else FONT - 3
    for before in range(n):
        for after in range(n):
            p, low, high = (each[before, after] for each in (changes.probability, changes.low, changes.high))
            text = f"{p:.2g}\n{low:.2g}-{high:.2g}" if n <= 4 else f"{p:.2g}"
            if n <= 8:
                axes.text(after, before, text, ha="center", va="center", fontsize=small,
                          color="white" if p > 0.6 else INK)  # fmt: skip
    names = [str(each) for each in changes.classes]
    axes.set_xticks(range(n), names)
    axes.set_yticks(range(n), names)
    axes.set_xlabel("state in the next frame")
    axes.set_ylabel("state")
    axes.set_title(f"transitions, {100 * changes.confidence:.0f} % intervals", fontsize=FONT, color=INK, loc="left",
                   pad=4)  # fmt: skip
    style_chart(axes)


def _draw_survival(figure: Figure, found: Dynamics, left: float, side: float) -> None:
    axes = place_axes(figure, left, 0.5, side, side)
    for index, (state, curve) in enumerate(list(found.lives.survival.items())[:_MOST_SURVIVALS]):
        colour = species_colour(index)
        axes.step(curve.time, curve.share, where="post", color=colour, linewidth=0.9, label=f"{state}")
        axes.fill_between(curve.time, curve.low, curve.high, step="post", color=colour, alpha=0.2, linewidth=0)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel(f"time in the state [{found.lives.unit}]")
    axes.set_title("stays that last longer", fontsize=FONT, color=INK, loc="left", pad=4)
    if found.lives.survival:
        axes.legend(fontsize=FONT - 1.5, frameon=False, title="state", title_fontsize=FONT - 1.5)
    style_chart(axes)


def _draw_displacement(figure: Figure, found: Dynamics, left: float, side: float) -> None:
    axes = place_axes(figure, left, 0.5, side, side)
    table, moved = found.displacement, found.diffusion
    axes.errorbar(table["lag"], table["msd"], table["msd_std"], fmt="o", color=INK, markersize=3, linewidth=0.7)
    if np.isfinite(moved.coefficient) and len(table):
        lag = np.array([0.0, float(table["lag"].max())])
        axes.plot(lag, 4 * moved.position_std**2 + 4 * moved.coefficient * lag, "-", color=species_colour(5), lw=0.9)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    units = str(found.summary["diffusion"]["unit"]).split("^")[0]
    axes.set_xlabel(f"time [{found.lives.unit}]")
    axes.set_title(f"mean square way [{units}²]", fontsize=FONT, color=INK, loc="left", pad=4)
    style_chart(axes)


def draw_tracks(image: xr.DataArray, atoms: pd.DataFrame, hops: pd.DataFrame) -> Figure:
    """Draw the ways of all linked atoms on the first frame, drift taken out, and hops in colour.

    Parameters
    ----------
    image : (frame, y, x).
    atoms : with ``track`` and places.
    hops : see `adatom.analyse.hops.find_hops`.
    """
    still = check_image(image).isel(frame=0).transpose("y", "x")
    step, units = pixel_step(still)
    scale = np.array([step[1], step[0]]) if atoms.attrs.get("units") == "px" and units == "nm" else np.ones(2)
    extent = still.shape[1] * step[1], still.shape[0] * step[0]
    grid = PanelGrid(1, 1, extent[1] / extent[0])
    figure = grid.make_figure()
    axes = grid.place(figure, 0)
    show_grey(axes, still.to_numpy(), step)
    names = list(place_columns(atoms))
    linked = atoms[atoms["track"] >= 0].sort_values(["track", "frame"])
    ways = [each[names].to_numpy(float) * scale for _, each in linked.groupby("track") if len(each) > 1]
    axes.add_collection(LineCollection(ways, colors=species_colour(1), linewidths=0.6))
    leaps = hops[["x", "y", "to_x", "to_y"]].to_numpy(float).reshape(-1, 2, 2) * scale
    axes.add_collection(LineCollection(list(leaps), colors=species_colour(5), linewidths=1.2))
    axes.set_title(f"{len(ways)} tracks, {len(hops)} hops", fontsize=FONT, color=INK, loc="left", pad=3)
    add_scale_bar(axes, grid.panel_size, extent[0], units)
    return figure
