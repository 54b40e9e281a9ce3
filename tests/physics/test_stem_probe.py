"""The fast STEM engine against what is known of probes, counts and contrast."""

from typing import Any

import numpy as np
import pytest
from scipy import special

from adatom.models.recipe import Recipe
from adatom.simulate import simulate_image
from adatom.simulate.electrons import wavelength_nm
from adatom.simulate.placing import place_atoms
from adatom.simulate.stem import Lens

PIXEL_NM = 0.005


def imaged(tiny_recipe: Recipe, *, density: float = 0.1, **probe: Any) -> Recipe:
    """Lone atoms of one height, sharp at 0.02 nm a pixel, without any noise but that of counts."""
    content = tiny_recipe.model_dump()
    none = (0.0, 0.0)
    content["material"] = {
        "kind": "single_atoms",
        "density_per_nm2": (density, density),
        "pair_share": none,
        "pair_distance_nm": (1.0, 1.0),
        "height_spread": none,
        "width_spread": none,
    }
    content["defects"] |= {"vacancy": none, "substitution": none}
    stem = {
        "kind": "stem",
        "voltage_kv": (60.0, 60.0),
        "semi_angle_mrad": (30.0, 30.0),
        "source_nm": (0.03, 0.03),
        "atom_width_nm": none,
        "cross_section_a2": (0.03, 0.03),
    }
    content["microscope"] |= {
        "pixel_size_nm": 0.02,
        "scale": (1.0, 1.0),
        "noise": none,
        "dark_level": (0.5, 0.5),
        "image_size": 128,
        "probe": stem | probe,
    }
    content["labels"] = {"radius_nm": 0.05}
    return Recipe.model_validate(content)


@pytest.mark.parametrize(("voltage_kv", "expected_pm"), [(60, 4.866), (80, 4.176), (200, 2.508), (300, 1.969)])
def test_wavelengths_are_those_of_the_tables(voltage_kv, expected_pm):
    assert 1e3 * wavelength_nm(voltage_kv) == pytest.approx(expected_pm, abs=1e-3)


@pytest.mark.parametrize(("voltage_kv", "angle_mrad"), [(60, 30), (200, 20)])
def test_a_perfect_probe_is_an_airy_disc_of_volume_one(voltage_kv, angle_mrad):
    probe = Lens(voltage_kv, angle_mrad).image_of_one(PIXEL_NM)
    assert probe.oversampling == 1
    middle = len(probe.values) // 2
    profile = probe.values[middle, middle:]
    radius = PIXEL_NM * np.arange(len(profile))
    v = 2 * np.pi * 1e-3 * angle_mrad / wavelength_nm(voltage_kv) * np.maximum(radius, 1e-9)
    airy = (2 * special.j1(v) / v) ** 2
    assert probe.values.sum() == pytest.approx(1)
    assert profile / profile[0] == pytest.approx(airy, abs=5e-3)
    first_zero = 0.61 * wavelength_nm(voltage_kv) / (1e-3 * angle_mrad)
    falling = np.flatnonzero(np.diff(profile) > 0)[0]
    assert radius[falling] == pytest.approx(first_zero, abs=0.6 * PIXEL_NM)


def test_scherzer_conditions_are_sharper_than_gaussian_focus():
    """With C3 of 1 mm, the underfocus that balances it narrows the probe; overfocus widens it."""
    scherzer = float(np.sqrt(1e6 * wavelength_nm(200)))  # nm
    width = [
        Lens(200, 10, defocus_nm=defocus, c3_um=1000).image_of_one(0.02).gaussian_width_px()
        for defocus in (-scherzer, 0.0, scherzer)
    ]
    assert width[2] < width[1] < width[0]


