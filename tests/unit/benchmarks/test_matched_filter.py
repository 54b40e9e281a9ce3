import numpy as np
import pytest

from benchmarks.matched_filter import matched_filter_snr


def test_the_snr_of_a_gaussian_in_white_noise_is_the_known_one():
    """A / n sqrt(pi s^2), of which a level fitted on 19 x 19 px takes (2 pi s^2)^2 / 19^2 below the root."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:240, :240]
    at = np.array([(x, y) for x in range(30, 240, 30) for y in range(30, 240, 30)], dtype=float) + 0.3
    image = rng.normal(50 + 0.1 * rows, 4.0)
    for x, y in at:
        image += 6.0 * np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / 3.0**2)
    snr = matched_filter_snr(image, at)
    known = 6.0 / 4.0 * np.sqrt(np.pi * 9 - (2 * np.pi * 9) ** 2 / 19**2)
    assert snr.mean() == pytest.approx(known, rel=0.05)
    assert snr.std() == pytest.approx(1.0, abs=0.25)


def test_where_there_is_no_atom_it_is_zero_within_its_error_and_the_border_is_no_obstacle():
    rng = np.random.default_rng(1)
    image = rng.poisson(100, (120, 120)).astype(float)
    anywhere = matched_filter_snr(image, rng.uniform(-0.4, 119.4, (300, 2)))
    assert abs(anywhere.mean()) < 0.4 and anywhere.std() == pytest.approx(1.0, abs=0.4)
