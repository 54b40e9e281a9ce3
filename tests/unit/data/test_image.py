import numpy as np
import pytest
import xarray as xr

from adatom.data import check_image, make_image, pixel_size_nm
from adatom.errors import ArgumentError, ShapeError, UnitError


def calibrated(y: np.ndarray, x: np.ndarray, units: dict[str, str | None]) -> xr.DataArray:
    coords = {
        dim: (dim, axis, {} if units[dim] is None else {"units": units[dim]}) for dim, axis in (("y", y), ("x", x))
    }
    return xr.DataArray(np.zeros((len(y), len(x))), dims=("y", "x"), coords=coords)


def test_first_pixel_is_the_origin_and_axes_are_in_nm():
    image = make_image(np.zeros((3, 4)), pixel_size=(0.2, 0.1), signal="Z", units="m", history=["read"])
    assert image.dims == ("y", "x")
    assert np.allclose(image["y"], [0, 0.2, 0.4])
    assert np.allclose(image["x"], [0, 0.1, 0.2, 0.3])
    assert image["x"].attrs["units"] == "nm"
    assert image.attrs == {"signal": "Z", "units": "m", "source": {}, "metadata": {}, "history": ["read"]}


def test_movie_has_frames_first():
    movie = make_image(np.zeros((5, 3, 4)), pixel_size=0.1)
    assert movie.dims == ("frame", "y", "x")
    assert pixel_size_nm(movie) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (np.zeros(5), "2 or 3 dimensions"),
        (np.zeros((2, 2, 2, 2)), "2 or 3 dimensions"),
        (np.zeros((0, 4)), "none of them empty"),
    ],
)
def test_wrong_shape_is_told(values, rule):
    with pytest.raises(ShapeError, match=rule):
        make_image(values)


def test_a_single_number_is_no_image():
    with pytest.raises(ShapeError):
        make_image(3.0)


@pytest.mark.parametrize("values", [np.zeros((2, 2), complex), [["a", "b"]], np.full((2, 2), None)])
def test_values_that_are_not_real_numbers_are_told(values):
    with pytest.raises(ArgumentError, match="real numbers"):
        make_image(values)


@pytest.mark.parametrize("pixel_size", [0, -0.1, np.nan, np.inf, (0.1, 0), (0.1, 0.1, 0.1)])
def test_pixel_size_that_is_no_length_is_told(pixel_size):
    with pytest.raises(ArgumentError, match="pixel_size: expected a positive length in nm"):
        make_image(np.zeros((2, 2)), pixel_size=pixel_size)


@pytest.mark.parametrize("dims", [("row", "x"), ("y",), ("y", "energy")])
def test_axes_that_are_not_of_the_schema_are_told(dims):
    with pytest.raises(ShapeError):
        make_image(np.zeros((2, 2)), dims=dims)


@pytest.mark.parametrize(
    ("step", "unit"),
    [(0.1, "nm"), (1.0, "Angstrom"), (1.0, "Å"), (1e-10, "m"), (1e-4, "um"), (1e-4, "µm"), (100.0, "pm")],
)
def test_pixel_size_is_given_in_nm_whatever_the_unit(step, unit):
    image = calibrated(np.arange(5) * step, 7 * step + np.arange(4) * 2 * step, {"y": unit, "x": unit})
    assert pixel_size_nm(image) == pytest.approx((0.1, 0.2))


def test_axes_may_differ_in_unit():
    image = calibrated(np.arange(5) * 0.1, np.arange(4) * 1.0, {"y": "nm", "x": "Angstrom"})
    assert pixel_size_nm(image) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(("y", "x"), [("px", "px"), ("px", "nm"), ("nm", "px")])
def test_axis_in_pixels_means_no_pixel_size(y, x):
    assert pixel_size_nm(calibrated(np.arange(5.0), np.arange(4.0), {"y": y, "x": x})) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_axis_of_one_pixel_has_no_pixel_size(shape):
    image = make_image(np.zeros(shape), pixel_size=0.1)
    assert pixel_size_nm(check_image(image)) is None


@pytest.mark.parametrize("other", ["nm", "px"])
@pytest.mark.parametrize("unit", [None, "s", "banana"])
@pytest.mark.parametrize("dim", ["y", "x"])
def test_axis_without_a_length_is_told(dim, unit, other):
    units = {"y": other, "x": other} | {dim: unit}
    with pytest.raises(UnitError, match="expected"):
        check_image(calibrated(np.arange(5.0), np.arange(4.0), units))


@pytest.mark.parametrize("axis", [[0, 1, 3, 4], [3, 2, 1, 0], [0, 0, 0, 0], [0, 1, np.nan, 3]])
def test_uneven_or_falling_axis_is_told(axis):
    with pytest.raises(UnitError, match="even, rising steps on axis x"):
        pixel_size_nm(calibrated(np.arange(5.0), np.array(axis, float), {"y": "nm", "x": "nm"}))


@pytest.mark.parametrize(
    ("image", "error", "rule"),
    [
        (np.zeros((2, 2)), ArgumentError, "Use adatom.make_image"),
        (xr.DataArray(np.zeros((2, 2)), dims=("y", "energy")), ShapeError, "dimensions y and x"),
        (xr.DataArray(np.zeros((2, 2, 2)), dims=("z", "y", "x")), ShapeError, "dimensions y and x"),
        (make_image(np.zeros((2, 2)))[:0], ShapeError, "none empty"),
        (make_image(np.zeros((2, 2))).astype(complex), ArgumentError, "real numbers"),
    ],
)
def test_image_that_breaks_the_schema_is_told(image, error, rule):
    with pytest.raises(error, match=rule):
        check_image(image)


def test_number_of_dimensions_is_checked_where_it_matters():
    movie = make_image(np.zeros((2, 3, 4)))
    assert check_image(movie, ndim=3) is movie
    with pytest.raises(ShapeError, match="expected 2 dimensions"):
        check_image(movie, ndim=2)
