"""Spectra that a spectrum image is a mixture of, and where each is."""

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adatom.analyse import LatticePhases, Unmixed
from adatom.report.canvas import FONT, style_chart
from adatom.report.component_rows import TAKEN, ComponentRows, draw_scree, limits_about_zero, name_panel
from adatom.report.decomposition_figure import SIGNED
from adatom.report.greyscale import frame_image
from adatom.report.palette import NO_DATA
from adatom.report.scale_bar import add_scale_bar

_ASPECT = 0.2, 2.0  # of a map, beyond which it is stretched


def draw_unmixed(found: Unmixed) -> Figure:
    """Draw the scree and, for each component, its spectrum and its map."""
    maps, spectra = found.abundance, found.spectra
    rows = _rows(maps)
    figure = rows.make_figure()
    _draw_top(rows, figure, found.explained, found.n_suggested)
    axis = str(spectra.dims[1])
    units = spectra[axis].attrs.get("units", "")
    for index in range(len(spectra)):
        part, where = rows.place(figure, index)
        style_chart(part)
        part.plot(spectra[axis].to_numpy(), spectra.to_numpy()[index], color=TAKEN, linewidth=0.8)
        part.set_yticks([])
        part.set_xlabel(f"{axis} [{units}]" if units else axis)
        name_panel(part, f"{found.method} {index + 1}")
        _draw_map(where, maps.isel(component=index), rows, signed=found.method in ("pca", "ica"))
        name_panel(where, "share" if found.method == "vca" else "amount")
    return figure


def draw_phases(found: LatticePhases) -> Figure:
    """Draw the scree and, for each phase of a lattice, its diffraction and its map."""
    rows = _rows(found.abundance)
    figure = rows.make_figure()
    _draw_top(rows, figure, found.explained, found.n_suggested)
    u, units = found.spectra["u"].to_numpy(), found.spectra["u"].attrs["units"]
    radius = np.hypot(u[:, None], u[None, :])
    strongest = found.spectra.to_numpy().max(axis=0)
    reach = 1.5 * radius[strongest >= 0.1 * strongest.max()].max()  # beyond, next to nothing is seen
    for index in range(len(found.spectra)):
        part, where = rows.place(figure, index)
        picture = found.spectra.to_numpy()[index]
        part.imshow(picture, cmap="magma", vmin=0, extent=(u[0], u[-1], u[-1], u[0]), aspect="equal")
        part.set_xlim(-reach, reach)
        part.set_ylim(reach, -reach)
        part.tick_params(labelsize=FONT - 2, width=0.5, length=2)
        part.set_xlabel(f"[{units}]", fontsize=FONT - 1)
        name_panel(part, f"phase {index + 1}")
        _draw_map(where, found.abundance.isel(component=index), rows, signed=False)
        name_panel(where, "share")
    return figure


def _rows(maps: xr.DataArray) -> ComponentRows:
    step, _ = _step(maps)
    aspect = maps.sizes["y"] * step[0] / (maps.sizes["x"] * step[1])
    return ComponentRows(maps.sizes["component"], float(np.clip(aspect, *_ASPECT)))


def _step(maps: xr.DataArray) -> tuple[tuple[float, float], str]:
    """From one place of a map to the next along (y, x), which windows may take some pixels for, and its unit."""
    y, x = (float(np.diff(maps[name].to_numpy()[:2])[0]) if maps.sizes[name] > 1 else 1.0 for name in ("y", "x"))
    return (y, x), str(maps["x"].attrs.get("units", "px"))


def _draw_top(rows: ComponentRows, figure: Figure, explained: np.ndarray, n_suggested: int) -> None:
    top = rows.place_top(figure)
    draw_scree(top, explained, n_suggested)
    name_panel(top, "Variance that each principal component explains")


def _draw_map(axes: Axes, values: xr.DataArray, rows: ComponentRows, *, signed: bool) -> None:
    step, units = _step(values)
    shape = values.shape[0], values.shape[1]
    low, high = limits_about_zero(values.to_numpy())
    axes.imshow(
        np.ma.masked_invalid(values.to_numpy()),
        cmap=colormaps[SIGNED if signed else "magma"].with_extremes(bad=NO_DATA),
        vmin=low if signed else 0.0,
        vmax=high,
        extent=(-0.5 * step[1], (shape[1] - 0.5) * step[1], (shape[0] - 0.5) * step[0], -0.5 * step[0]),
        aspect="auto",
        interpolation="nearest",
    )
    frame_image(axes, shape, step)
    add_scale_bar(axes, rows.map_size, shape[1] * step[1], units)
