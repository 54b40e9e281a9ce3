"""Positions in images of counts: the Cramer-Rao bound, honest deviations, overlap, faults, and shifted scan lines."""

import numpy as np
import pytest
from numpy.typing import NDArray

from adatom.locate import refine_positions
from adatom.locate.refine import Refined

Array = NDArray[np.float64]
SIDE, WIDTH = 180, 2.5


def columns(spacing: float, rng: np.random.Generator) -> Array:
    """A hexagonal lattice (n, 2) that goes on beyond the image, each atom at its own fraction of a pixel."""
    steps = np.arange(-40, 41)
    cells = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    sites = spacing * cells @ np.array([[1.0, 0.1], [0.4, 0.92]]) + SIDE / 2
    sites += rng.uniform(-0.4, 0.4, sites.shape)
    return sites[((sites > -4 * WIDTH) & (sites < SIDE + 4 * WIDTH)).all(axis=1)]


def expected(sites: Array, shift: Array, background: float) -> Array:
    """Peaks of 1 (y, x); each line of the image is shifted along x."""
    axis = np.arange(SIDE)
    along_y = np.exp(-0.5 * ((axis - sites[:, 1:]) / WIDTH) ** 2)
    along_x = np.exp(-0.5 * ((axis - sites[:, :1, None] - shift[:, None]) / WIDTH) ** 2)  # (n, y, x)
    return background + np.einsum("ny,nyx->yx", along_y, along_x)


def refined(
    dose: float, *, spacing: float, background: float, seed: int, jitter: float = 0.0, read: float = 0.0
) -> tuple[Refined, Array]:
    """What is found, and errors (n, 2), of the atoms that have all their neighbours in the image."""
    rng = np.random.default_rng(seed)
    sites = columns(spacing, rng)
    values = rng.poisson(dose * expected(sites, rng.normal(0, jitter, SIDE), background)).astype(float)
    values += read * rng.normal(size=values.shape)
    sites = sites[((sites > 0) & (sites < SIDE - 1)).all(axis=1)]
    starts = sites + rng.normal(0, 0.3, sites.shape)
    fit = refine_positions(values, *starts.T, spacing_px=spacing)
    inner = ((sites > 8 * WIDTH) & (sites < SIDE - 1 - 8 * WIDTH)).all(axis=1)
    assert fit.converged[inner].mean() > 0.99
    inner &= fit.converged
    kept = Refined(
        **{
            name: value[inner] if name not in ("jitter_px", "is_ideal", "fitted") else value
            for name, value in vars(fit).items()
        }
    )
    return kept, np.column_stack([kept.x, kept.y]) - sites[inner]


def z(fit: Refined, error: Array) -> Array:
    return error / np.column_stack([fit.x_std, fit.y_std])


@pytest.mark.parametrize("dose", [30, 300, 3000])
def test_isolated_columns_without_background_reach_the_bound(dose):
    results = [refined(dose, spacing=20, background=1e-3, seed=seed) for seed in range(4)]
    errors = np.concatenate([error for _, error in results])
    bound = 1 / np.sqrt(2 * np.pi * dose)
    assert np.sqrt((errors**2).mean()) == pytest.approx(bound, rel=0.15)
    assert np.median(results[0][0].x_std) == pytest.approx(bound, rel=0.1)


@pytest.mark.parametrize("spacing", [12.5, 10.0])
@pytest.mark.parametrize("dose", [30, 500])
def test_deviations_in_a_lattice_are_those_of_the_errors(spacing, dose):
    normalised = np.concatenate([z(*refined(dose, spacing=spacing, background=0.2, seed=seed)) for seed in range(3)])
    assert 0.9 < normalised.std() < 1.12
    assert abs(normalised.mean()) < 0.15


def test_read_noise_is_seen_and_told():
    (few, _), (many, error) = (refined(100, spacing=12.5, background=0.2, seed=0, read=read) for read in (0.0, 15.0))
    assert np.median(many.x_std) > 1.5 * np.median(few.x_std)
    assert 0.85 < z(many, error).std() < 1.15


def test_shifted_scan_lines_are_measured_and_widen_deviations_along_x_only():
    results = [refined(500, spacing=12.5, background=0.1, seed=seed, jitter=0.4) for seed in range(3)]
    steady, _ = refined(500, spacing=12.5, background=0.1, seed=0)
    assert steady.jitter_px == 0
    assert np.mean([fit.jitter_px for fit, _ in results]) == pytest.approx(0.4, rel=0.15)
    normalised = np.concatenate([z(fit, error) for fit, error in results])
    assert normalised.std(axis=0) == pytest.approx([1, 1], abs=0.15)
    assert np.median(results[0][0].x_std) > 2 * np.median(results[0][0].y_std)


def test_an_atom_beside_a_missed_one_says_that_it_fits_badly():
    rng = np.random.default_rng(0)
    sites = columns(20.0, rng)
    values = 500 * expected(sites, np.zeros(SIDE), 0.1)
    values += 500 * expected(sites[:1] * 0 + [97.0, 90.0], np.zeros(SIDE), 0.0)
    inside = sites[((sites > 0) & (sites < SIDE - 1)).all(axis=1)]
    fit = refine_positions(rng.poisson(values).astype(float), *inside.T, spacing_px=20.0)
    beside = np.hypot(*(inside - [97.0, 90.0]).T) < 13
    inner = ((inside > 20) & (inside < SIDE - 21)).all(axis=1)
    assert beside.any() and (fit.misfit[beside] > 1).all()
    assert np.median(fit.misfit[inner & ~beside]) == 1
    surely = fit.x_std[beside] < 1.2 * np.median(fit.x_std[inner & ~beside])
    assert not surely.any()  # refused, or wide


def test_what_levelling_took_out_is_not_taken_for_a_lack_of_counts():
    rng = np.random.default_rng(0)
    sites = columns(12.5, rng)
    slope = np.broadcast_to(2000 * np.linspace(0, 1, SIDE), (SIDE, SIDE))
    values = rng.poisson(100 * expected(sites, np.zeros(SIDE), 0.2) + slope).astype(float) - slope
    inside = sites[((sites > 21) & (sites < SIDE - 22)).all(axis=1)]
    starts = sites[((sites > 0) & (sites < SIDE - 1)).all(axis=1)]
    fit = refine_positions(values, *starts.T, spacing_px=12.5, taken_out=slope)
    left, right = (np.nanmedian(fit.x_std[part]) for part in (starts[:, 0] < 50, starts[:, 0] > 130))
    assert len(inside) > 50 and right > 1.8 * left
