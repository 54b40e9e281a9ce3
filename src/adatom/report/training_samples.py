"""What a network is trained on: simulated images beside the labels it has to find."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from adatom.errors import ArgumentError, ShapeError
from adatom.report.canvas import fit_text
from adatom.report.greyscale import frame_image, show_grey
from adatom.report.palette import label_colours
from adatom.report.panels import PanelGrid, add_class_legend

MOST = 6


def draw_samples(
    images: np.ndarray, labels: np.ndarray, classes: Sequence[str], *, background: str = "no atom"
) -> Figure:
    """Draw up to six simulated images, each with its label map at its right.

    Parameters
    ----------
    images : (n, y, x), any real numbers.
    labels : (n, y, x), whole numbers: 0 where there is no atom, k where there is one of ``classes[k - 1]``.
    classes : names of the classes, without the background.
    background : what the legend calls that.

    Raises
    ------
    ShapeError : if the two do not have the same three dimensions, or are empty.
    ArgumentError : if a label has no class.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 3 or images.shape != labels.shape or images.size == 0:
        raise ShapeError(
            f"labels: expected the shape (n, y, x) of the images, got {labels.shape} for images of {images.shape}."
        )
    images, labels = images[:MOST], labels[:MOST]
    if labels.min() < 0 or labels.max() > len(classes):
        raise ArgumentError(
            f"labels: expected 0 to {len(classes)}, as there are {len(classes)} classes, "
            f"got {labels.min()} to {labels.max()}."
        )
    rows, columns = images.shape[1:]
    aspect = rows / columns
    pairs = min(len(images), 3 if aspect > 0.4 else 1)
    grid = PanelGrid(n_panels=2 * len(images), columns=2 * pairs, aspect=aspect, gap=0.06, head=0.0, foot=0.3)
    figure = grid.make_figure()
    colours = label_colours(len(classes))
    for index in range(len(images)):
        show_grey(grid.place(figure, 2 * index), images[index])
        axes = grid.place(figure, 2 * index + 1)
        extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
        axes.imshow(
            labels[index],
            cmap=colours,
            vmin=-0.5,
            vmax=len(classes) + 0.5,
            extent=extent,
            aspect="auto",
            interpolation="nearest",
        )
        frame_image(axes, (rows, columns))
    names = [fit_text(str(name), 2.0, max_lines=1) for name in classes]
    add_class_legend(figure, [colours(i) for i in range(len(classes) + 1)], [background, *names])
    return figure


def draw_contact_sheet(data: xr.Dataset) -> Figure:
    """Draw six images of a training set, evenly spread over it, with their label maps."""
    those = np.unique(np.linspace(0, data.sizes["sample"] - 1, MOST).round().astype(int))
    images, labels = (np.stack([data[name][k].to_numpy() for k in those]) for name in ("image", "label"))
    background = "no atom" if data.sizes["atom"] else "none of them"
    return draw_samples(images, labels, data.attrs["classes"], background=background)
