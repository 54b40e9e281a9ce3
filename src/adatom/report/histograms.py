"""How far apart the atoms are, and how sure the method is of them."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.spatial import cKDTree

from adatom.data import check_atoms
from adatom.report.canvas import FONT, INK, make_figure, place_axes, style_chart

SIZE = 2.2, 1.7  # [inch], of a panel: small, so that the type is read on a phone too
BAR = "#5B6B7F"  # no species has this colour


def draw_histograms(atoms: pd.DataFrame) -> Figure:
    """Draw a histogram of the nearest-neighbour distances (left) and one of the probabilities (right).

    Parameters
    ----------
    atoms : atoms of one or more frames; neighbours are looked for in the same frame.

    Raises
    ------
    ShapeError : if a column or the unit is missing.
    """
    check_atoms(atoms)
    distances = _nearest_distances(atoms)
    probabilities = atoms["probability"].to_numpy(float)
    width, height = SIZE
    figure = make_figure(2 * width + 1.3, height + 0.7)
    left = place_axes(figure, 0.6, 0.5, width, height)
    right = place_axes(figure, width + 1.15, 0.5, width, height)

    _draw_distances(left, distances, str(atoms.attrs["units"]))
    right.set_xlabel("probability")
    right.set_xlim(0, 1)
    _draw_counts(right, probabilities[np.isfinite(probabilities)], (0.0, 1.0), 25)
    for axes in (left, right):
        axes.set_ylabel("atoms")
        style_chart(axes)
    return figure


def _nearest_distances(atoms: pd.DataFrame) -> np.ndarray:
    distances = [np.empty(0)]
    for _, frame in atoms.groupby("frame"):
        positions = frame[["x", "y"]].to_numpy(float)
        positions = positions[np.isfinite(positions).all(axis=1)]
        if len(positions) > 1:
            distances.append(cKDTree(positions).query(positions, k=2)[0][:, 1])
    return np.concatenate(distances)


def _draw_distances(axes: Axes, distances: np.ndarray, units: str) -> None:
    axes.set_xlabel(f"nearest-neighbour distance [{units}]")
    if not len(distances):
        _say_none(axes)
        return
    median = float(np.median(distances))
    top = min(max(float(distances.max()), 1.2 * median), 2.5 * median) or 1.0
    n_beyond = int((distances > top).sum())
    bins = int(np.clip(3 * np.sqrt(len(distances)), 10, 60))
    low = min(float(distances.min()), 0.5 * median)
    _draw_counts(axes, distances[distances <= top], (low, top), bins)
    axes.axvline(median, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    note = f"median {median:.3g} {units}" + (f"\n{n_beyond} beyond" if n_beyond else "")
    side = median > low + 0.5 * (top - low)
    axes.text(
        0.02 if side else 0.98,
        0.97,
        note,
        transform=axes.transAxes,
        ha="left" if side else "right",
        va="top",
        fontsize=FONT - 1,
        color=INK,
    )


def _draw_counts(axes: Axes, values: np.ndarray, limits: tuple[float, float], bins: int) -> None:
    if not len(values):
        _say_none(axes)
        return
    axes.hist(values, bins=bins, range=limits, color=BAR, edgecolor="white", linewidth=0.3)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _say_none(axes: Axes) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", fontsize=FONT, color="#777777")
