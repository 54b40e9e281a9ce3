"""The AFM engine against the potential that it is made of."""

import numpy as np
import pytest

from adatom.models.recipe import Recipe
from adatom.simulate import simulate_image
from adatom.simulate.afm import Afm, shift_over_atom
from adatom.simulate.atoms_in_image import Specimen

SIZE, MIDDLE = 161, 80.0


def microscope(gap_nm: float = 0.32, **values) -> Afm:
    plain = {"px_per_nm": 60.0, "equilibrium_nm": 0.35, "weights": np.zeros(0), "lag_px": 0.0, "pink_noise": 0.0}
    return Afm(gap_nm=gap_nm, **(plain | values))


def atoms(*places: tuple[float, float], species: tuple[int, ...] = ()) -> Specimen:
    x, y = np.array(places).T
    kinds = np.array(species or (0,) * len(x))
    return Specimen(x=x, y=y, species=kinds, height=np.ones(len(x)), px_per_nm=60.0)


def test_shift_is_the_second_derivative_of_the_potential():
    def potential(height: np.ndarray, distance: float) -> np.ndarray:
        s = np.hypot(height, distance) / 0.35
        return s**-12 - 2 * s**-6

    step, heights = 1e-4, np.array([0.28, 0.33, 0.45, 0.6])
    for distance in (0.0, 0.1, 0.3):
        numbers = sum(k * potential(heights + n * step, distance) for n, k in ((-1, 1), (0, -2), (1, 1))) / step**2
        stated = np.array([shift_over_atom(np.array(distance), height, 0.35) for height in heights]) / 0.35**2
        assert stated == pytest.approx(numbers, rel=1e-4)


def test_shift_over_an_atom_changes_its_sign_where_the_force_is_steepest():
    steepest = (156 / 84) ** (1 / 6)
    assert shift_over_atom(np.array(0.0), 0.35 * steepest, 0.35) == pytest.approx(0, abs=1e-9)


def test_atom_shows_as_bright_with_a_dark_halo_by_repulsion_and_without_one_by_attraction():
    close, _ = microscope(0.35).take(atoms((MIDDLE, MIDDLE)), SIZE, np.zeros(SIZE))
    far, _ = microscope(0.50).take(atoms((MIDDLE, MIDDLE)), SIZE, np.zeros(SIZE))
    for image in (close, far):
        assert image[80, 80] == pytest.approx(image.max()) == pytest.approx(1, rel=2e-3)
    assert close.min() < -0.02 and far.min() > -0.02


def test_shifts_of_atoms_add_up_between_pixels_too():
    places = [(70.3, 80.0), (78.81, 80.0), (90.2, 84.7)]
    together, _ = microscope().take(atoms(*places[:2]), SIZE, np.zeros(SIZE))
    alone = [microscope().take(atoms(place), SIZE, np.zeros(SIZE))[0] for place in places[:2]]
    assert together == pytest.approx(alone[0] + alone[1], abs=1e-4)
    column = np.arange(SIZE)
    expected = shift_over_atom(np.abs(column - 70.3) / 60, 0.32, 0.35) / shift_over_atom(np.array(0.0), 0.32, 0.35)
    near = np.abs(column - 70.3) < 40
    assert alone[0][80][near] == pytest.approx(expected[near], abs=2e-3)


def test_weights_tell_classes_apart():
    image, _ = microscope(weights=np.array([1.0, 0.5])).take(
        atoms((40.0, 80.0), (120.0, 80.0), species=(0, 1)), SIZE, np.zeros(SIZE)
    )
    assert image[80, 120] / image[80, 40] == pytest.approx(0.5, abs=0.01)


def test_flux_is_that_of_a_peak_as_curved_as_the_shift_at_its_top():
    afm = microscope()
    image, flux = afm.take(atoms((MIDDLE, MIDDLE)), SIZE, np.zeros(SIZE))
    assert image[80, 81] == pytest.approx(np.exp(-0.5 / afm.width_px**2), abs=2e-3)
    assert flux == pytest.approx(2 * np.pi * afm.width_px**2)


def test_graphene_is_seen_through_a_recipe(tiny_recipe):
    content = tiny_recipe.model_dump()
    content["microscope"] |= {"probe": {"kind": "afm"}}
    drawn = simulate_image(Recipe.model_validate(content), seed=0, index=0)
    on_atoms = drawn.image[np.round(drawn.y).astype(int), np.round(drawn.x).astype(int)]
    assert np.nanmean(on_atoms) > np.nanmean(drawn.image)
    assert (drawn.flux > 0).all()