def test_astigmatism_draws_the_probe_out_along_one_axis_on_either_side_of_focus():
    along = np.arange(-200, 200)

    def spread(defocus: float) -> tuple[float, float]:
        values = Lens(80, 25, defocus_nm=defocus, astigmatism_nm=4.0).image_of_one(PIXEL_NM).values
        middle = slice(len(values) // 2 - 60, len(values) // 2 + 60)
        near = values[middle, middle]
        square = along[140:260] ** 2
        return near.sum(axis=0) @ square / near.sum(), near.sum(axis=1) @ square / near.sum()

    (x_over, y_over), (x_under, y_under) = spread(-4.0), spread(4.0)
    assert x_over / y_over == pytest.approx(y_under / x_under, rel=0.02)
    assert max(x_over / y_over, y_over / x_over) > 1.5


def test_source_adds_its_variance_to_the_probe():
    """A Gaussian three times as wide as the probe leaves a peak as wide as both together."""
    wide = Lens(60, 30, source_nm=0.15).image_of_one(0.02)
    assert wide.gaussian_width_px() * 0.02 == pytest.approx(np.hypot(0.15, 0.046), rel=0.02)


def test_rendered_peaks_are_centred_on_their_atoms():
    one = Lens(60, 30, source_nm=0.03).image_of_one(0.02)
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(45, 55, (20, 2)):
        image = place_atoms(np.array([x]), np.array([y]), np.ones(1), 100, one)
        near = image * (image > 0.2 * image.max())
        rows, columns = np.mgrid[:100, :100]
        # weights fall to 0 at the edge of the peak, so that no pixel counts by chance
        weight = np.maximum(near - 0.2 * image.max(), 0) ** 2
        assert (weight * columns).sum() / weight.sum() == pytest.approx(x, abs=0.01)
        assert (weight * rows).sum() / weight.sum() == pytest.approx(y, abs=0.01)


def test_a_lone_atom_has_height_one_and_the_flux_that_is_told_of_it(tiny_recipe):
    recipe = imaged(tiny_recipe, density=0.15)
    for index in range(6):
        drawn = simulate_image(recipe, seed=2, index=index)
        lone = len(drawn.x) == 1 and abs(drawn.x[0] - 63.5) < 40 and abs(drawn.y[0] - 63.5) < 40
        if lone:
            break
    assert lone
    assert drawn.image.max() == pytest.approx(1.0, abs=0.06)  # it lies between pixels
    assert drawn.image.sum() == pytest.approx(drawn.flux[0], rel=0.02)


@pytest.mark.parametrize("detector", ["haadf", "abf"])
def test_counts_have_the_mean_and_the_variance_of_the_dose(tiny_recipe, detector):
    """Without atoms: in ABF dose x area x share of the beam; in HAADF the dark level in peaks of an atom."""
    dose, share = 2e4, 0.7
    recipe = imaged(
        tiny_recipe, density=1e-9, detector=detector, dose_e_per_a2=(dose, dose), bright_share=(share, share)
    )
    image = np.concatenate([simulate_image(recipe, seed=1, index=index).image.ravel() for index in range(3)])
    one = Lens(60, 30, source_nm=0.03).image_of_one(0.02)
    peak_share = 0.03 * one.peak() * one.oversampling**2 / 0.2**2  # of the beam above an atom
    counts_per_height = dose * 0.2**2 * peak_share
    ground = 0.5 if detector == "haadf" else share / peak_share
    counts = counts_per_height * (image + ground)
    expected = counts_per_height * ground
    if detector == "abf":
        assert expected == pytest.approx(dose * 0.2**2 * share)
    n = counts.size
    assert counts.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / n))
    assert counts.var() == pytest.approx(expected, rel=4 * np.sqrt(2 / n) + 1 / (expected * np.sqrt(n)))
    assert counts == pytest.approx(np.round(counts), abs=0.05)


def test_an_atom_takes_its_cross_section_from_the_beam(tiny_recipe):
    """Summed over all pixels, the electrons that a lone atom scatters are dose x cross-section."""
    dose = 1e7
    common = {"dose_e_per_a2": (dose, dose), "bright_share": (0.7, 0.7)}
    one = Lens(60, 30, source_nm=0.03).image_of_one(0.02)
    peak_share = 0.03 * one.peak() * one.oversampling**2 / 0.2**2
    drawn = simulate_image(imaged(tiny_recipe, density=0.2, **common), seed=9, index=0)
    bright = simulate_image(imaged(tiny_recipe, density=0.2, detector="abf", **common), seed=9, index=0)
    inner = (np.abs(drawn.x - 63.5) < 30) & (np.abs(drawn.y - 63.5) < 30)
    assert inner.any()
    electrons = drawn.flux * peak_share * 0.2**2 * dose
    assert electrons == pytest.approx(0.03 * dose, rel=1e-3)
    # what the dark field gains at an atom, the bright field loses
    column, row = round(drawn.x[inner][0]), round(drawn.y[inner][0])
    box = np.s_[row - 3 : row + 4, column - 3 : column + 4]
    assert drawn.image[box].sum() == pytest.approx(-bright.image[box].sum(), rel=0.05)
