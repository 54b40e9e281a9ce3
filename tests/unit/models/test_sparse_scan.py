"""A scan of which only some pixels were measured."""

import numpy as np
import pytest

from adatom.data import make_image
from adatom.errors import ArgumentError, ShapeError
from adatom.models import reconstruct_scan

pytest.importorskip("gpytorch")


@pytest.fixture(scope="module")
def scan():
    y, x = np.mgrid[:40, :30]
    truth = make_image(3 + np.sin(x / 4) * np.cos(y / 5), pixel_size=0.5)
    rng = np.random.default_rng(0)
    return truth, (truth + 0.05 * rng.normal(size=truth.shape)).where(rng.random(truth.shape) < 0.2)


def test_it_is_nearer_the_truth_than_interpolation_and_knows_its_error(scan) -> None:
    from scipy.interpolate import griddata

    truth, sparse = scan
    whole = reconstruct_scan(sparse)
    error = (whole["image"] - truth).to_numpy()
    known = np.argwhere(np.isfinite(sparse.to_numpy()))
    linear = griddata(known, sparse.to_numpy()[tuple(known.T)], np.argwhere(np.ones(truth.shape)), method="linear")
    inside = np.isfinite(linear.reshape(truth.shape))
    of_linear = (linear.reshape(truth.shape) - truth.to_numpy())[inside]
    assert np.sqrt(np.mean(error[inside] ** 2)) < 0.6 * np.sqrt(np.mean(of_linear**2))
    assert 0.9 < np.mean(np.abs(error) < 2 * whole["std"].to_numpy()) <= 1


def test_it_keeps_dimensions_coordinates_and_units(scan) -> None:
    _, sparse = scan
    whole = reconstruct_scan(sparse.transpose("x", "y"))
    for name in ("image", "std"):
        assert whole[name].dims == ("x", "y") and whole[name].attrs == sparse.attrs
        assert whole[name]["x"].identical(sparse["x"]) and np.isfinite(whole[name]).all()


def test_too_little_is_said(scan) -> None:
    _, sparse = scan
    with pytest.raises(ArgumentError, match="expected 3 measured pixels or more, got 0"):
        reconstruct_scan(sparse * np.nan)
    with pytest.raises(ShapeError, match="expected dimensions y and x"):
        reconstruct_scan(sparse.rename(y="time"))
