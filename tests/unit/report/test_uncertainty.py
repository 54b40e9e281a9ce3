import numpy as np
import pytest
import xarray as xr

from adatom.data import make_image
from adatom.errors import ShapeError
from adatom.report import draw_reliability, draw_uncertainty, figure_png


def doubts(shape: tuple[int, int]) -> xr.Dataset:
    flat = (("y", "x"), np.full(shape, 0.3))
    std = (("class", "y", "x"), np.full((2, *shape), 0.1))
    return xr.Dataset({"entropy_data": flat, "entropy_model": flat, "probability_std": std})


def test_a_panel_for_the_image_and_one_for_each_doubt():
    figure = draw_uncertainty(make_image(np.eye(20), pixel_size=0.1), doubts((20, 20)))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:4] == ["image", "left open by data", "models disagree", "spread of models"]
    assert figure_png(figure).startswith(b"\x89PNG")


def test_doubts_of_another_image_are_told():
    with pytest.raises(ShapeError, match="doubts"):
        draw_uncertainty(make_image(np.eye(20)), doubts((20, 21)))


@pytest.mark.parametrize("n", [0, 3, 400])
def test_reliability_has_a_panel_for_each_kind_of_statement(n):
    rng = np.random.default_rng(0)
    probability = rng.random(n)
    is_right = rng.random(n) < probability
    figure = draw_reliability({"Atoms": (probability, is_right)}, [(0.8, 0.81), (0.9, 0.91)])
    assert len(figure.axes) == 2 and f"{n} finds" in figure.axes[0].get_title()
    assert figure_png(figure).startswith(b"\x89PNG")
