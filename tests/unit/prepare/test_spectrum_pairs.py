"""Patches are cut where spectra were measured, and whatever does not fit together says so."""

import numpy as np
import pytest

from adatom.data import make_image
from adatom.errors import ArgumentError, ShapeError, UnitError
from adatom.prepare.spectrum_pairs import map_at, pair_up

BIAS = np.linspace(-1.0, 1.0, 9)


def picture(rows=20, columns=24, pixel_size=2.0):
    """Each pixel holds its row and column."""
    return make_image(np.add.outer(100.0 * np.arange(rows), np.arange(columns)), pixel_size=pixel_size)


def loops(rows=20, columns=24, pixel_size=2.0, seed=0):
    values = np.random.default_rng(seed).normal(size=(rows, columns, len(BIAS)))
    return make_image(
        values, pixel_size=pixel_size, dims=("y", "x", "bias"), coordinates={"bias": (BIAS, "V")}, units="a.u."
    )


def test_a_patch_lies_around_its_spectrum():
    image, spectra = picture(), loops()
    pairs = pair_up(image, spectra, patch_size_nm=10.0, clean=False)
    assert pairs.patch_px == (5, 5)
    assert len(pairs) == 16 * 20
    assert pairs.n_left_out["patch over the border"] == 20 * 24 - 16 * 20
    for number in (0, 7, 111):
        row, column = pairs.place[number]
        assert np.array_equal(pairs.patches[number, 0], image.to_numpy()[row - 2 : row + 3, column - 2 : column + 3])
        assert np.array_equal(pairs.spectra[number, 0], spectra.to_numpy()[row, column])


def test_an_even_patch_has_its_middle_right_of_and_below_the_centre():
    pairs = pair_up(picture(), loops(), patch_size_px=4, clean=False)
    assert np.array_equal(pairs.patches[:, 0, 2, 2], 100.0 * pairs.row + pairs.column)


def test_the_border_can_be_mirrored():
    pairs = pair_up(picture(), loops(), patch_size_px=5, border="mirror", clean=False)
    assert len(pairs) == 20 * 24
    assert np.array_equal(pairs.patches[0, 0, 2], [2, 1, 0, 1, 2])


def test_coarser_spectra_find_their_pixels_by_coordinates():
    image = picture(40, 40, 1.0)
    spectra = loops(7, 7, 4.0).assign_coords(y=("y", 6 + 4.0 * np.arange(7), {"units": "nm"}))
    pairs = pair_up(image, spectra, patch_size_px=3, clean=False)
    assert np.array_equal(pairs.row, 6 + 4 * pairs.place[:, 0])
    assert np.array_equal(pairs.patches[:, 0, 1, 1], 100.0 * pairs.row + pairs.column)
    assert pairs.n_left_out["patch over the border"] == 7  # the first column


def test_units_are_minded():
    micrometres = picture(40, 40, 1.0)
    micrometres = micrometres.assign_coords(
        {dim: (dim, 0.001 * np.arange(40.0), {"units": "um"}) for dim in ("y", "x")}
    )
    first = pair_up(micrometres, loops(8, 8, 4.0), patch_size_px=3, clean=False)
    second = pair_up(picture(40, 40, 1.0), loops(8, 8, 4.0), patch_size_px=3, clean=False)
    assert np.array_equal(first.patches, second.patches)


def test_several_channels_and_several_spectra():
    pairs = pair_up([picture(), picture() * -1], [loops(), loops(seed=1), loops(seed=2)], clean=False)
    assert pairs.patches.shape[1:] == (2, 7, 7) and pairs.spectra.shape[1:] == (3, 9)


def test_nan_spectra_and_nan_pixels_are_left_out_and_counted():
    image, spectra = picture(), loops()
    spectra[10, 10, 3] = np.nan
    image[5, 5] = np.nan
    pairs = pair_up(image, spectra, patch_size_px=3, clean=False)
    assert pairs.n_left_out == {"broken or not measured": 1, "patch over the border": 84, "patch not measured": 9}
    assert np.isfinite(pairs.patches).all() and np.isfinite(pairs.spectra).all()


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"image": picture(pixel_size=None), "patch_size_nm": 5.0}, UnitError, "Give patch_size_px"),
        ({"image": picture(30, 30, None)}, UnitError, "one calibrated and one in pixels"),
        ({"image": [picture(), picture(20, 23)]}, ShapeError, "channels on one grid"),
        ({"image": []}, ArgumentError, "at least one channel"),
        ({"patch_size_px": 25}, ShapeError, "expected at most 20 x 24 px"),
        ({"patch_size_px": 0}, ArgumentError, "whole number of at least 1"),
        ({"patch_size_nm": 1.0}, ArgumentError, "at least one pixel, 2 nm"),
        ({"patch_size_nm": 10.0, "patch_size_px": 5}, ArgumentError, "got both"),
        ({"border": "wrap"}, ArgumentError, "'leave out' or 'mirror'"),
        ({"spectra": [loops(), loops(19)]}, ShapeError, "on one grid"),
        ({"spectra": [loops(), loops().assign_coords(bias=("bias", BIAS + 1))]}, ShapeError, "unequal axes"),
        ({"spectra": picture()}, ShapeError, "dimensions"),
        ({"spectra": loops() * np.nan}, ArgumentError, "at least two"),
        ({"patch_size_px": 20}, ArgumentError, "smaller patch, or border='mirror'"),
        (
            {"spectra": loops().assign_coords(y=("y", 1000 + 2.0 * np.arange(20), {"units": "nm"}))},
            ShapeError,
            "got none. Do both show the same place",
        ),
    ],
)
def test_what_does_not_fit_says_so(arguments, error, told):
    if arguments.get("patch_size_px") == 20:
        arguments["spectra"] = loops(1, 1)
    with pytest.raises(error, match=told):
        pair_up(**{"image": picture(), "spectra": loops(), "clean": False, **arguments})


def test_one_spectrum_only_says_so():
    with pytest.raises(ArgumentError, match="expected at least two with a patch, got 1"):
        pair_up(picture(), loops(1, 1), border="mirror", clean=False)


def test_a_map_of_the_spectra_takes_its_point_out_of_them():
    spectra = loops()
    structure, rest = map_at(spectra, 0.5)
    assert rest.sizes["bias"] == 8 and 0.5 not in rest["bias"].to_numpy()
    same = structure.to_numpy() == spectra.sel(bias=0.5).to_numpy()
    assert same.mean() > 0.97  # all but spikes
    assert "bias" not in structure.coords
    with pytest.raises(ArgumentError, match="expected -1 to 1"):
        map_at(spectra, 3.0)
