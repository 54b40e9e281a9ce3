"""A noisy image, what is left of it, what was taken out, and the spectrum of that: a lattice in it is seen at once."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adatom.data import check_image
from adatom.data.atomic_file import write_atomically, write_json
from adatom.errors import ShapeError
from adatom.report.canvas import FONT, INK, figure_png, fit_text, place_axes
from adatom.report.greyscale import frame_image, pixel_step, show_grey, shrink
from adatom.report.palette import NO_DATA, species_colour
from adatom.report.panels import PanelGrid
from adatom.report.scale_bar import add_scale_bar

Array = NDArray[np.float64]

_SIDE = 0.45  # [inch], for the colour bar of the risk


def draw_denoising(
    image: xr.DataArray, denoised: xr.DataArray, risk: xr.DataArray, peaks: Array, spots: Array
) -> Figure:
    """Draw an image, the denoised one, its risk, the residual, and the spectra of image and residual.

    Parameters
    ----------
    image, denoised, risk : (y, x) of one shape.
    peaks : (n, 2) frequencies (y, x) of the lattice's peaks in the spectrum of the image [1/px]; a ring is drawn around
        each in both spectra: where the residual is noise, its rings are empty.
    spots : (n, 2) places (y, x) in the residual that are no noise [px]; a ring is drawn around each.

    Raises
    ------
    ShapeError : if they are not of one shape.
    """
    image = check_image(image, ndim=2).transpose("y", "x")
    if image.shape != denoised.shape or image.shape != risk.shape:
        raise ShapeError(f"denoised, risk: expected shape {image.shape}, got {denoised.shape} and {risk.shape}.")
    step, units = pixel_step(image)
    values, clean = image.to_numpy().astype(float), denoised.to_numpy().astype(float)
    residual = values - clean
    grid = PanelGrid(n_panels=6, columns=3, aspect=image.shape[0] * step[0] / (image.shape[1] * step[1]), side=_SIDE)
    figure = grid.make_figure()
    width, height = grid.panel_size
    names = ("image", "denoised", "risk", "residual", "spectrum of the image", "spectrum of the residual")
    panels = [grid.place(figure, number) for number in range(6)]
    for axes, name in zip(panels, names, strict=True):
        axes.set_title(fit_text(name, width, max_lines=1), fontsize=FONT, color=INK, pad=3, loc="left")
    show_grey(panels[0], values, step)
    add_scale_bar(panels[0], (width, height), image.shape[1] * step[1], units)
    show_grey(panels[1], clean, step)
    show_grey(panels[3], residual, step)
    across, down = spots[:, 1] * step[1], spots[:, 0] * step[0]
    panels[3].scatter(across, down, s=60, facecolors="none", edgecolors=species_colour(5), linewidths=0.8)
    shown, factor = shrink(risk.to_numpy().astype(float))
    rows, columns = shown.shape[0] * factor, shown.shape[1] * factor
    drawn = panels[2].imshow(
        shown,
        cmap=colormaps["magma"].with_extremes(bad=NO_DATA),
        vmin=0,
        extent=(-0.5 * step[1], (columns - 0.5) * step[1], (rows - 0.5) * step[0], -0.5 * step[0]),
        aspect="auto",
    )
    frame_image(panels[2], (image.shape[0], image.shape[1]), step)
    right, below = figure.get_figwidth() - _SIDE, figure.get_figheight() - 0.28 - height
    bar = figure.colorbar(drawn, cax=place_axes(figure, right, below, 0.09, height))
    bar.ax.tick_params(labelsize=FONT - 2, width=0.6, length=2, color=INK, labelcolor=INK)
    bar.ax.yaxis.get_offset_text().set(fontsize=FONT - 2, color=INK)
    bar.outline.set_linewidth(0.5)
    for axes, each in ((panels[4], values), (panels[5], residual)):
        _draw_spectrum(axes, each, peaks)
    return figure


def _draw_spectrum(axes: Axes, values: Array, peaks: Array) -> None:
    """Logarithm of the power, frequency 0 in the middle, up to half the highest."""
    known = np.isfinite(values)
    window = np.hanning(values.shape[0] + 2)[1:-1, None] * np.hanning(values.shape[1] + 2)[None, 1:-1]
    centred = np.where(known, values - values[known].mean(), 0.0) * window
    power = np.fft.fftshift(np.abs(np.fft.fft2(centred)) ** 2)
    power = np.log(power + 1e-12 * power.max())
    rows, columns = power.shape
    extent = (-0.5 - 0.5 / columns, 0.5 - 0.5 / columns, 0.5 - 0.5 / rows, -0.5 - 0.5 / rows)
    low, high = np.percentile(power, (20, 99.9))
    axes.imshow(power, cmap="gray", vmin=low, vmax=high, extent=extent, aspect="auto", interpolation="nearest")
    for y, x in (peaks.T, -peaks.T):
        axes.scatter(x, y, s=22, facecolors="none", edgecolors=species_colour(0), linewidths=0.6)
    # all that matters lies there, unless pixels are too coarse
    reach = min(0.5, max(0.25, 1.2 * float(np.abs(peaks).max(initial=0.0))))
    axes.set(xlim=(-reach, reach), ylim=(reach, -reach), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.5, color="#444444")


def write_denoising(figure_path: Path, figure: Figure, summary_path: Path, summary: dict[str, Any]) -> None:
    """Write the figure and, last, the summary."""
    write_atomically(figure_path, figure_png(figure))
    write_json(summary_path, summary)
