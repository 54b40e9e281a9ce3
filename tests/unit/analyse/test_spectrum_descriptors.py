"""Descriptors of spectra whose answers are known."""

import numpy as np
import pytest
import xarray as xr

import adatom as ad
from adatom.analyse.spectrum_descriptors import (
    describe_map,
    descriptors_of,
    gap_descriptors,
    loop_descriptors,
    peak_descriptors,
    with_errors,
)
from adatom.errors import ArgumentError, ShapeError
from adatom.simulate.loops import triangle_sweep


def loop(bias, rising, falling, *, height=1.0, offset=0.0):
    goes_up = np.roll(bias, -1) > np.roll(bias, 1)
    return offset + height * np.tanh((bias - np.where(goes_up, rising, falling)) / 0.3)


@pytest.mark.parametrize("shift", [0, 1, 17])
def test_coercive_biases_imprint_and_work_of_a_loop(shift):
    bias = np.roll(triangle_sweep(128, 8.0), shift)
    loops = np.stack([loop(bias, 3.0, -2.0), loop(bias, 1.0, -4.0, height=0.01, offset=5.0), -loop(bias, 3.0, -2.0)])
    found = loop_descriptors(bias, loops)
    assert np.allclose(found["coercive_rising"], [3, 1, 3], atol=0.1)
    assert np.allclose(found["coercive_falling"], [-2, -4, -2], atol=0.1)
    assert np.allclose(found["imprint"], [0.5, -1.5, 0.5], atol=0.1)
    assert np.allclose(found["work"], [10, 0.1, -10], rtol=0.03)


def test_the_gap_of_a_density_of_states():
    bias = np.linspace(-2, 2, 201)
    edges = [(-0.5, 0.7), (-1.0, 1.0)]
    conductance = np.stack([np.clip(np.maximum(low - bias, bias - high), 0, 0.5) * 2 for low, high in edges])
    found = gap_descriptors(bias, conductance + 1e-3)
    # a tenth of the conductance at the ends is reached 0.05 V beyond the edge
    assert np.allclose(found["gap_width"], [1.3, 2.1], atol=0.03)
    assert np.allclose(found["gap_low"], [-0.55, -1.05], atol=0.02)
    assert np.isnan(gap_descriptors(bias, np.ones((1, 201)))["gap_width"]).all()


def test_place_height_and_width_of_a_peak_on_a_slope():
    energy = np.linspace(0, 10, 101)
    spectra = np.stack([2 * np.exp(-0.5 * ((energy - place) / 0.6) ** 2) + 0.5 * energy for place in (4.03, 6.5)])
    found = peak_descriptors(energy, spectra)
    assert np.allclose(found["peak_position"], [4.03, 6.5], atol=0.02)
    assert np.allclose(found["peak_height"], 2, rtol=0.02)
    assert np.allclose(found["peak_width"], 2.3548 * 0.6, rtol=0.03)


def test_errors_are_those_of_repeated_measurements():
    rng = np.random.default_rng(0)
    bias = triangle_sweep(64, 8.0)
    true = loop(bias, 3.0, -2.0)
    std = np.full((1, 64), 0.03)
    found = with_errors(loop_descriptors, bias, true[None], std)
    repeated = loop_descriptors(bias, true + 0.03 * rng.standard_normal((400, 64)))
    for name in ("coercive_rising", "imprint", "work"):
        assert found[f"{name}_std"][0] == pytest.approx(np.std(repeated[name]), rel=0.35)


def test_the_axis_says_which_descriptors_fit():
    assert descriptors_of("bias", triangle_sweep(32, 1.0)) is loop_descriptors
    assert descriptors_of("bias", np.linspace(-1, 1, 32)) is gap_descriptors
    assert descriptors_of("energy", np.linspace(0, 1, 32)) is peak_descriptors


def test_what_makes_no_sense_says_so():
    with pytest.raises(ArgumentError, match="sweep up and down"):
        loop_descriptors(np.linspace(0, 1, 9), np.zeros((2, 9)))
    with pytest.raises(ShapeError, match="9 points of the axis"):
        peak_descriptors(np.linspace(0, 1, 9), np.zeros((2, 8)))
    with pytest.raises(ShapeError, match="std: expected shape"):
        with_errors(peak_descriptors, np.linspace(0, 1, 9), np.zeros((2, 9)), np.zeros((2, 8)))


def test_a_map_gives_a_row_for_each_place_that_is_known() -> None:
    energy = np.linspace(0, 10, 41)
    centres = np.array([[4.0, 5.0, 6.0], [5.0, 6.0, 4.0]])
    values = np.exp(-0.5 * (energy - centres[:, :, None]) ** 2)
    values[1, 0] = np.nan
    spectra = ad.make_image(values, pixel_size=0.5, dims=("y", "x", "energy"), coordinates={"energy": (energy, "eV")})
    found = describe_map(spectra, 0.01 * xr.ones_like(spectra))
    assert found["x"].tolist() == [0, 0.5, 1, 0.5, 1] and found["y"].tolist() == [0, 0, 0, 0.5, 0.5]
    assert found["peak_position"].tolist() == pytest.approx([4, 5, 6, 6, 4], abs=0.05)
    assert (found["peak_position_std"] > 0).all()
    assert "peak_position_std" not in describe_map(spectra)
    with pytest.raises(ShapeError, match="3 dimensions"):
        describe_map(spectra.isel(energy=0))
