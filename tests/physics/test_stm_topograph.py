"""The STM engine against what Tersoff and Hamann's theory says of single atoms, lattices and tips."""

from typing import Any

import numpy as np
import pytest

from adatom.models.recipe import Recipe
from adatom.simulate import simulate_image
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.electrons import decay_per_nm
from adatom.simulate.placing import place_atoms
from adatom.simulate.probe_recipe import StmProbe
from adatom.simulate.stm import Stm, Tip, follow

PX_PER_NM = 40.0
SIZE = 160
MIDDLE = 80.0


def microscope(**values: Any) -> Stm:
    plain = {
        "kappa": 10.0,
        "px_per_nm": PX_PER_NM,
        "tips": (Tip(0.8),),
        "change_row": 0,
        "ground": 1e-2,
        "weights": np.zeros(0),
        "lag_px": 0.0,
        "pink_noise": 0.0,
    }
    return Stm(**(plain | values))


def atoms(x: list[float], y: list[float], species: list[int] | None = None) -> Specimen:
    n = len(x)
    kinds = np.array(species or [0] * n)
    return Specimen(x=np.array(x), y=np.array(y), species=kinds, height=np.ones(n), px_per_nm=PX_PER_NM)


def recipe(tiny_recipe: Recipe, **probe: Any) -> Recipe:
    content = tiny_recipe.model_dump()
    content["microscope"] |= {"probe": {"kind": "stm", "tip_radius_nm": (0.3, 0.3), **probe}}
    return Recipe.model_validate(content)


def test_current_falls_by_about_a_decade_an_angstrom_at_a_metals_work_function():
    assert np.exp(-2 * decay_per_nm(4.5) * 0.1) == pytest.approx(0.11, abs=0.01)


@pytest.mark.parametrize("kappa", [8.0, 11.0])
def test_decay_constant_comes_back_from_the_current_against_height(kappa):
    """The density over one atom at rising heights is a straight line in its logarithm, of slope -2 kappa."""
    heights = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    at_side = []
    for height in heights:
        one = Tip(height).image_of_one(kappa, 1 / PX_PER_NM)
        image = place_atoms(np.array([MIDDLE]), np.array([MIDDLE]), np.ones(1), SIZE, one)
        assert image[80, 80] == pytest.approx(1, rel=1e-3)
        # 0.2 nm beside the atom; what Tip leaves out is the density above the atom
        at_side.append(np.log(image[80, 88]) - 2 * kappa * height)
    farther = np.sqrt(0.2**2 + heights**2)
    slope = np.polyfit(farther, at_side, 1)[0]
    assert slope == pytest.approx(-2 * kappa, rel=5e-3)


def test_tip_rises_by_the_logarithm_of_the_density_of_states():
    """Twice the density everywhere lifts the tip by ln 2 / (2 kappa)."""
    stm = microscope(kappa=9.0, ground=1e-3)
    density = np.full((4, 4), 50.0)
    lift = stm.topograph(2 * density) - stm.topograph(density)
    assert lift == pytest.approx(np.log(2) / 18, rel=1e-3)


def test_a_lone_atom_has_height_one_and_the_volume_that_is_told_of_it():
    image, volume = microscope().take(atoms([MIDDLE], [MIDDLE]), SIZE, np.zeros(SIZE))
    assert image.max() == pytest.approx(1, abs=1e-3)
    assert np.unravel_index(image.argmax(), image.shape) == (80, 80)
    assert image.sum() == pytest.approx(volume, rel=0.01)


def test_a_farther_tip_sees_less_of_a_lattice():
    """Corrugation falls with the distance: by exp(-(sqrt(4 kappa^2 + G^2) - 2 kappa) d) for the first harmonic."""
    kappa, period = 10.0, 0.5
    x, y = np.meshgrid(np.arange(-40, 220, period * PX_PER_NM), np.arange(-40, 220, period * PX_PER_NM))
    square = atoms(list(x.ravel()), list(y.ravel()))
    harmonic = []
    for distance in (0.8, 1.0):
        one = Tip(distance).image_of_one(kappa, 1 / PX_PER_NM)
        density = place_atoms(square.x, square.y, square.height, SIZE, one)
        waves = np.fft.fft(density.mean(axis=0))
        harmonic.append(abs(waves[8] / waves[0]))  # 8 periods of 20 px in 160
    # the transform of exp(-2 kappa r) / 1 on a plane at distance d is (d / s^2)(1 + 1 / (s d)) e^(-s d), s as below
    s0, s1 = 2 * kappa, np.hypot(2 * kappa, 2 * np.pi / period)

    def transform(s: float, d: float) -> float:
        return (d / s**2 + 1 / s**3) * np.exp(-s * d)

    expected = [transform(s1, d) / transform(s0, d) for d in (0.8, 1.0)]
    assert harmonic == pytest.approx(expected, rel=0.02)


