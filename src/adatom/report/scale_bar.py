"""A scale bar of a round length, which one reads without a ruler."""

import math

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from adatom.report.canvas import FONT

_UNITS = ((1e6, 1e6, "mm"), (1e3, 1e3, "µm"), (0.1, 1.0, "nm"), (0.0, 1e-3, "pm"))  # used from, and size, in nm


def round_length(longest: float) -> float:
    """Largest of 1, 2, 5 x 10^n that is not longer than `longest`."""
    power = 10.0 ** math.floor(math.log10(longest))
    return next((m * power for m in (5, 2) if m * power <= longest * (1 + 1e-9)), power)


def length_label(length: float, units: str) -> str:
    """Length with its unit, in the unit that needs the fewest digits.

    Parameters
    ----------
    length : in `units`.
    units : ``nm`` or ``px``.
    """
    if units != "nm":
        return f"{length:.12g} {units}"
    size, name = next((size, name) for start, size, name in _UNITS if length >= start * (1 - 1e-9))
    return f"{length / size:.6g} {name}"


def add_scale_bar(axes: Axes, size: tuple[float, float], extent: float, units: str) -> None:
    """Draw a scale bar on a translucent box into the lower left corner of an image.

    Parameters
    ----------
    size : width and height of the axes [inch].
    extent : width of the image [`units`].
    units : ``nm`` or ``px``.
    """
    width, height = size
    fontsize = min(FONT + 1, 0.13 * height * 72, 0.2 * width * 72)
    inch = fontsize / 72
    length = round_length(0.3 * extent)
    if units == "px":
        length = max(length, 1.0)
    label = length_label(length, units)
    bar = length / extent * width
    box = max(bar, 0.62 * len(label) * inch) + 1.0 * inch
    margin, tall = 0.6 * inch, 2.1 * inch
    patch = FancyBboxPatch(
        (margin / width, margin / height),
        box / width,
        tall / height,
        boxstyle="square,pad=0",
        transform=axes.transAxes,
        facecolor="black",
        edgecolor="none",
        alpha=0.55,
        zorder=5,
    )
    axes.add_patch(patch)
    centre = margin + box / 2
    axes.add_patch(
        Rectangle(
            ((centre - bar / 2) / width, (margin + 0.4 * inch) / height),
            bar / width,
            0.28 * inch / height,
            transform=axes.transAxes,
            facecolor="white",
            edgecolor="none",
            zorder=6,
        )
    )
    axes.text(
        centre / width,
        (margin + 0.85 * inch) / height,
        label,
        transform=axes.transAxes,
        color="white",
        fontsize=fontsize,
        ha="center",
        va="bottom",
        zorder=6,
        gid="scale bar",
    )
