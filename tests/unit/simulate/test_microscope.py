"""What stands between any atoms and their image: bare regions, supports, tails, hum, tips, greys, coarse pixels."""

import numpy as np
import pytest
from scipy import ndimage, stats

from adatom.locate import refine_positions
from adatom.simulate import simulate_image

EMPTY = {"arrangements": {"nothing": 1.0}}


def images(recipe, n=8):
    return [simulate_image(recipe, seed=4, index=index) for index in range(n)]


def values(recipe, n=8):
    return [drawn.image.astype(float) for drawn in images(recipe, n)]


def test_no_atom_lies_where_the_crystal_is_bare(any_atoms):
    shares = []
    for drawn in images(any_atoms(bare_probability=1.0, bare_height=(-20, -20)), 15):
        at_atoms = drawn.image[np.round(drawn.y).astype(int), np.round(drawn.x).astype(int)]
        assert len(at_atoms) > 3 and at_atoms.min() > -0.3 * 20 - 0.5  # less than a third of the way down
        shares.append((drawn.image < -10).mean())
    assert min(shares) > 0.05 and max(shares) < 0.9


def test_half_of_the_images_have_a_support_as_rough_as_asked(any_atoms):
    rough = np.array([image.std() for image in values(any_atoms(**EMPTY, support=(0.4, 0.4)), 60)])
    with_support = rough > 1e-3
    assert with_support.mean() == pytest.approx(0.5, abs=0.2)
    assert rough[with_support] == pytest.approx(0.4, rel=0.35)


def test_a_halo_adds_its_weight_to_what_atoms_scatter_and_fills_the_gaps(any_atoms):
    for plain, wide in zip(values(any_atoms()), values(any_atoms(halo=(0.5, 0.5))), strict=True):
        assert wide.sum() == pytest.approx(1.5 * plain.sum(), rel=0.02)
        assert wide.min() > plain.min()


def test_hum_is_one_wave_and_no_stronger_than_asked(any_atoms):
    for image in values(any_atoms(**EMPTY, waves_probability=1.0, waves=(0.5, 0.5)), 12):
        assert 0.05 < np.ptp(image) <= 1.0 + 1e-5
        window = np.hanning(96)[:, None] * np.hanning(96)
        power = np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2
        top = np.unravel_index(power.argmax(), power.shape)
        near = np.hypot((np.arange(96)[:, None] - top[0] + 48) % 96 - 48, np.arange(49)[None, :] - top[1]) <= 3
        assert power[near].sum() > 0.4 * power.sum()


def test_a_changed_tip_changes_contrast_and_height_from_one_line_on(any_atoms):
    pairs = zip(values(any_atoms()), values(any_atoms(tip_change_probability=1.0)), strict=True)
    changed = 0
    for before, after in pairs:
        row = int(np.argmax(np.abs(after - before).max(axis=1) > 1e-6))
        assert np.array_equal(before[:row], after[:row])
        assert np.corrcoef(before[row:].ravel(), after[row:].ravel())[0, 1] > 0.9999
        changed += row > 0
    assert changed >= 6


def test_a_crooked_scale_of_grey_keeps_the_order_of_the_greys(any_atoms):
    straight, crooked = values(any_atoms(), 12), values(any_atoms(gamma=(1.5, 1.7)), 12)
    bent = [(a, b) for a, b in zip(straight, crooked, strict=True) if not np.allclose(a, b)]
    assert 2 <= len(bent) <= 10
    for a, b in bent:
        assert stats.spearmanr(a.ravel(), b.ravel()).statistic > 0.9999
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] < 0.9999


def test_saturation_cuts_the_brightest_pixels(any_atoms):
    for free, cut in zip(values(any_atoms()), values(any_atoms(saturated_probability=1.0)), strict=True):
        brightest = cut == cut.max()
        assert 0.004 < brightest.mean() < 0.11
        assert np.array_equal(cut[~brightest], free[~brightest]) and (free[brightest] >= cut.max()).all()


