"""Simulated loops keep what they promise of their dependence on structure."""

import numpy as np
import pytest

from adatom.analyse.spectrum_descriptors import loop_descriptors
from adatom.errors import ArgumentError, ShapeError
from adatom.simulate.loops import domain_polarisation, simulate_loops, triangle_sweep


@pytest.mark.parametrize("determined", [1.0, 0.8, 0.3])
def test_the_ceiling_is_the_share_that_was_asked_for(determined):
    rng = np.random.default_rng(0)
    scan = simulate_loops(domain_polarisation(48, rng), rng, determined=determined, pixel_size=5.0)
    assert scan.ceiling == pytest.approx(determined, abs=0.01)
    rest = scan.spectra.to_numpy() - scan.from_structure.to_numpy()
    assert (np.mean(rest**2) == 0) == (determined == 1.0)
    assert scan.spectra.dims == ("y", "x", "bias") and scan.image.dims == ("y", "x")


def test_loops_have_the_coercive_biases_they_were_made_of():
    rng = np.random.default_rng(1)
    scan = simulate_loops(domain_polarisation(24, rng), rng, determined=1.0, n_points=256)
    inside = scan.parameters["height"] > 0.9
    found = loop_descriptors(scan.spectra["bias"].to_numpy(), scan.spectra.to_numpy()[inside])
    expected = (scan.parameters["imprint_v"] + scan.parameters["coercive_v"])[inside]
    assert np.allclose(found["coercive_rising"], expected, atol=0.3)


def test_the_same_seed_gives_the_same_scan():
    scans = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        scans.append(simulate_loops(domain_polarisation(16, rng), rng))
    assert scans[0].spectra.equals(scans[1].spectra) and scans[0].image.equals(scans[1].image)


def test_a_sweep_goes_up_down_and_back():
    sweep = triangle_sweep(16, 8.0)
    assert sweep[0] == 0 and sweep[4] == 8 and sweep[12] == -8
    assert np.allclose(np.abs(np.diff(sweep)), 2)


def test_bad_arguments_say_what_was_expected():
    rng = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="a share above 0 and up to 1, got 0"):
        simulate_loops(np.zeros((8, 8)), rng, determined=0.0)
    with pytest.raises(ShapeError, match="at least 4 pixels"):
        simulate_loops(np.zeros((3, 8)), rng)
