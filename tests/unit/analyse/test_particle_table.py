import numpy as np
import pandas as pd
import pytest

from adatom.analyse.particle_table import PARTICLE_COLUMNS, measure_particles
from adatom.analyse.size_distribution import size_distribution
from adatom.errors import ArgumentError, ShapeError


def ellipse(length=30.0, width=18.0, angle_deg=30.0, shape=(90, 110), centre=(52.0, 40.0)):
    """Mask (y, x) of an ellipse whose long axis is at this angle from x towards y; centre (x, y)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle = np.deg2rad(angle_deg)
    dx, dy = x - centre[0], y - centre[1]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    return (np.hypot(along / (0.5 * length), across / (0.5 * width)) <= 1).astype(np.int32)


@pytest.mark.parametrize("angle", [-60.0, 0.0, 30.0, 89.0])
def test_an_ellipse_is_measured_right(angle):
    mask = ellipse(angle_deg=angle)
    one = measure_particles(mask.astype(float), mask, pixel=0.1).iloc[0]
    assert (one["x"], one["y"]) == pytest.approx((5.2, 4.0), abs=0.01)
    assert (one["major"], one["minor"]) == pytest.approx((3.0, 1.8), rel=0.02)
    assert one["orientation_deg"] == pytest.approx(angle, abs=1.0)
    assert one["area"] == pytest.approx(np.pi * 1.5 * 0.9, rel=0.02)
    assert one["circularity"] == pytest.approx(0.91, abs=0.05)
    assert not one["touches_border"]


def test_a_disc_is_round():
    mask = ellipse(40, 40)
    assert measure_particles(mask.astype(float), mask)["circularity"].item() == pytest.approx(1.0, abs=0.04)


def test_height_and_volume_of_a_cap_on_a_slope_of_terraces():
    """A paraboloid 2 nm high and 20 px wide has half the volume of its cylinder; the ground near it counts."""
    y, x = np.mgrid[:80, :160]
    cap = np.maximum(2.0 * (1 - ((y - 40) ** 2 + (x - 120) ** 2) / 20**2), 0)
    heights = cap + np.where(x > 70, 5.0, 0.0)
    one = measure_particles(heights * 1e-9, (cap > 0).astype(np.int32), pixel=0.5, height_nm=1e9).iloc[0]
    assert one["height"] == pytest.approx(2.0, rel=0.03)
    assert one["volume"] == pytest.approx(0.5 * 2.0 * np.pi * 10**2, rel=0.02)
    assert np.isnan(measure_particles(heights, (cap > 0).astype(np.int32))["height"].item())


def test_those_at_the_border_or_beside_missing_pixels_are_cut():
    values, mask = np.ones((60, 60)), np.zeros((60, 60), np.int32)
    mask[0:8, 5:12], mask[20:30, 20:30], mask[40:50, 40:50] = 1, 2, 3
    values[50:, :] = np.nan
    table = measure_particles(values, mask)
    assert list(table["touches_border"]) == [True, False, True]
    assert list(table["frame_weight"] > 1) == [False, True, False]
    assert table["nearest_distance"].iloc[1] == pytest.approx(np.hypot(16.5, 21))


def test_no_particles_and_single_pixels():
    nothing = measure_particles(np.ones((9, 9)), np.zeros((9, 9), np.int32))
    assert list(nothing.columns) == list(PARTICLE_COLUMNS) and len(nothing) == 0
    mask = np.zeros((9, 9), np.int32)
    mask[4, 4] = 1
    one = measure_particles(np.ones((9, 9)), mask).iloc[0]
    assert one["area"] == 1 and np.isnan(one["nearest_distance"])
    everything = measure_particles(np.ones((9, 9)), np.ones((9, 9), np.int32)).iloc[0]
    assert everything["touches_border"]
    measure_particles(np.full((9, 9), np.nan), mask)
    with pytest.raises(ShapeError, match="instances"):
        measure_particles(np.ones((9, 9)), np.zeros((9, 8), np.int32))


def particles(rng, n=400, size=100.0):
    """Squares of 5 and 25 with centres anywhere, as many of each; those that a frame of 100 cuts are flagged."""
    side = np.where(rng.random(n) < 0.5, 5.0, 25.0)
    x, y = rng.uniform(0, size, (2, n))
    cut = (np.minimum(x, y) < side / 2) | (np.maximum(x, y) > size - side / 2)
    weight = np.where(cut, 0.0, (size / (size - side)) ** 2)
    return pd.DataFrame({"diameter": side, "touches_border": cut, "frame_weight": weight})


def test_larger_ones_are_not_too_rare_though_they_are_cut_more_often():
    table = particles(np.random.default_rng(0), n=4000)
    assert table.loc[~table["touches_border"], "diameter"].mean() < 14.2
    assert size_distribution(table).mean == pytest.approx(15.0, abs=0.4)


def test_intervals_hold_what_they_state():
    held = []
    for seed in range(60):
        low, high = size_distribution(particles(np.random.default_rng(seed), 150), n_samples=300).intervals["mean"]
        held.append(low <= 15.0 <= high)
    assert 0.85 <= np.mean(held) <= 1.0


def test_shares_sum_up_to_one():
    found = size_distribution(particles(np.random.default_rng(1)), bins=7)
    assert found.share.sum() == pytest.approx(1) and len(found.edges) == 8
    assert (found.share_low <= found.share).all() and (found.share <= found.share_high).all()
    assert found.n + found.n_cut == 400


def test_few_particles_have_no_interval():
    table = particles(np.random.default_rng(1))
    one = size_distribution(table[~table["touches_border"]].head(1))
    assert one.n == 1 and np.isnan(one.intervals["mean"]).all() and np.isnan(one.std)
    none = size_distribution(table.head(0))
    assert none.n == 0 and np.isnan(none.mean)
    same = table[~table["touches_border"]].head(5).assign(diameter=3.0)
    assert size_distribution(same).intervals["mean"] == pytest.approx((3.0, 3.0))


def test_wrong_arguments_are_named():
    table = particles(np.random.default_rng(1))
    with pytest.raises(ArgumentError, match="column"):
        size_distribution(table, "mass")
    with pytest.raises(ArgumentError, match="confidence"):
        size_distribution(table, confidence=1.0)