def test_a_lattice_has_corrugation_one_whatever_the_tip():
    x, y = np.meshgrid(np.arange(-40, 220, 24.0), np.arange(-40, 220, 24.0))
    square = atoms(list(x.ravel()), list(y.ravel()))
    for distance in (0.6, 0.9, 1.2):
        image, _ = microscope(tips=(Tip(distance),)).take(square, SIZE, np.zeros(SIZE))
        assert np.ptp(image[30:130, 30:130]) == pytest.approx(1, abs=0.05)


def test_a_double_tip_shows_each_atom_twice():
    double = Tip(0.8, second_nm=(0.5, -0.3), second_height_nm=0.02)
    image, _ = microscope(tips=(double,)).take(atoms([MIDDLE], [MIDDLE]), SIZE, np.zeros(SIZE))
    ghost = image.copy()
    ghost[70:91, 70:91] = 0
    row, column = np.unravel_index(ghost.argmax(), ghost.shape)
    assert (column - MIDDLE, row - MIDDLE) == pytest.approx((-0.5 * PX_PER_NM, 0.3 * PX_PER_NM), abs=1)
    assert 0.8 < ghost.max() < 1


def test_another_tip_takes_over_at_its_line():
    sharp, blunt = Tip(0.6), Tip(1.3)
    grid = atoms([40.0, 40.0], [40.0, 120.0])
    both, _ = microscope(tips=(sharp, blunt), change_row=80).take(grid, SIZE, np.zeros(SIZE))
    single, _ = microscope(tips=(sharp,)).take(grid, SIZE, np.zeros(SIZE))
    assert np.array_equal(both[:80], single[:80])
    assert (both[120] > 0.5 * both[120].max()).sum() > 1.2 * (single[120] > 0.5 * single[120].max()).sum()


def test_species_have_other_weights_at_either_bias(tiny_recipe):
    """A seen at negative bias, B at positive, as in GaAs."""
    seen = {}
    for bias in (-1.0, 1.0):
        one = recipe(
            tiny_recipe,
            bias_v=(bias, bias),
            gap_nm=(0.3, 0.3),
            weight_filled=((1.0, 1.0), (0.1, 0.1)),
            weight_empty=((0.1, 0.1), (2.0, 2.0)),
        )
        drawn = simulate_image(one, seed=1, index=0)
        at = drawn.image[np.round(drawn.y).astype(int), np.round(drawn.x).astype(int)]
        seen[bias] = np.median(at[drawn.species == 0]) - np.median(at[drawn.species == 1])
    assert seen[-1.0] > 0.3 and seen[1.0] < -0.3


def test_feedback_follows_a_step_as_an_exponential_and_leaves_a_flat_surface():
    surface = np.where(np.arange(60) < 20, 0.0, 1.0)[None, :] * np.ones((3, 1))
    followed = follow(surface, 4.0)
    after = np.arange(1, 41)
    assert followed[1, 20:] == pytest.approx(1 - np.exp(-after / 4.0))
    assert np.array_equal(follow(surface, 0.0), surface)
    assert follow(np.full((2, 9), 3.0), 5.0) == pytest.approx(3.0)


def test_recipe_of_an_stm_is_the_same_image_for_the_same_number(tiny_recipe):
    one = recipe(tiny_recipe, second_apex_probability=1.0, tip_change_probability=0.5, pink_noise=(0.1, 0.2))
    first, again, other = (simulate_image(one, seed=1, index=index).image for index in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert isinstance(one.microscope.probe, StmProbe)
