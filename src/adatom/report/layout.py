"""Where the parts of an overlay go: the title above the image, the legend below it, or beside an image that is tall."""

from dataclasses import dataclass
from functools import cached_property

from adatom.report.canvas import FONT, fit_text

NARROWEST = 2.6  # [inch], room for a title over an image that is a thin strip
MARGIN = 0.08  # [inch]
GAP = 0.08  # [inch], between image and legend
COLUMN_GAP = 0.22  # [inch]
LINE = 1.6 * FONT / 72  # [inch], height of a line of the legend


@dataclass(frozen=True)
class OverlayLayout:
    """Sizes [inch] and places (fractions of the figure) of an overlay's parts.

    Parameters
    ----------
    width, height : of the drawn image [inch].
    labels : entries of the legend.
    caption : the title, of any length.
    """

    width: float
    height: float
    labels: tuple[str, ...] = ()
    caption: str = ""

    @property
    def beside(self) -> bool:
        """Whether the legend stands at the right of the image."""
        return self.height > 1.6 * self.width

    @cached_property
    def legend_columns(self) -> int:
        """As many columns as fit under the image."""
        if self.beside or not self.labels:
            return 1
        widths = [_entry_width(label) for label in self.labels]
        for columns in range(len(widths), 1, -1):
            rows = -(-len(widths) // columns)
            total = sum(max(widths[i : i + rows]) + COLUMN_GAP for i in range(0, len(widths), rows))
            if total - COLUMN_GAP <= max(self.width, NARROWEST):
                return columns
        return 1

    @property
    def content_width(self) -> float:
        """Width without margins."""
        legend = max((_entry_width(label) for label in self.labels), default=0.0)
        return max(self.width + GAP + legend if self.beside and legend else self.width, NARROWEST)

    @cached_property
    def title(self) -> str:
        """Title, wrapped and shortened to the width of the figure."""
        return fit_text(self.caption, self.content_width, fontsize=FONT + 1)

    @property
    def figure_size(self) -> tuple[float, float]:
        """Width and height of the figure [inch]."""
        legend = -(-len(self.labels) // self.legend_columns) * LINE
        below = GAP + legend if self.labels else 0.0
        height = max(self.height, legend) if self.beside else self.height + below
        return self.content_width + 2 * MARGIN, self._title_height + height + 2 * MARGIN

    @property
    def image_place(self) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of the image [inch]."""
        return MARGIN, self.figure_size[1] - MARGIN - self._title_height - self.height, self.width, self.height

    @property
    def title_place(self) -> tuple[float, float]:
        """Upper left corner of the title, as fractions of the figure."""
        return MARGIN / self.figure_size[0], 1 - MARGIN / self.figure_size[1]

    @property
    def legend_place(self) -> tuple[float, float]:
        """Upper left corner of the legend, as fractions of the figure."""
        left, bottom, width, height = self.image_place
        x, y = (left + width + GAP, bottom + height) if self.beside else (left, bottom - GAP)
        return x / self.figure_size[0], y / self.figure_size[1]

    @property
    def _title_height(self) -> float:
        return (self.title.count("\n") + 1) * 1.35 * (FONT + 1) / 72 + 0.04 if self.title else 0.0


def _entry_width(label: str) -> float:
    return 0.24 + 0.62 * FONT / 72 * len(label)
