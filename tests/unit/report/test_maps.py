import numpy as np
import pytest
import xarray as xr

from adatom.data import make_image
from adatom.errors import ShapeError
from adatom.report import draw_maps, figure_png


def some_maps(shape: tuple[int, int, int], names: list[str]) -> xr.DataArray:
    return xr.DataArray(np.full(shape, 0.5), dims=("class", "y", "x"), coords={"class": names})


def test_a_panel_for_the_image_and_one_for_each_class():
    figure = draw_maps(make_image(np.eye(20), pixel_size=0.1), some_maps((2, 20, 20), ["Mo", "S$2"]))
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["image", "Mo", "S$2"]
    assert figure_png(figure).startswith(b"\x89PNG")


def test_maps_of_another_image_are_told():
    with pytest.raises(ShapeError, match="maps"):
        draw_maps(make_image(np.eye(20)), some_maps((1, 20, 21), ["Mo"]))
