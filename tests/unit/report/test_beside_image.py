"""Measured, simulated and residual side by side."""

import numpy as np
import pandas as pd
import pytest

from adatom.errors import ShapeError
from adatom.report.beside_image import draw_beside_image
from adatom.report.canvas import figure_png


def test_three_panels_and_a_mark_on_what_is_contradicted() -> None:
    image = np.random.default_rng(0).normal(size=(40, 60))
    image[0, 0] = np.nan
    places = pd.DataFrame({"x": [0.3], "y": [0.2]})
    figure = draw_beside_image(image, image, 0 * image, places, pixel_nm=0.02, text="R² 1 <b>$x$</b>")
    assert len(figure.axes) == 3
    assert [len(axes.lines) for axes in figure.axes] == [0, 1, 1]
    assert figure_png(figure).startswith(b"\x89PNG")


def test_images_of_different_shapes_are_told() -> None:
    image = np.zeros((4, 4))
    with pytest.raises(ShapeError, match="one shape"):
        draw_beside_image(image, image, image[1:], pd.DataFrame({"x": [], "y": []}), pixel_nm=1.0)
