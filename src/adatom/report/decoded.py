"""The image beside what it was read as: every atom a spot in the colour of its class, and how many there are."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from adatom.data import check_atoms, check_image, spacing
from adatom.errors import UnitError
from adatom.report.canvas import fit_text
from adatom.report.greyscale import MAX_SIDE, frame_image, pixel_step, show_grey
from adatom.report.palette import BACKGROUND, species_colour
from adatom.report.panels import PanelGrid, add_class_legend
from adatom.report.scale_bar import add_scale_bar

RADIUS = 0.3  # of a spot, in the median distance of nearest neighbours


def draw_decoded(image: xr.DataArray, atoms: pd.DataFrame, classes: list[str] | None = None) -> Figure:
    """Draw an image and, beside it, its atoms as spots; the legend counts those of each class.

    Parameters
    ----------
    image : (y, x).
    atoms : atoms of this one frame.
    classes : in the order of their colours; by default those that were found, by name, as in the overlay.

    Raises
    ------
    ShapeError : if `image` has not two dimensions or `atoms` lacks columns.
    UnitError : if atoms in nm lie on an image without calibration.
    """
    image = check_image(image, ndim=2).transpose("y", "x")
    atoms = check_atoms(atoms)
    step, units = pixel_step(image)
    if atoms.attrs["units"] == "nm" and units == "px":
        raise UnitError(
            "atoms: expected positions in px, as the image has no calibration, got nm. Give the image its pixel size."
        )
    in_px = (1.0, 1.0) if atoms.attrs["units"] == "px" else step
    names = sorted(str(name) for name in atoms["species"].unique()) if classes is None else list(classes)
    aspect = image.shape[0] * step[0] / (image.shape[1] * step[1])
    grid = PanelGrid(n_panels=2, columns=2 if aspect > 0.4 else 1, aspect=aspect, head=0.0, foot=0.3)
    figure = grid.make_figure()
    axes = grid.place(figure, 0)
    show_grey(axes, image.values, step)
    add_scale_bar(axes, grid.panel_size, image.shape[1] * step[1], units)
    axes = grid.place(figure, 1)
    height, width = image.shape
    extent = (-0.5 * step[1], (width - 0.5) * step[1], (height - 0.5) * step[0], -0.5 * step[0])
    axes.imshow(_spots((height, width), atoms, names, in_px), extent=extent, aspect="auto")
    frame_image(axes, (height, width), step)
    counts = [int((atoms["species"] == name).sum()) for name in names]
    labels = [f"{fit_text(name, 2.0, max_lines=1) or 'atom'} ({n})" for name, n in zip(names, counts, strict=True)]
    add_class_legend(figure, [species_colour(i) for i in range(len(names))], labels)
    return figure


def _spots(shape: tuple[int, int], atoms: pd.DataFrame, names: list[str], in_px: tuple[float, float]) -> np.ndarray:
    """Colours (y, x, 3) of smooth spots on a dark ground; where two overlap the brighter part of either shows."""
    fewer = min(1.0, MAX_SIDE / max(shape))
    finer = max(1.0, min(4.0, 600 / max(shape))) if fewer == 1.0 else fewer
    rows, columns = round(shape[0] * finer), round(shape[1] * finer)
    canvas = np.zeros((rows, columns, 3), dtype=np.float32)
    ground = np.array(to_rgb(BACKGROUND), dtype=np.float32)
    apart = spacing(atoms)
    radius = (RADIUS * apart / in_px[1] if np.isfinite(apart) else 4.0) * finer
    half = int(np.ceil(2.5 * radius))
    offsets = np.arange(-half, half + 1)
    for number, name in enumerate(names):
        colour = np.array(to_rgb(species_colour(number)), dtype=np.float32)
        mine = atoms[atoms["species"] == name]
        for x, y in zip(
            (mine["x"] / in_px[1] + 0.5) * finer - 0.5, (mine["y"] / in_px[0] + 0.5) * finer - 0.5, strict=True
        ):
            row, column = round(y) + offsets, round(x) + offsets
            row, column = row[(row >= 0) & (row < rows)], column[(column >= 0) & (column < columns)]
            if not (len(row) and len(column)):
                continue
            spot = np.exp(-0.5 * ((row[:, None] - y) ** 2 + (column[None, :] - x) ** 2) / (0.55 * radius) ** 2)
            part = np.ix_(row, column)
            canvas[part] = np.maximum(canvas[part], spot[:, :, None].astype(np.float32) * colour)
    return np.clip(ground + canvas * (1 - ground), 0, 1)
