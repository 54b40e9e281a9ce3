import numpy as np
import pytest
import xarray as xr

import adatom as ad
from adatom.analyse import outlying_pixels, unmix
from adatom.analyse import spectrum_blocks as blocks_module
from adatom.errors import ArgumentError, ShapeError


def two_spectra(n: int = 20) -> xr.DataArray:
    share = np.linspace(0, 1, n)[None, :, None] * np.ones((n, 1, 1))
    first, second = np.array([4.0, 1, 0, 0, 1, 0]), np.array([0, 0, 1, 5, 1, 0.0])
    values = 100 * (share * first + (1 - share) * second)
    return ad.make_image(values, dims=("y", "x", "bias"), coordinates={"bias": (np.arange(6.0), "V")})


@pytest.mark.parametrize("method", ["nmf", "vca", "pca", "ica"])
def test_pixels_without_values_and_masked_ones_stay_out(method):
    image = two_spectra()
    image[3, 4, 2] = np.nan
    image[5, 6] = 1e9
    mask = np.zeros((20, 20), bool)
    mask[5, 6] = True
    found = unmix(image, method=method, n_components=2, mask=mask)
    missing = np.isnan(found.abundance.to_numpy())
    assert missing[:, 3, 4].all() and missing[:, 5, 6].all()
    assert missing.sum() == 2 * len(found.spectra)
    assert float(found.residual.max()) < 0.5


def test_any_order_of_axes_and_whole_numbers():
    image = two_spectra().astype(np.uint16)
    a, b = (unmix(one, n_components=2).spectra for one in (image, image.transpose("bias", "x", "y")))
    assert b.to_numpy() == pytest.approx(a.to_numpy(), abs=1e-6)


def test_in_blocks_it_is_the_same(monkeypatch):
    image = two_spectra()
    n_components = {"nmf": 2, "vca": 2, "pca": 1}
    whole = {method: unmix(image, method=method, n_components=n).spectra for method, n in n_components.items()}
    monkeypatch.setattr(blocks_module, "_BLOCK_NUMBERS", 300)
    for method, expected in whole.items():
        found = unmix(image, method=method, n_components=n_components[method]).spectra
        assert found.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-6)


def test_dask_arrays_are_computed_block_by_block(monkeypatch):
    array = pytest.importorskip("dask.array")
    image = two_spectra()
    monkeypatch.setattr(blocks_module, "_BLOCK_NUMBERS", 600)
    largest = 0

    def seen(block):
        nonlocal largest
        largest = max(largest, block.size)
        return block

    lazy = image.copy(data=array.from_array(image.to_numpy(), chunks=(5, 20, 6)).map_blocks(seen, dtype=float))
    largest = 0
    found = unmix(lazy, method="pca")
    assert found.spectra.to_numpy() == pytest.approx(unmix(image, method="pca").spectra.to_numpy(), abs=1e-9)
    assert 0 < largest <= 600


def test_outlying_pixels_are_seen():
    image = two_spectra() + np.random.default_rng(0).normal(size=(20, 20, 6))
    image = ad.make_image(image.to_numpy(), dims=("y", "x", "bias"))
    image[2, 3, 1] = 1e5
    image[9, 9] = np.nan
    mask = outlying_pixels(image)
    assert mask[2, 3] and not mask[9, 9]
    assert mask.sum() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"method": "svd"},
        {"n_components": 0},
        {"n_components": 7},
        {"weighting": "gauss"},
    ],
)
def test_wrong_arguments_are_named(change):
    with pytest.raises(ArgumentError, match=next(iter(change))):
        unmix(two_spectra(), **change)


def test_what_is_no_spectrum_image_is_refused():
    with pytest.raises(ShapeError, match="energy, bias, time"):
        unmix(ad.make_image(np.ones((9, 9))))
    with pytest.raises(ShapeError, match="mask"):
        unmix(two_spectra(), mask=np.zeros((3, 3), bool))
    with pytest.raises(ArgumentError, match="3 pixels"):
        unmix(two_spectra() * np.nan)


def test_negative_values_are_no_counts():
    with pytest.raises(ArgumentError, match="not negative"):
        unmix(two_spectra() - 100)
    assert unmix(two_spectra() - 100, method="pca").n_suggested == 1


@pytest.mark.parametrize("method", ["nmf", "vca", "pca", "ica"])
@pytest.mark.parametrize("weighting", ["none", "poisson"])
def test_constant_images_have_finite_answers(method, weighting):
    for level in (0.0, 3.0):
        found = unmix(two_spectra() * 0 + level, method=method, weighting=weighting)
        assert np.isfinite(found.spectra.to_numpy()).all()
        assert np.isfinite(found.abundance.to_numpy()).all()
        assert float(found.residual.max()) < 1e-3
