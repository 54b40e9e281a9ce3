"""Small images side by side, in rows, in one size."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.typing import ColorType

from adatom.report.canvas import FONT, INK, make_figure, place_axes

WIDTH = 7.2  # [inch], of a page's text
TALLEST = 3.6  # [inch], of a panel
MARGIN = 0.08  # [inch]


@dataclass(frozen=True)
class PanelGrid:
    """Places of `n_panels` images of one shape, at most `columns` in a row.

    Parameters
    ----------
    aspect : height of an image over its width.
    gap : between the panels of a row [inch].
    head : room above every panel [inch], for its name.
    foot, side : room below and at the right of all panels [inch], for a legend or a colour bar.
    """

    n_panels: int
    columns: int
    aspect: float
    gap: float = 0.08
    head: float = 0.2
    foot: float = 0.0
    side: float = 0.0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return -(-self.n_panels // self.columns)

    @property
    def panel_size(self) -> tuple[float, float]:
        """Width and height of a panel [inch]."""
        columns = max(self.columns, 2)  # a single panel need not fill the page
        width = (WIDTH - self.side - 2 * MARGIN - (columns - 1) * self.gap) / columns
        width = min(width, TALLEST / self.aspect)
        return width, width * self.aspect

    def make_figure(self) -> Figure:
        """Make the empty figure."""
        width, height = self.panel_size
        return make_figure(
            self.columns * width + (self.columns - 1) * self.gap + self.side + 2 * MARGIN,
            self.rows * (height + self.head) + (self.rows - 1) * self.gap + self.foot + 2 * MARGIN,
        )

    def place(self, figure: Figure, index: int) -> Axes:
        """Add the axes of this panel."""
        row, column = divmod(index, self.columns)
        width, height = self.panel_size
        top = figure.get_figheight() - MARGIN - row * (height + self.head + self.gap) - self.head
        return place_axes(figure, MARGIN + column * (width + self.gap), top - height, width, height)


def add_class_legend(figure: Figure, colours: Sequence[ColorType], labels: Sequence[str]) -> None:
    """Say below the panels, in their foot, which colour is which class."""
    add_legend(figure, [Patch(facecolor=colour, edgecolor="none") for colour in colours], labels)


def add_legend(figure: Figure, marks: Sequence[Artist], labels: Sequence[str], *, columns: int | None = None) -> None:
    """Say below the panels, in their foot, what the marks mean; by default with an inch for each."""
    legend = figure.legend(
        marks,
        # matplotlib leaves out labels that begin with an underscore
        [f" {label}" if label.startswith("_") else label for label in labels],
        loc="lower left",
        bbox_to_anchor=(MARGIN / figure.get_figwidth(), MARGIN / figure.get_figheight()),
        ncols=columns or max(1, min(len(labels), int(figure.get_figwidth()))),
        fontsize=FONT,
        labelcolor=INK,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.0,
        handleheight=1.0,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
