"""Claims to atoms: what is written into the maps comes out of them."""

import math

import numpy as np
import pytest

from adatom.errors import ArgumentError, ShapeError
from adatom.locate import find_claimed
from adatom.locate.claims import atom_probability
from adatom.nets.claims import n_channels

SIDE = 20


def claims(n_species: int = 1, std: float = 0.1) -> np.ndarray:
    """Maps (channel, y, x) that claim nothing."""
    raw = np.zeros((n_channels(n_species), SIDE, SIDE), dtype=np.float32)
    raw[0] = 12.0
    raw[-3:] = math.log(math.expm1(std - 0.003))
    return raw


def claim(raw, row, column, p, *, species=0, x=0.0, y=0.0, flux=1.0):
    """Write one: probability, offsets [px] and flux."""
    n_classes = len(raw) - 6
    raw[:n_classes, row, column] = -30.0
    raw[0, row, column], raw[1 + species, row, column] = math.log(1 - p + 1e-9), math.log(p)
    raw[n_classes, row, column], raw[n_classes + 1, row, column] = (1.5 * math.atanh(d / 1.5) for d in (x, y))
    raw[n_classes + 2, row, column] = math.log(flux)


def test_an_atom_comes_out_as_it_was_claimed():
    raw = claims()
    claim(raw, 5, 8, 0.9, x=0.3, y=-0.2, flux=7.0)
    found = find_claimed(raw, min_distance_px=2)
    assert found.x == pytest.approx([8.3], abs=1e-4) and found.y == pytest.approx([4.8], abs=1e-4)
    assert found.probability == pytest.approx([0.9], abs=1e-3)
    assert found.flux == pytest.approx([7.0], rel=1e-3)
    assert found.x_std == pytest.approx([0.1], rel=1e-2) and found.y_std == pytest.approx([0.1], rel=1e-2)


def test_shares_of_neighbouring_pixels_add_up_to_one_atom_between_them():
    raw = claims()
    claim(raw, 5, 8, 0.5, x=0.5)
    claim(raw, 5, 9, 0.4, x=-0.5)
    found = find_claimed(raw, min_distance_px=2)
    assert found.x == pytest.approx([8.5], abs=1e-3) and found.probability == pytest.approx([0.9], abs=1e-3)


def test_claims_that_disagree_make_the_error_bar_wider_in_that_direction():
    raw = claims()
    claim(raw, 5, 8, 0.5, x=0.0)
    claim(raw, 5, 9, 0.5, x=0.0)
    found = find_claimed(raw, min_distance_px=2)
    assert (found.x_std[0], found.y_std[0]) == pytest.approx((np.hypot(0.1, 0.5), 0.1), rel=1e-2)


def test_the_species_is_the_likeliest_and_the_atom_as_probable_as_all_of_them():
    raw = claims(2)
    claim(raw, 5, 8, 0.6, species=1)
    raw[1, 5, 8] = math.log(0.3)
    raw[0, 5, 8] = math.log(0.1)
    found = find_claimed(raw, min_distance_px=2)
    assert found.species.tolist() == [1] and found.probability == pytest.approx([0.9], abs=1e-3)
    assert found.species_probability == pytest.approx([0.6 / 0.9], abs=1e-3)


def test_of_two_close_atoms_the_likelier_stays_unless_close_ones_are_allowed():
    raw = claims()
    claim(raw, 5, 8, 0.9)
    claim(raw, 5, 11, 0.6)
    assert find_claimed(raw, min_distance_px=4).x.round().tolist() == [8]
    assert find_claimed(raw, min_distance_px=2).x.round().tolist() == [8, 11]


@pytest.mark.parametrize(("least", "n"), [(0.0, 2), (0.5, 1), (0.95, 0)])
def test_less_probable_atoms_are_left_out(least, n):
    raw = claims()
    claim(raw, 5, 8, 0.9)
    claim(raw, 12, 3, 0.3)
    assert len(find_claimed(raw, min_distance_px=2, min_probability=least).x) == n


def test_atoms_in_the_corner_and_an_empty_map_are_no_trouble():
    raw = claims()
    assert len(find_claimed(raw, min_distance_px=2).x) == 0
    claim(raw, 0, 0, 0.8, x=-0.4, y=-0.4)
    claim(raw, SIDE - 1, SIDE - 1, 0.7)
    found = find_claimed(raw, min_distance_px=2)
    assert found.probability == pytest.approx([0.8, 0.7], abs=1e-3)
    assert (found.x[0], found.y[0]) == pytest.approx((-0.4, -0.4), abs=1e-3)


def test_the_probability_of_a_pixel_is_that_of_all_its_species():
    raw = claims(3)
    claim(raw, 5, 8, 0.6, species=2)
    assert atom_probability(raw)[5, 8] == pytest.approx(0.6, abs=1e-3)


def test_arguments_that_make_no_sense_say_what_was_expected():
    with pytest.raises(ShapeError, match=r"expected \(channel, y, x\) with at least 8 channels"):
        find_claimed(np.zeros((3, 5, 5), dtype=np.float32), min_distance_px=2)
    with pytest.raises(ArgumentError, match="expected a distance from 0 up and a probability"):
        find_claimed(claims(), min_distance_px=-1)


def test_the_claims_of_an_uncertain_atom_are_summed_as_far_as_it_is_told():
    """Of a claim spread evenly over 5 x 5 pixels a reach of one sees nine parts, a wider one all."""
    raw = np.zeros((n_channels(1), 32, 32), dtype=np.float32)
    raw[1] = -30.0
    raw[1, 10:15, 12:17] = np.log(0.03 / 0.97)
    seen = [find_claimed(raw, min_distance_px=5.0, reach_px=reach).probability.max() for reach in (1, 2, 3)]
    assert seen == pytest.approx([9 * 0.03, 25 * 0.03, 25 * 0.03], rel=0.01)
    widest = find_claimed(raw, min_distance_px=5.0, reach_px=2)
    assert len(widest.x) == 1 and (widest.x[0], widest.y[0]) == pytest.approx((14, 12), abs=0.05)
