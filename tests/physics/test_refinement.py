"""Refined positions against what statistics allows: no bias, honest deviations, and the Cramer-Rao bound."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from adatom.errors import ShapeError
from adatom.locate import refine_positions

Array = NDArray[np.float64]
N_SIDE = 14
NOISES = [0.05, 0.1]  # in units of an atom's height
UNITS = {"metres": (1e-12, 0.0), "huge": (1e12, 0.0), "offset": (1.0, 1e6), "height above sea": (1e-12, 1e-6)}


class Scene(NamedTuple):
    """Atoms on a square grid, each at its own fraction of a pixel."""

    pitch: int
    width: float
    spacing: float


SCENES = {"isolated": Scene(20, 2.2, 12), "lattice": Scene(12, 2.4, 12), "overlapping": Scene(8, 2.0, 8)}


def true_positions(scene: Scene, seed: int) -> Array:
    steps = scene.pitch * (1 + np.arange(N_SIDE))
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    return grid + np.random.default_rng(seed).uniform(-0.5, 0.5, grid.shape)


def picture(positions: Array, width: float, noise: float, seed: int, side: int) -> Array:
    axis = np.arange(side)
    along_x, along_y = (np.exp(-0.5 * ((axis - p[:, None]) / width) ** 2) for p in positions.T)
    return along_y.T @ along_x + noise * np.random.default_rng(100 + seed).normal(size=(side, side))


def some_starts(positions: Array, seed: int = 0) -> Array:
    return positions + 0.4 * np.random.default_rng(200 + seed).normal(size=positions.shape)


def refined(image: Array, starts: Array, spacing: float) -> tuple[Array, Array]:
    """Positions and standard deviations (n, 2)."""
    fit = refine_positions(image, *starts.T, spacing_px=spacing)
    return np.column_stack([fit.x, fit.y]), np.column_stack([fit.x_std, fit.y_std])


@cache
def errors(name: str, noise: float) -> tuple[Array, Array]:
    """Errors of the positions and their stated deviations (n, 2), over two pictures."""
    scene, wrong, stated = SCENES[name], [], []
    for seed in (0, 1):
        truth = true_positions(scene, seed)
        image = picture(truth, scene.width, noise, seed, scene.pitch * (N_SIDE + 1))
        positions, std = refined(image, some_starts(truth, seed), scene.spacing)
        wrong.append(positions - truth)
        stated.append(std)
    return np.concatenate(wrong), np.concatenate(stated)


def cramer_rao(truth: Array, width: float, noise: float) -> float:
    """Least possible standard deviation of a coordinate; height and background unknown, the width known."""
    variances = []
    for x, y in truth:
        rows, columns = np.mgrid[int(y) - 25 : int(y) + 26, int(x) - 25 : int(x) + 26]
        peak = np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / width**2).ravel()
        slope_x, slope_y = ((a.ravel() - at) / width**2 * peak for a, at in ((columns, x), (rows, y)))
        derivatives = np.stack([slope_x, slope_y, peak, np.ones_like(peak)])
        variances.append(np.diag(np.linalg.inv(derivatives @ derivatives.T / noise**2))[:2].mean())
    return float(np.sqrt(np.mean(variances)))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", SCENES)
def test_positions_have_no_bias(name, noise):
    wrong, _ = errors(name, noise)
    assert np.isfinite(wrong).all()
    assert np.abs(wrong.mean(axis=0)).max() < 3.5 * wrong.std() / np.sqrt(len(wrong))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", SCENES)
def test_stated_deviations_are_those_of_the_errors(name, noise):
    wrong, stated = errors(name, noise)
    normalised = wrong / stated
    assert 0.85 < normalised.std() < 1.25
    assert np.mean(np.abs(normalised) < 1) == pytest.approx(0.683, abs=0.06)
    assert np.mean(np.abs(normalised) < 2) == pytest.approx(0.954, abs=0.03)


@pytest.mark.parametrize("noise", NOISES)
def test_isolated_atoms_reach_the_cramer_rao_bound(noise):
    scene = SCENES["isolated"]
    wrong, _ = errors("isolated", noise)
    bound = cramer_rao(true_positions(scene, 0)[:50], scene.width, noise)
    assert bound == pytest.approx(noise * np.sqrt(2 / np.pi), rel=0.01)  # of fine pixels, whatever the width
    assert 0.9 < np.sqrt((wrong**2).mean()) / bound < 1.3


@pytest.mark.parametrize("name", SCENES)
def test_flux_is_the_volume_of_the_peak(name):
    scene = SCENES[name]
    truth = true_positions(scene, 0)
    image = picture(truth, scene.width, 0.05, 0, scene.pitch * (N_SIDE + 1))
    flux = refine_positions(1e-9 * image, *truth.T, spacing_px=scene.spacing).flux
    assert np.median(flux) == pytest.approx(1e-9 * 2 * np.pi * scene.width**2, rel=0.03)


@pytest.fixture(scope="module")
def lattice() -> tuple[Array, Array, Array]:
    """Image, true and start positions of a small lattice."""
    scene = SCENES["lattice"]
    truth = true_positions(scene, 0)[: 6 * N_SIDE]
    image = picture(truth, scene.width, 0.05, 0, scene.pitch * (N_SIDE + 1))
    return image, truth, some_starts(truth)


def test_rows_keep_their_order(lattice):
    image, _, starts = lattice
    order = np.random.default_rng(5).permutation(len(starts))
    positions, std = refined(image, starts, 12)
    shuffled, shuffled_std = refined(image, starts[order], 12)
    assert np.allclose(shuffled, positions[order])
    assert np.allclose(shuffled_std, std[order])


def test_where_a_fit_starts_matters_little(lattice):
    # not nothing: the fitted patch lies around the start
    image, truth, starts = lattice
    positions, std = refined(image, starts, 12)
    again, _ = refined(image, truth, 12)
    assert np.abs(again - positions).max() < 0.3 * std.min()


@pytest.mark.parametrize("unit", UNITS)
def test_unit_and_offset_of_the_values_do_not_matter(lattice, unit):
    image, _, starts = lattice
    factor, offset = UNITS[unit]
    positions, std = refined(image, starts, 12)
    again, again_std = refined(factor * image + offset, starts, 12)
    assert np.abs(again - positions).max() < 1e-6
    assert np.abs(again_std - std).max() < 1e-6


@pytest.mark.parametrize("outside", [(500.0, 20.0), (-30.0, 5.0), (20.0, 1e6)])
def test_refused_fit_keeps_its_start_and_has_no_deviation(lattice, outside):
    image, _, starts = lattice
    fit = refine_positions(image, *np.vstack([starts, outside]).T, spacing_px=12)
    assert fit.converged.tolist() == [True] * len(starts) + [False]
    assert (fit.x[-1], fit.y[-1]) == outside
    assert np.isnan([fit.x_std[-1], fit.y_std[-1], fit.flux[-1]]).all()


@pytest.mark.parametrize(("distance", "accepted"), [(0.0, True), (3.0, True), (5.0, False), (9.0, False)])
def test_fit_that_leaves_its_start_by_more_than_a_third_of_the_spacing_is_refused(distance, accepted):
    image = picture(np.array([[30.0, 30.0]]), 2.4, 0.01, 0, 61)
    fit = refine_positions(image, np.array([30.0 + distance]), np.array([30.0]), spacing_px=12)
    assert fit.x[0] == pytest.approx(30.0 if accepted else 30.0 + distance, abs=0.05)
    assert np.isfinite(fit.x_std[0]) == fit.converged[0] == accepted


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_nothing_is_fitted_where_there_is_no_contrast(value):
    fit = refine_positions(np.full((30, 40), value), np.array([10.0, 20.0]), np.array([12.0, 5.0]), spacing_px=9)
    assert not fit.converged.any()
    assert fit.x.tolist() == [10, 20]
    assert np.isnan(fit.x_std).all()


def test_a_hole_is_no_atom(lattice):
    image, _, starts = lattice
    assert not refine_positions(-image, *starts.T, spacing_px=12).converged.any()


@pytest.mark.parametrize("cut", [9, 10, 11, 12])
def test_atoms_cut_by_the_border_are_fitted_honestly(cut):
    scene, wrong, stated = SCENES["lattice"], [], []
    for seed in range(4):
        truth = true_positions(scene, seed) - cut
        whole = picture(truth + cut, scene.width, 0.05, seed, scene.pitch * (N_SIDE + 1))
        inside = (truth > -0.5).all(axis=1)
        positions, std = refined(whole[cut:, cut:], some_starts(truth[inside], seed), scene.spacing)
        at_border = (truth[inside] < 5).any(axis=1)
        wrong.append((positions - truth[inside])[at_border])
        stated.append(std[at_border])
    normalised = np.concatenate(wrong) / np.concatenate(stated)
    assert np.isfinite(normalised).mean() > 0.98
    assert abs(np.nanmean(normalised)) < 0.3
    assert 0.85 < np.nanstd(normalised) < 1.25


def test_atoms_beside_missing_pixels_are_fitted_honestly(lattice):
    image, truth, starts = lattice
    image = image.copy()
    image[:, 52:56], image[30:33] = np.nan, np.nan
    positions, std = refined(image, starts, 12)
    beside = (np.abs(truth[:, 0] - 54) < 9) | (np.abs(truth[:, 1] - 31.5) < 8)
    seen = np.isfinite(image[np.round(truth[:, 1]).astype(int), np.round(truth[:, 0]).astype(int)])
    normalised = ((positions - truth) / std)[beside & seen]
    assert len(normalised) > 20
    assert np.isfinite(normalised).all()
    assert 0.75 < normalised.std() < 1.25  # 1 +- 0.1 for so few
    assert np.abs(normalised).max() < 5


def test_no_atoms_give_no_rows_and_no_image_is_told():
    fit = refine_positions(np.zeros((20, 20)), np.zeros(0), np.zeros(0), spacing_px=5)
    assert [len(column) for column in (fit.x, fit.y, fit.x_std, fit.y_std, fit.flux, fit.converged)] == [0] * 6
    with pytest.raises(ShapeError, match=r"expected a \(y, x\) array"):
        refine_positions(np.zeros(5), np.zeros(1), np.zeros(1), spacing_px=5)


@pytest.mark.parametrize(("noise", "allowed"), [(0.0, 0.01), (0.02, 0.12)])
def test_ten_overlapping_atoms_of_all_heights_are_told_apart(noise, allowed):
    """A flake: bonds of 7 px, atoms 2 px wide, heights from 0.3 to 1, so that some are shoulders of others."""
    ring = 7.0 * np.array([[np.cos(a), np.sin(a)] for a in np.deg2rad(np.arange(0, 360, 60))])
    truth = np.array([30.3, 29.6]) + np.concatenate([ring, 2 * ring[::2], 1.5 * (ring[:1] + ring[1:2])])
    height = np.array([1.0, 0.5, 0.8, 0.3, 1.0, 0.6, 0.4, 0.9, 0.7, 0.5])
    axis = np.arange(61)
    along_x, along_y = (np.exp(-0.5 * ((axis - at[:, None]) / 2.0) ** 2) for at in truth.T)
    image = (height[:, None] * along_y).T @ along_x + noise * np.random.default_rng(0).normal(size=(61, 61))
    fit = refine_positions(image, *some_starts(truth).T, spacing_px=7.0)
    assert fit.converged.all()
    assert np.hypot(fit.x - truth[:, 0], fit.y - truth[:, 1]).max() < allowed
    assert fit.flux == pytest.approx(2 * np.pi * 2.0**2 * height, rel=0.02 if noise == 0 else 0.25)


@pytest.mark.parametrize("noise", NOISES)
def test_the_snr_is_that_of_a_matched_filter(noise):
    """A Gaussian of height 1 and width w in white noise s stands ``w sqrt(pi) / s`` standard deviations high."""
    scene = SCENES["isolated"]
    positions = true_positions(scene, seed=3)
    image = picture(positions, scene.width, noise, 3, scene.pitch * (N_SIDE + 2))
    fit = refine_positions(image, *some_starts(positions).T, spacing_px=scene.spacing)
    assert np.median(fit.snr) == pytest.approx(scene.width * np.sqrt(np.pi) / noise, rel=0.1)
