"""A real image beside simulated ones, before and after a recipe was matched to it."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adatom.data.atomic_file import write_atomically, write_json
from adatom.errors import ShapeError
from adatom.report.canvas import FONT, INK, figure_png, make_figure, place_axes, style_chart
from adatom.report.greyscale import frame_image
from adatom.report.palette import species_colour

SHOWN = 5  # crops of each
_NAMES = ("real", "before", "after")
_COLOURS = (INK, species_colour(1), species_colour(0))
_GREY = (0.005, 0.995)  # quantiles of the real crops
_SIDE, _GAP, _LABEL, _CHART, _FOOT = 1.2, 0.06, 0.75, 1.75, 0.5  # [inch]


def write_match(
    folder: Path, recipe: str, summary: dict[str, Any], crops: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    """Write ``match.yaml``, the matched recipe, ``match.png`` and, last, ``match.json``, the estimates.

    Parameters
    ----------
    recipe, summary, crops : YAML text, `adatom.matching.Match.summary` and `Match.crops`.
    """
    test = summary["two_sample"]
    figure = draw_match(
        *crops,
        accuracy=(test["before"]["accuracy"], test["after"]["accuracy"]),
        pixel_nm=summary["working_pixel_size_nm"],
    )
    write_atomically(folder / "match.yaml", recipe)
    write_atomically(folder / "match.png", figure_png(figure))
    write_json(folder / "match.json", summary)


def draw_match(
    real: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    *,
    accuracy: tuple[float, float],
    pixel_nm: float | None = None,
) -> Figure:
    """Draw crops in rows at one scale of grey, and below them radial power spectra and histograms of grey values.

    Parameters
    ----------
    real, before, after : crops (n, y, x) of one side: of the image, and of images simulated by the old and by the
        matched recipe. Each is drawn without its mean, in units of its standard deviation, as the test of them sees it.
    accuracy : how often a classifier tells real crops from simulated ones, before and after; 0.5 is perfect.
    pixel_nm : size of a pixel, None where only pixels are known.

    Raises
    ------
    ShapeError : if crops are not (n, y, x) of one side, or there are none.
    """
    kinds = tuple(np.asarray(crops, float) for crops in (real, before, after))
    if any(crops.ndim != 3 or crops.size == 0 or crops.shape[1:] != kinds[0].shape[1:] for crops in kinds):
        raise ShapeError(f"crops: expected (n, y, x) of one side, got {[crops.shape for crops in kinds]}.")
    kinds = tuple(_normal(crops) for crops in kinds)
    width = _LABEL + SHOWN * (_SIDE + _GAP) + 0.1
    figure = make_figure(width, 3 * (_SIDE + _GAP) + _CHART + _FOOT + 0.35)
    low, high = np.quantile(kinds[0], _GREY)
    notes = ("", f"told apart\n{accuracy[0]:.2f}", f"told apart\n{accuracy[1]:.2f}")
    top = figure.get_figheight() - 0.08
    for row, (crops, name, note) in enumerate(zip(kinds, _NAMES, notes, strict=True)):
        bottom = top - (row + 1) * _SIDE - row * _GAP
        chosen = crops[np.unique(np.linspace(0, len(crops) - 1, SHOWN).round().astype(int))]
        for column, crop in enumerate(chosen):
            axes = place_axes(figure, _LABEL + column * (_SIDE + _GAP), bottom, _SIDE, _SIDE)
            extent = (-0.5, crop.shape[1] - 0.5, crop.shape[0] - 0.5, -0.5)
            axes.imshow(crop, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest", aspect="auto")
            frame_image(axes, (crop.shape[0], crop.shape[1]))
        figure.text(
            0.06 / width,
            (bottom + _SIDE / 2) / figure.get_figheight(),
            f"{name}\n{note}" if note else name,
            fontsize=FONT,
            color=_COLOURS[row],
            va="center",
        )
    chart = (width - 1.35) / 2
    spectra = place_axes(figure, 0.55, _FOOT, chart, _CHART)
    greys = place_axes(figure, 1.2 + chart, _FOOT, chart, _CHART)
    _draw_spectra(spectra, kinds, pixel_nm)
    _draw_greys(greys, kinds)
    for axes in (spectra, greys):
        style_chart(axes)
    greys.legend(fontsize=FONT - 1, frameon=False, labelcolor=INK, handlelength=1.2)
    return figure


def radial_power(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean power (k,) of crops (n, y, x) in rings of the spatial frequency (k,) [1/px]."""
    rows, columns = crops.shape[1:]
    window = np.hanning(rows + 2)[1:-1, None] * np.hanning(columns + 2)[None, 1:-1]
    power = (np.abs(np.fft.rfft2(crops * window)) ** 2).mean(axis=0) / (window**2).sum()
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :])
    ring = np.round(frequency * min(rows, columns)).astype(int)
    counts = np.bincount(ring.ravel())
    kept = np.arange(1, min(rows, columns) // 2 + 1)
    total = np.bincount(ring.ravel(), power.ravel())
    return kept / min(rows, columns), total[kept] / counts[kept]


def _draw_spectra(axes: Axes, kinds: tuple[np.ndarray, ...], pixel_nm: float | None) -> None:
    for crops, name, colour in zip(kinds, _NAMES, _COLOURS, strict=True):
        frequency, power = radial_power(crops)
        axes.semilogy(frequency / (pixel_nm or 1.0), power, color=colour, linewidth=1.2, label=name)
    axes.set_xlabel("spatial frequency [1/nm]" if pixel_nm else "spatial frequency [1/px]")
    axes.set_ylabel("power")


def _draw_greys(axes: Axes, kinds: tuple[np.ndarray, ...]) -> None:
    low, high = np.quantile(kinds[0], (0.0005, 0.9995))
    bins = np.linspace(low - 0.2 * (high - low), high + 0.2 * (high - low), 61)
    for crops, name, colour in zip(kinds, _NAMES, _COLOURS, strict=True):
        density, _ = np.histogram(crops, bins=bins, density=True)
        axes.plot(0.5 * (bins[1:] + bins[:-1]), density, color=colour, linewidth=1.2, label=name)
    axes.set_xlabel("grey value [standard deviations]")
    axes.set_ylabel("density")


def _normal(crops: np.ndarray) -> np.ndarray:
    centred = crops - crops.mean(axis=(1, 2), keepdims=True)
    normal: np.ndarray = centred / np.maximum(centred.std(axis=(1, 2), keepdims=True), 1e-12)
    return normal
