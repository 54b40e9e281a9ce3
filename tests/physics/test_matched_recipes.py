"""An image of known numbers is matched: estimates hold them within their errors, and simulated crops look like it."""

import numpy as np
import pytest

from adatom.matching import match
from benchmarks.matched_images import KnownImage, errors, known_image


@pytest.fixture(scope="module")
def known() -> KnownImage:
    return known_image("hexagonal_two_atoms", 4, side=128)


def test_estimates_hold_the_truth_and_images_look_alike(known: KnownImage):
    matched = match(known.image, known.recipe)
    off = np.array(list(errors(known, matched).values()))
    assert len(off) > 14 and (np.abs(off) < 2.5).mean() > 0.8
    assert matched.after.low < 0.6 < matched.before.accuracy
    found = matched.estimates.set_index("name")["value"]
    assert found["material.height_b"] == pytest.approx(known.truth["material.height_b"], abs=0.05)
    assert found["microscope.peak_width_nm"] == pytest.approx(known.truth["microscope.peak_width_nm"], rel=0.04)
    for row in matched.estimates.itertuples():
        assert row.new_low <= row.new_high


def test_of_a_structure_the_power_of_the_atomic_number_is_found():
    """S2 is 0.30 to 0.40 of Mo for powers of 1.9 to 1.6."""
    known = known_image("MoS2", 5, side=128)
    matched = match(known.image, known.recipe)
    found = matched.estimates.set_index("name")
    true = known.truth["material.contrast_exponent"]
    assert found.loc["material.contrast_exponent", "value"] == pytest.approx(true, abs=0.12)
    low, high = matched.recipe.material.contrast_exponent
    assert low <= true <= high and high - low < 0.4
    assert "defects.substitution" not in found.index
