"""Rows of small panels that show what statistics found: each component, where it is, and how much it explains."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adatom.report.canvas import FONT, INK, make_figure, place_axes, style_chart

WIDTH = 7.2  # [inch], of a page's text
MARGIN = 0.1  # [inch]
HEAD = 0.22  # [inch], above each panel, for its name
GAP = 0.2  # [inch], between panels
AXIS = 0.42  # [inch], beside and below a chart, for its numbers
SCREE_HEIGHT = 1.3  # [inch]
_MOST_VALUES = 20  # in a scree
TAKEN, LEFT = "#0072B2", "#B9C7D6"


@dataclass(frozen=True)
class ComponentRows:
    """A chart on top, below it a row of two panels for each component, two components side by side where they fit.

    Parameters
    ----------
    n_components : number of them.
    aspect : height of the map over its width.
    part_width : of the panel that shows the component itself, against its map's.
    """

    n_components: int
    aspect: float
    part_width: float = 1.0

    @property
    def columns(self) -> int:
        """Components in a row."""
        return 2 if self.n_components > 1 else 1

    @property
    def map_size(self) -> tuple[float, float]:
        """Width and height [inch]."""
        # a map is at most 2.2 inches high
        room = (WIDTH - 2 * MARGIN - GAP) / 2 - GAP - AXIS
        width = min(room / (1 + self.part_width), 2.2 / self.aspect)
        return width, width * self.aspect

    @property
    def row_height(self) -> float:
        """Height of a row of panels [inch]."""
        return max(self.map_size[1], 0.9) + HEAD + AXIS

    def make_figure(self) -> Figure:
        """Make the empty figure."""
        rows = -(-self.n_components // self.columns)
        return make_figure(WIDTH, SCREE_HEIGHT + HEAD + AXIS + rows * self.row_height + 2 * MARGIN)

    def place_top(self, figure: Figure) -> Axes:
        """Axes of the chart on top."""
        top = figure.get_figheight() - MARGIN - HEAD
        return place_axes(figure, MARGIN + AXIS, top - SCREE_HEIGHT, WIDTH - 2 * MARGIN - AXIS, SCREE_HEIGHT)

    def place(self, figure: Figure, index: int) -> tuple[Axes, Axes]:
        """Axes of a component itself and of its map."""
        row, column = divmod(index, self.columns)
        width, height = self.map_size
        left = MARGIN + column * (WIDTH - 2 * MARGIN + GAP) / 2
        top = figure.get_figheight() - MARGIN - 2 * HEAD - SCREE_HEIGHT - AXIS - row * self.row_height
        part = place_axes(figure, left + AXIS, top - height, width * self.part_width, height)
        return part, place_axes(figure, left + AXIS + width * self.part_width + GAP, top - height, width, height)


def draw_scree(axes: Axes, explained: NDArray[np.float64], n_suggested: int) -> None:
    """Share of variance of each principal component on a logarithmic scale, those above the noise in blue."""
    shown = np.asarray(explained)[:_MOST_VALUES]
    number = np.arange(1, len(shown) + 1)
    style_chart(axes)
    above = number <= n_suggested
    for which, colour, label in ((above, TAKEN, "above the noise"), (~above, LEFT, "noise")):
        axes.plot(number[which], shown[which], "o", color=colour, markersize=4, label=label)
    if (shown > 0).any():
        axes.set_yscale("log")
        axes.set_ylim(0.5 * shown[shown > 0].min(), 2)
    axes.set_xlim(0.4, len(shown) + 0.6)
    axes.set_xticks(number)
    axes.set_xlabel("principal component")
    axes.set_ylabel("share of variance")
    axes.legend(fontsize=FONT - 1, frameon=False, labelcolor=INK)


def name_panel(axes: Axes, name: str) -> None:
    """A small title at the left."""
    axes.set_title(name, fontsize=FONT, color=INK, pad=3, loc="left", parse_math=False)


def limits_about_zero(values: NDArray[np.float64]) -> tuple[float, float]:
    """Limits of colours, 0 in the middle, that 1 % of the values pass."""
    known = np.abs(values[np.isfinite(values)])
    most = float(np.percentile(known, 99)) if known.size else 0.0
    most = most or float(known.max(initial=0.0)) or 1.0
    return -most, most
