"""The twin: what was measured is played back where it was measured, with what instruments add."""

import json

import numpy as np
import pytest

import adatom as ad
from adatom.errors import ArgumentError, InstrumentError
from adatom.instruments import ScanFrame, SpectrumSettings
from adatom.instruments.twin import open_twin

N = 32
LOOP = SpectrumSettings("bias", np.zeros(N), 0.01)


def test_it_plays_back_what_was_measured_there(tmp_path) -> None:
    values = np.random.default_rng(0).normal(size=(5, 7, 8))
    image = ad.make_image(values, pixel_size=10.0, dims=("y", "x", "bias"), coordinates={"bias": (np.arange(8.0), "V")})
    image.to_dataset(name="loops").to_zarr(tmp_path / "loops.zarr")
    twin = open_twin(spectra=tmp_path / "loops.zarr")
    for row, column in ((0, 0), (2, 3), (4, 6)):
        twin.move((column - 3) * 10.0, (row - 2) * 10.0, speed_nm_per_s=10)
        seen = twin.spectrum(SpectrumSettings("bias", np.zeros(8), 0.1))
        np.testing.assert_allclose(seen, values[row, column])
    scan = twin.scan(ScanFrame(0, 0, 70, 50, 5, 7, 0.01))["image"]
    assert scan["x"].to_numpy()[[0, -1]] == pytest.approx([-30, 30])
    low, high = np.quantile(values[:, :, 0], [0.005, 0.995])
    np.testing.assert_allclose(scan, np.clip(values[:, :, 0], low, high), atol=1e-9)


def test_time_passes_by_way_and_measuring() -> None:
    twin = open_twin(sample="ferroelectric")
    twin.move(30, 40, speed_nm_per_s=10)
    twin.spectrum(LOOP)
    assert twin.clock_s() == pytest.approx(5 + N * 0.01)


def test_drift_moves_the_sample_and_creep_the_probe() -> None:
    still, drifting = (open_twin(sample="ferroelectric", drift_nm_per_s=rate) for rate in ((0, 0), (1.0, 0)))
    for twin in (still, drifting):
        twin.move(-50, 0, speed_nm_per_s=1)  # 50 s
    still.move(0, 0, speed_nm_per_s=1e9)
    np.testing.assert_allclose(drifting.spectrum(LOOP), still.spectrum(LOOP))
    creeping = open_twin(sample="ferroelectric", creep=0.5, creep_s=1e6)
    creeping.move(110, 0, speed_nm_per_s=1e9)
    still.move(55, 0, speed_nm_per_s=1e9)
    np.testing.assert_allclose(creeping.spectrum(LOOP), still.spectrum(LOOP))


def test_the_same_world_goes_on() -> None:
    whole, first = (open_twin(sample="ferroelectric", noise=0.1, drift_nm_per_s=(0.1, 0)) for _ in range(2))
    for twin in (whole, first):
        twin.move(20, 20, speed_nm_per_s=5)
    again = open_twin(
        sample="ferroelectric", noise=0.1, drift_nm_per_s=(0.1, 0), state=json.loads(json.dumps(first.state()))
    )
    np.testing.assert_array_equal(again.spectrum(LOOP), whole.spectrum(LOOP))


def test_accidents_happen_when_they_are_asked_for() -> None:
    with pytest.raises(InstrumentError, match="crashed"):
        open_twin(sample="ferroelectric", crash=1.0).move(1, 1, speed_nm_per_s=1)
    twin = open_twin(sample="ferroelectric", fail_every=2)
    twin.move(1, 1, speed_nm_per_s=1)
    with pytest.raises(InstrumentError, match="failed"):
        twin.move(1, 1, speed_nm_per_s=1)
    assert np.isnan(open_twin(sample="ferroelectric", garbage_every=1).spectrum(LOOP)).all()
    with pytest.raises(InstrumentError, match="nothing answers"):
        open_twin(sample="ferroelectric", disconnect_after=0).position()


def test_bad_settings_say_what_was_expected() -> None:
    with pytest.raises(ArgumentError, match="either spectra or a sample"):
        open_twin()
    with pytest.raises(ArgumentError, match="sample: expected ferroelectric"):
        open_twin(sample="granite")
    with pytest.raises(ArgumentError, match="creep"):
        open_twin(sample="ferroelectric", creep=2)
