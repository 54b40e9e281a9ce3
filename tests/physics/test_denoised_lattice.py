"""Known answers: noise falls and nothing else; the test of a residual keeps its false alarm rate, and sees a loss."""

import numpy as np
import pytest
from scipy import ndimage

from adatom.analyse.residual_structure import ALARM, residual_structure
from adatom.data import make_image
from adatom.models import Denoiser

SIDE, SPACING = 96, 8.0
N_NOISE = 300


def lattice(seed=0):
    """A square lattice, turned, of counts: the mean image, and positions (n, 2) x, y."""
    rng = np.random.default_rng(seed)
    angle = 0.3
    vectors = SPACING * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    cells = np.stack(np.meshgrid(*[np.arange(-20, 21)] * 2), axis=-1).reshape(-1, 2)
    at = cells @ vectors + SIDE / 2 + rng.uniform(0, 1, 2)
    at = at[((at > -10) & (at < SIDE + 10)).all(axis=1)]
    along = np.arange(SIDE)
    x, y = (np.exp(-0.5 * ((along - p[:, None]) / 1.8) ** 2) for p in at.T)
    return 3 + 30 * y.T @ x, at[((at > 8) & (at < SIDE - 9)).all(axis=1)]


def centroids(values, positions):
    """Centre of mass around each position (n, 2), ground subtracted."""
    found = []
    for x, y in np.round(positions).astype(int):
        patch = values[y - 3 : y + 4, x - 3 : x + 4]
        patch = patch - patch.min()
        rows, columns = np.mgrid[-3:4, -3:4]
        found.append((x + (patch * columns).sum() / patch.sum(), y + (patch * rows).sum() / patch.sum()))
    return np.array(found)


@pytest.fixture(scope="module")
def cleaned():
    truth, positions = lattice()
    counts = np.random.default_rng(1).poisson(truth).astype(float)
    training = {
        "steps": 150,
        "batch_size": 4,
        "learning_rate": 0.003,
        "validate_every": 50,
        "validation_images": 8,
        "ema_decay": 0.95,
    }
    result = (
        Denoiser(method="blind_spot", width=12, training=training).fit(make_image(counts)).predict(make_image(counts))
    )
    return truth, positions, counts, result


def test_the_error_falls_by_more_than_half_and_the_risk_says_how_far(cleaned):
    truth, _, counts, result = cleaned
    before = np.sqrt(np.mean((counts - truth) ** 2))
    after = np.sqrt(np.mean((result["denoised"].values - truth) ** 2))
    assert after < 0.4 * before
    assert 0.5 < np.sqrt(np.mean(result["risk"].values ** 2)) / after < 1.5


def test_atoms_stay_where_they_are(cleaned):
    truth, positions, counts, result = cleaned
    reference = centroids(truth, positions)
    error, raw = (centroids(values, positions) - reference for values in (result["denoised"].values, counts))
    assert np.abs(error.mean(axis=0)).max() < 0.05  # no common shift
    assert error.std() < raw.std()


def test_the_height_of_the_lattice_is_kept(cleaned):
    truth, _, counts, result = cleaned
    slope = np.polyfit(truth.ravel(), result["denoised"].values.ravel(), 1)[0]
    assert abs(slope - 1) < 0.04
    told = residual_structure(counts, result["denoised"].values, np.sqrt(truth))
    assert abs(told.removed_share - (1 - slope)) < 0.06  # the one of the middle of the image, the other of all of it


def test_pure_noise_raises_the_stated_share_of_alarms():
    """Without a lattice by the highest frequency, with one by its peaks; and spots."""
    rng = np.random.default_rng(0)
    truth, _ = lattice()
    p_values, spots = [], 0
    for number in range(N_NOISE):
        if number % 2:
            noise = rng.normal(size=(SIDE, SIDE))
            told = residual_structure(noise, ndimage.gaussian_filter(noise, 2))
        else:
            told = residual_structure(rng.poisson(truth).astype(float), truth, np.sqrt(truth))
            assert len(told.peaks) >= 2
        p_values.append(told.p_value)
        spots += len(told.spots) > 0
    # three standard errors above what is stated
    most = N_NOISE * ALARM + 3 * np.sqrt(N_NOISE * ALARM)
    assert np.sum(np.array(p_values) < ALARM) <= most and spots <= most
    assert 0.05 < np.mean(np.array(p_values) < 0.1) < 0.2


def test_smoothing_is_not_sold_as_denoising():
    truth, _ = lattice()
    counts = np.random.default_rng(2).poisson(truth).astype(float)
    told = residual_structure(counts, ndimage.gaussian_filter(counts, 1.5), np.sqrt(truth))
    assert told.holds_lattice
    expected = 1 - np.exp(-0.5 * (1.5 * 2 * np.pi / SPACING) ** 2)  # of the strongest peaks
    assert abs(told.removed_share - expected) < 0.1


def test_an_atom_that_was_smoothed_away_is_found_in_the_residual():
    truth, positions = lattice()
    gone = positions[len(positions) // 2]
    y, x = np.indices(truth.shape)
    with_a_vacancy = truth - 30 * np.exp(-0.5 * ((x - gone[0]) ** 2 + (y - gone[1]) ** 2) / 1.8**2)
    counts = np.random.default_rng(3).poisson(np.maximum(with_a_vacancy, 0)).astype(float)
    told = residual_structure(counts, truth, np.sqrt(truth))
    assert np.hypot(*(told.spots[:, ::-1] - gone).T).min() < 1.5