def test_coarse_pixels_enlarge_the_noise_and_leave_the_atoms_where_they_are(any_atoms):
    coarse = {"coarse_probability": 1.0, "coarseness": (2.0, 2.5)}
    (noise,) = values(any_atoms(**EMPTY, noise=(0.2, 0.2), **coarse), 1)
    assert noise.shape == (96, 96)
    assert np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1] > 0.5
    lone = any_atoms(arrangements={"hexagonal": 1.0}, spacing_nm=(1.6, 1.6), peak_width=(0.2, 0.2), **coarse)
    for drawn in images(lone, 4):
        flat = drawn.image.astype(float)
        fit = refine_positions(flat, drawn.x, drawn.y, spacing_px=16.0)
        inner = fit.converged & (np.abs(drawn.x - 47.5) < 36) & (np.abs(drawn.y - 47.5) < 36)
        assert inner.sum() > 8
        assert np.abs(fit.x - drawn.x)[inner].max() < 0.1 and np.abs(fit.y - drawn.y)[inner].max() < 0.1


@pytest.mark.parametrize("dark_level", [0.05, 1.0])
def test_noise_of_counting_grows_with_the_dark_level(any_atoms, dark_level):
    recipe = any_atoms(**EMPTY, counts_per_peak=(100, 100), dark_level=(dark_level, dark_level))
    assert np.mean([image.var() for image in values(recipe)]) == pytest.approx(dark_level / 100, rel=0.1)


def test_a_share_of_the_images_is_counted(any_atoms):
    recipe = any_atoms(**EMPTY, counts_per_peak=(100, 100), counts_probability=0.4, image_size=32)
    assert np.mean([image.std() > 1e-3 for image in values(recipe, 100)]) == pytest.approx(0.4, abs=0.15)


def test_islands_come_on_a_share_of_the_images(any_atoms):
    island = {"island": (0.2, 0.2), "island_probability": 0.4, "island_height": (5, 5), "image_size": 32}
    assert np.mean([image.max() > 2 for image in values(any_atoms(**EMPTY, **island), 100)]) == pytest.approx(
        0.4, abs=0.15
    )


def test_all_of_these_are_off_where_a_recipe_does_not_ask_for_them(any_atoms):
    for image in values(any_atoms(**EMPTY), 3):
        assert np.abs(image).max() < 1e-4
    (atoms,) = values(any_atoms(), 1)
    assert np.abs(ndimage.laplace(atoms)).max() < 0.6


def test_noise_that_lags_is_shared_along_lines_only_and_moves_no_atom(any_atoms):
    noise = np.array(values(any_atoms(**EMPTY, noise=(1, 1), noise_lag=(0.3, 0.3))))
    assert np.mean(noise[:, :, 1:] * noise[:, :, :-1]) / noise.var() == pytest.approx(0.3, abs=0.03)
    assert np.mean(noise[:, 1:] * noise[:, :-1]) / noise.var() == pytest.approx(0, abs=0.02)
    for plain, lagging in zip(values(any_atoms(), 3), values(any_atoms(noise_lag=(0.3, 0.3)), 3), strict=True):
        np.testing.assert_allclose(plain, lagging, atol=1e-4)


def test_an_elliptical_probe_is_wide_in_the_direction_stated(any_atoms):
    for angle, axis in ((0.0, 2), (90.0, 1)):
        recipe = any_atoms(arrangements={"isolated": 1.0}, ellipticity=(1.4, 1.4), ellipticity_deg=(angle, angle))
        spectra = np.abs(np.fft.fft2(values(recipe, 4)))
        along = {each: spectra.take(np.arange(6, 14), axis=each).take(0, axis=3 - each).mean() for each in (1, 2)}
        assert along[axis] < 0.8 * along[3 - axis]  # wide in the image, narrow in its spectrum


def test_stretch_lengthens_x_as_much_as_it_shortens_y(any_atoms):
    def steps(**stretch):
        drawn = simulate_image(
            any_atoms(arrangements={"hexagonal": 1.0}, rotation_deg=(0, 0), **stretch), seed=4, index=0
        )
        across, down = np.abs(drawn.x[:, None] - drawn.x), np.abs(drawn.y[:, None] - drawn.y)
        return across[(down < 0.1) & (across > 1)].min(), down[down > 1].min()

    (x, y), (long, short) = steps(), steps(stretch=(0.1, 0.1))
    assert long / x == pytest.approx(1.1, abs=1e-3) and short / y == pytest.approx(0.9, abs=1e-3)
