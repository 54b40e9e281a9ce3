"""Stated probabilities against how often they came true, and species sets against the coverage asked for."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adatom.report.canvas import FONT, INK, make_figure, place_axes, style_chart
from adatom.report.histograms import BAR

Array = NDArray[np.float64]

_SIDE = 1.9  # [inch], of a panel
_Z = 1.96
_BINS = 10
_FEWEST = 5  # finds that a point needs


def draw_reliability(
    stated: Mapping[str, tuple[Array, NDArray[np.bool_]]], covered: Sequence[tuple[float, float]] = ()
) -> Figure:
    """Draw a panel for each kind of probability, and one for sets.

    Parameters
    ----------
    stated : title to probabilities (n,) and whether (n,) what was stated came true.
    covered : coverage asked for, and reached; none leaves the panel out.

    Notes
    -----
    Bars are 95 % intervals of the shares: Wilson 1927, 10.2307/2276774.
    """
    n_panels = len(stated) + bool(covered)
    figure = make_figure(n_panels * (_SIDE + 0.45) + 0.3, _SIDE + 0.85)
    for k in range(n_panels):
        axes = place_axes(figure, 0.5 + k * (_SIDE + 0.45), 0.45, _SIDE, _SIDE)
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), ylim=(0, 1))
        if k < len(stated):
            title, (probability, is_right) = list(stated.items())[k]
            number = np.minimum((probability * _BINS).astype(int), _BINS - 1)
            n = np.bincount(number, minlength=_BINS)
            enough = n >= _FEWEST
            share, middle, half = (each[enough] for each in _wilson(number, is_right, n))
            mean = (np.bincount(number, weights=probability, minlength=_BINS) / np.maximum(n, 1))[enough]
            axes.vlines(mean, middle - half, middle + half, color=BAR, linewidth=1.2)
            axes.scatter(mean, share, s=14, color=BAR, zorder=3, clip_on=False)
            axes.set(xlabel="stated probability", ylabel="share that is right")
            title = f"{title}\n{len(probability)} finds"
        else:
            axes.plot(*zip(*covered, strict=True), color=BAR, marker="o", markersize=3.5, linewidth=1.0, clip_on=False)
            axes.set(xlabel="coverage asked for", ylabel="sets with the right species")
            title = "Sets of species"
        axes.set_title(title, fontsize=FONT - 1, color=INK)
        style_chart(axes)
    return figure


def _wilson(number: NDArray[np.int64], is_right: NDArray[np.bool_], n: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Share of right ones in each bin, and the middle and half width of its interval."""
    n = np.maximum(n, 1)
    share = np.bincount(number, weights=is_right, minlength=_BINS) / n
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return share, middle, half
