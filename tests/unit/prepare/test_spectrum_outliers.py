"""Broken spectra are found by rules that leave real structure alone."""

import numpy as np
import pytest

from adatom.data import make_image
from adatom.errors import ArgumentError, ShapeError
from adatom.prepare.spectrum_outliers import REASONS, check_spectra

ENERGY = np.linspace(0.0, 10.0, 60)


def spectra(values):
    return make_image(values, dims=("y", "x", "energy"), coordinates={"energy": (ENERGY, "eV")})


def peaks(rng, *, shape=(24, 24), width=0.15):
    """Narrow peaks of varying height, and noise."""
    height = 1 + 0.3 * rng.standard_normal((*shape, 1))
    return height * np.exp(-0.5 * ((ENERGY - 5) / width) ** 2) + 0.02 * rng.standard_normal((*shape, len(ENERGY)))


def test_a_narrow_peak_that_spectra_share_is_no_spike_and_good_spectra_are_kept():
    checked = check_spectra(spectra(peaks(np.random.default_rng(0))))
    assert checked.good.mean() > 0.99
    assert checked.spikes.mean() < 0.005
    assert checked.counts()["good"] == checked.good.sum()


def test_spikes_are_replaced_and_the_rest_of_the_spectrum_stays():
    rng = np.random.default_rng(1)
    values = peaks(rng, width=1.5)
    clean = values.copy()
    rows, columns = np.divmod(np.arange(0, 576, 7), 24)
    points = rng.integers(2, 58, len(rows))
    values[rows, columns, points] += 40.0
    checked = check_spectra(spectra(values))
    hit = np.zeros(values.shape, bool)
    hit[rows, columns, points] = True
    assert checked.good.mean() > 0.99
    assert (checked.spikes & hit)[checked.good].sum() >= 0.99 * hit[checked.good].sum()
    result = checked.spectra.to_numpy()
    assert np.abs(result - clean)[checked.good].max() < 1.0
    untouched = ~checked.spikes & checked.good[:, :, None]
    assert np.array_equal(result[untouched], values[untouched])


def test_broken_spectra_are_found_and_a_second_phase_is_not_broken():
    rng = np.random.default_rng(2)
    values = peaks(rng)
    phase = np.zeros((24, 24), bool)
    phase[4:12, 6:16] = phase[18:21, 18:22] = True
    values += phase[:, :, None] * 3 * np.exp(-0.5 * ((ENERGY - 2) / 0.5) ** 2)
    broken = rng.random((24, 24)) < 0.08
    values[broken] += 30 * rng.standard_normal((broken.sum(), len(ENERGY)))
    checked = check_spectra(spectra(values))
    assert not checked.good[broken].any()
    assert checked.good[~broken & phase].mean() > 0.97
    assert checked.good[~broken & ~phase].mean() > 0.98


def test_what_was_not_measured_is_named_and_stays():
    values = peaks(np.random.default_rng(3))
    values[3, 4, 10] = np.nan
    checked = check_spectra(spectra(values))
    assert REASONS[checked.reason[3, 4]] == "not measured"
    assert "1 of 576 spectra broken" in checked.spectra.attrs["history"][-1]


def test_an_image_without_spectra_or_with_one_only_says_so():
    values = peaks(np.random.default_rng(4), shape=(1, 1))
    with pytest.raises(ArgumentError, match="expected at least two that were measured, got 1"):
        check_spectra(spectra(values))
    with pytest.raises(ShapeError, match="3 dimensions"):
        check_spectra(make_image(np.zeros((4, 4))))
    with pytest.raises(ShapeError, match="expected one axis out of energy, bias, time"):
        check_spectra(make_image(np.zeros((4, 4, 4))))
