import numpy as np
import pytest

import adatom as ad
from adatom.analyse import lattice_phases
from adatom.errors import ArgumentError

PIXEL_NM = 0.03


def two_phases(n: int = 160) -> np.ndarray:
    """A square lattice of 0.28 nm on the left, a hexagonal one on the right, in noise on a slope."""
    y, x = PIXEL_NM * np.mgrid[:n, :n]
    square = np.cos(2 * np.pi * x / 0.28) + np.cos(2 * np.pi * y / 0.28)
    hexagonal = sum(np.cos(2 * np.pi / 0.26 * (x * np.cos(t) + y * np.sin(t))) for t in np.deg2rad([10, 70, 130]))
    noise = np.random.default_rng(0).normal(size=(n, n))
    return np.where(x < 0.5 * n * PIXEL_NM, square, hexagonal) + noise + x


def test_two_phases_are_told_apart():
    found = lattice_phases(ad.make_image(two_phases(), pixel_size=PIXEL_NM), 1.2, n_components=2)
    x = found.abundance["x"].to_numpy()
    left, right = (found.abundance.to_numpy()[:, :, side].mean(axis=(1, 2)) for side in (x < 1.7, x > 3.1))
    assert np.abs(left - right).min() > 0.9
    square = found.spectra[int(left.argmax())]
    row, column = np.unravel_index(square.to_numpy().argmax(), square.shape)
    assert np.hypot(square["u"][column], square["v"][row]) == pytest.approx(1 / 0.28, rel=0.1)
    assert found.spectra["u"].attrs["units"] == "1/nm"


def test_spectra_are_symmetric():
    spectra = lattice_phases(ad.make_image(two_phases()), 40, n_components=2).spectra.to_numpy()
    inner = spectra[:, 1:, 1:]
    assert inner == pytest.approx(inner[:, ::-1, ::-1])


def test_windows_with_missing_pixels_have_no_share():
    values = two_phases()
    values[:20, :20] = np.nan
    found = lattice_phases(ad.make_image(values, pixel_size=PIXEL_NM), 1.2, n_components=2)
    shares = found.abundance.to_numpy()
    assert np.isnan(shares[:, 0, 0]).all() and np.isfinite(shares[:, -1, -1]).all()
    assert np.nansum(shares, axis=0)[~np.isnan(shares[0])] == pytest.approx(1)


def test_constant_image_is_no_error():
    found = lattice_phases(ad.make_image(np.ones((64, 64))), 16)
    assert np.isfinite(found.abundance.to_numpy()).all()


@pytest.mark.parametrize("window", [0, 4, 1000, np.nan])
def test_windows_that_do_not_fit(window):
    with pytest.raises(ArgumentError, match="window"):
        lattice_phases(ad.make_image(np.ones((64, 64))), window)


@pytest.mark.parametrize("step", [0, -1, np.nan, np.inf])
def test_steps_that_make_no_sense(step):
    with pytest.raises(ArgumentError, match="step"):
        lattice_phases(ad.make_image(np.ones((64, 64))), 16, step=step)


def test_all_missing_and_oblong_pixels():
    with pytest.raises(ArgumentError, match="missing pixels"):
        lattice_phases(ad.make_image(np.full((64, 64), np.nan)), 16)
    with pytest.raises(ArgumentError, match="square pixels"):
        lattice_phases(ad.make_image(np.ones((64, 64)), pixel_size=(0.1, 0.2)), 2.0)
