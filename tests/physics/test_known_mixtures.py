"""Spectrum images that are mixtures of known spectra."""

import numpy as np
import pytest

import adatom as ad
from adatom.analyse import unmix

ENERGY = np.linspace(0, 10, 150)


def line(centre: float, width: float) -> np.ndarray:
    return np.exp(-0.5 * ((ENERGY - centre) / width) ** 2)


PURE = np.array(
    [
        line(2, 0.4) + 0.3 * line(7, 0.5) + 0.05,
        line(4, 0.6) + 0.5 * line(7.5, 0.3) + 0.05,
        0.8 * np.exp(-ENERGY / 3) + line(5.5, 0.2),
    ]
)


def shares() -> np.ndarray:
    """(y, x, component): each pure in its own corner, mixed between."""
    y, x = np.mgrid[:30, :40]
    places = ((7, 8), (9, 32), (24, 20))
    near = np.stack([np.exp(-((y - a) ** 2 + (x - b) ** 2) / 50) for a, b in places], axis=-1) + 0.005
    return near / near.sum(axis=-1, keepdims=True)


def spectrum_image(counts: float):
    values = np.random.default_rng(0).poisson(counts * shares() @ PURE).astype(float)
    return ad.make_image(values, pixel_size=0.5, dims=("y", "x", "energy"), coordinates={"energy": (ENERGY, "eV")})


def angles_deg(found: np.ndarray) -> np.ndarray:
    cosine = PURE @ found.T / np.outer(np.linalg.norm(PURE, axis=1), np.linalg.norm(found, axis=1))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1))).min(axis=1)


@pytest.mark.parametrize("method", ["nmf", "vca"])
@pytest.mark.parametrize("counts", [20.0, 200.0])
def test_pure_spectra_and_their_number_are_recovered(method, counts):
    found = unmix(spectrum_image(counts), method=method, weighting="poisson")
    assert found.spectra.shape == (3, len(ENERGY))
    assert angles_deg(found.spectra.to_numpy()).max() < 5
    assert found.spectra["energy"].attrs["units"] == "eV"


def test_shares_are_recovered():
    found = unmix(spectrum_image(200.0), method="vca", weighting="poisson")
    amounts = found.abundance.to_numpy().reshape(3, -1)
    correlation = np.corrcoef(amounts, shares().reshape(-1, 3).T)[:3, 3:]
    assert correlation.max(axis=0).min() > 0.98


def test_what_is_left_over_is_the_noise_of_counting():
    image = spectrum_image(200.0)
    for method in ("nmf", "vca", "pca", "ica"):
        left = unmix(image, method=method, n_components=3, weighting="poisson").residual
        assert float((left**2).mean()) == pytest.approx(float(image.mean()), rel=0.1)


def test_independent_components_are_the_sources():
    rng = np.random.default_rng(2)
    sources = rng.laplace(size=(40, 40, 2))
    image = ad.make_image(
        sources @ PURE[:2] + 1e-3 * rng.normal(size=(40, 40, len(ENERGY))),
        dims=("y", "x", "energy"),
        coordinates={"energy": (ENERGY, "eV")},
    )
    found = unmix(image, method="ica")
    assert len(found.spectra) == 2
    assert angles_deg(found.spectra.to_numpy())[:2].max() < 5
