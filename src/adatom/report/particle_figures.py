"""Particles on their image, and how large they are."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from adatom.analyse.size_distribution import SizeDistribution
from adatom.data import check_image
from adatom.report.canvas import FONT, INK, make_figure, place_axes, style_chart
from adatom.report.greyscale import pixel_step, show_grey
from adatom.report.palette import COLOURS
from adatom.report.panels import MARGIN, add_class_legend
from adatom.report.scale_bar import add_scale_bar

WHOLE, CUT = COLOURS[0], COLOURS[1]
BAR = "#56B4E9"
_LONG_SIDE = 6.5  # [inch], of the drawn image
_FOOT = 0.28  # [inch]
_MOST_NUMBERS = 60  # particles that are numbered in the figure


def draw_particles(image: xr.DataArray, instances: NDArray[np.integer], is_cut: NDArray[np.bool_]) -> Figure:
    """Draw an image in grey with the outline of each particle.

    Parameters
    ----------
    image : (y, x).
    instances : (y, x) number of the particle that a pixel belongs to, from 1.
    is_cut : (number of particles,) whether the border of the image cuts it.
    """
    image = check_image(image, ndim=2).transpose("y", "x")
    step, units = pixel_step(image)
    extent = image.shape[1] * step[1], image.shape[0] * step[0]
    scale = _LONG_SIDE / max(extent)
    width, height = extent[0] * scale, extent[1] * scale
    figure = make_figure(max(width, 2.0) + 2 * MARGIN, height + _FOOT + 2 * MARGIN)
    axes = place_axes(figure, MARGIN, MARGIN + _FOOT, width, height)
    show_grey(axes, image.values, step)
    n = len(is_cut)
    kinds = np.zeros(n + 1)
    kinds[1:] = np.where(is_cut, 2, 1)
    outline = _outlines(instances)
    # pixels of a large image are thinner than a line of the figure
    thick = max(1, round(max(instances.shape) / 700))
    shown = np.zeros((*instances.shape, 4), dtype=np.float32)
    for kind, colour in ((1, WHOLE), (2, CUT)):
        mine = _thickened(outline & (kinds[instances] == kind), thick)
        shown[mine] = [*(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)), 1.0]
    axes.imshow(
        shown,
        extent=(-0.5 * step[1], extent[0] - 0.5 * step[1], extent[1] - 0.5 * step[0], -0.5 * step[0]),
        aspect="auto",
        interpolation="nearest",
    )
    if n <= _MOST_NUMBERS:
        for number, (y, x) in _middles(instances).items():
            axes.text(x * step[1], y * step[0], str(number), color="white", fontsize=FONT - 1, ha="center", va="center")
    add_scale_bar(axes, (width, height), extent[0], units)
    labels = [f"whole: {n - int(is_cut.sum())}", f"cut by the border: {int(is_cut.sum())}"]
    add_class_legend(figure, (WHOLE, CUT), labels)
    return figure


def draw_sizes(sizes: SizeDistribution, units: str) -> Figure:
    """Draw the histogram of sizes with its intervals, and the mean with its own."""
    figure = make_figure(4.6, 2.9)
    axes = place_axes(figure, 0.6, 0.5, 3.85, 2.0)
    style_chart(axes)
    middle, wide = 0.5 * (sizes.edges[1:] + sizes.edges[:-1]), np.diff(sizes.edges)
    if sizes.n:
        axes.bar(middle, sizes.share, wide, color=BAR, edgecolor="white", linewidth=0.4)
    if np.isfinite(sizes.share_low).all():
        below, above = sizes.share - sizes.share_low, sizes.share_high - sizes.share
        axes.errorbar(
            middle, sizes.share, np.maximum([below, above], 0), fmt="none", ecolor=INK, elinewidth=0.7, capsize=1.5
        )
        low, high = sizes.intervals["mean"]
        axes.axvspan(low, high, color=COLOURS[5], alpha=0.25, linewidth=0)
        axes.axvline(sizes.mean, color=COLOURS[5], linewidth=1.0)
    axes.set_xlabel(f"{sizes.column} [{units}]")
    axes.set_ylabel("share of the particles")
    told = "no whole particle"
    if sizes.n:
        told = f"{sizes.n} whole particles, mean {sizes.mean:.3g} {units}"
    if np.isfinite(sizes.intervals["mean"][0]):
        told += " ({:.3g} to {:.3g})".format(*sizes.intervals["mean"])
    if sizes.n_cut:
        told += f"; {sizes.n_cut} cut by the border left out"
    axes.set_title(told, fontsize=FONT - 1, color=INK, loc="left")
    return figure


def _outlines(instances: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Pixels (y, x) of particles that have a neighbour of something else."""
    differs = np.zeros(instances.shape, dtype=bool)
    for axis in (0, 1):
        moved = np.moveaxis(differs, axis, 0)
        number = np.moveaxis(instances, axis, 0)
        change = number[1:] != number[:-1]
        moved[1:] |= change
        moved[:-1] |= change
    inside: NDArray[np.bool_] = differs & (instances > 0)
    return inside


def _thickened(mask: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    return np.asarray(ndimage.binary_dilation(mask, iterations=times - 1) if times > 1 else mask, dtype=bool)


def _middles(instances: NDArray[np.integer]) -> dict[int, tuple[float, float]]:
    numbers = np.unique(instances[instances > 0])
    return dict(zip(numbers.tolist(), ndimage.center_of_mass(instances > 0, instances, numbers), strict=True))
