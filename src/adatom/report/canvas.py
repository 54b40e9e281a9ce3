"""Blank figures and their PNG bytes, without pyplot: nothing global changes and no window opens."""

import warnings
from io import BytesIO
from textwrap import shorten, wrap

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 200
_COMPRESSION = 2  # of PNG, 0 to 9
FONT = 8.0  # [pt], the size of a figure's text in most journals
INK = "#222222"


def make_figure(width: float, height: float) -> Figure:
    """Make a white figure of this size [inch], ready to be saved."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def place_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes whose lower left corner and size are given in inches."""
    figure_width, figure_height = figure.get_size_inches()
    return figure.add_axes(
        (left / figure_width, bottom / figure_height, width / figure_width, height / figure_height), facecolor="white"
    )


def style_chart(axes: Axes) -> None:
    """Give a chart small type, thin lines and no box."""
    axes.tick_params(labelsize=FONT - 1, width=0.6, length=3, color=INK, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.6)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(fontsize=FONT, color=INK)


def fit_text(text: str, width: float, *, max_lines: int = 2, fontsize: float = FONT) -> str:
    """Wrap `text` to `width` [inch], and shorten it where it would take more than `max_lines`."""
    characters = max(8, int(width * 72 / (0.58 * fontsize)))
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    lines = wrap(clean, characters)
    if len(lines) <= max_lines:
        return "\n".join(lines)
    kept = lines[: max_lines - 1]
    rest = " ".join(lines[max_lines - 1 :])
    last = shorten(rest, characters, placeholder=" …")
    return "\n".join([*kept, last if last != "…" else rest[: characters - 1] + "…"])


def figure_png(figure: Figure, dpi: int = DPI) -> bytes:
    """Draw `figure` into PNG bytes: the same figure gives the same bytes."""
    stream = BytesIO()
    with warnings.catch_warnings():
        # A file name in a script that the font lacks shows as boxes; that is no reason to warn about the result.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        # noise does not compress: trying harder takes twice the time and saves nothing
        figure.savefig(
            stream, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": _COMPRESSION}
        )
    return stream.getvalue()
