"""Ferroelectric domains, and what a piezoresponse microscope shows of them."""

import numpy as np
import pytest

from adatom.errors import RecipeError
from adatom.models.recipe import Recipe, load_recipe, parse_recipe
from adatom.simulate import simulate_image
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.domain_recipe import Domains
from adatom.simulate.domains import Polarisation, draw_polarisation
from adatom.simulate.pfm import Pfm

SIZE = 128
NOTHING = np.zeros(0)


def domains(**values) -> Domains:
    plain = {"kind": "domains", "width_nm": (20, 30), "wall_nm": (2, 2), "down_share": (0.4, 0.4)}
    return Domains.model_validate(plain | values)


def two_halves() -> Polarisation:
    """Up on the left, down on the right, with the wall between columns 63 and 64."""
    along = np.arange(SIZE) - 63.5
    profile = np.broadcast_to(np.tanh(-along / 3), (SIZE, SIZE))
    return Polarisation(profile, np.zeros((SIZE, SIZE)), np.where(profile > 0, 1, 2).astype(np.uint8))


def microscope(**values) -> Pfm:
    plain = {"signal": "piezoresponse", "tip_px": 0.5, "in_plane_response": 0.1, "offset": 0.0, "crosstalk": 0.0}
    return Pfm(**(plain | {"lock_in_noise": 0.0, "lag_px": 0.0} | values))


def shown(pfm: Pfm, relief: np.ndarray | None = None) -> np.ndarray:
    specimen = Specimen(NOTHING, NOTHING, NOTHING.astype(int), NOTHING, 1.0, polarisation=two_halves())
    image, flux = pfm.take(specimen, SIZE, np.zeros(SIZE))
    assert flux == 0
    relief = np.zeros((SIZE, SIZE)) if relief is None else relief
    return pfm.detect(image, relief, 1.0, 1.0, np.random.default_rng(0))


@pytest.mark.parametrize("pattern", ["bubbles", "maze", "stripes"])
def test_stated_share_points_down_in_domains_of_the_stated_width(pattern):
    widths = []
    for seed in range(12):
        material = domains(patterns={pattern: 1.0}, width_nm=(16, 16), down_share=(0.5, 0.5))
        drawn = draw_polarisation(material, 256, 1.0, np.random.default_rng(seed))
        assert (drawn.region == 2).mean() == pytest.approx(0.5, abs=0.03)
        changes = sum((np.diff(drawn.region.astype(int), axis=axis) != 0).sum() for axis in (0, 1))
        widths.append(2 * 256**2 / changes)
    # chords in random directions are longer than a domain is wide
    assert 0.8 * 16 < np.median(widths) < 3 * 16


def test_wall_has_the_profile_of_a_tanh():
    material = domains(patterns={"stripes": 1.0}, width_nm=(40, 40), wall_nm=(5, 5), down_share=(0.5, 0.5))
    drawn = draw_polarisation(material, 200, 1.0, np.random.default_rng(3))
    slope = np.hypot(*np.gradient(np.arctanh(np.clip(drawn.out_of_plane, -0.999, 0.999))))
    near = np.abs(drawn.out_of_plane) < 0.8
    assert np.median(slope[near]) == pytest.approx(1 / 5, rel=0.1)


def test_lamellae_take_the_stated_share_and_the_polarisation_keeps_its_length():
    material = domains(in_plane_share=(0.2, 0.2), in_plane_width_nm=(8, 12))
    drawn = [draw_polarisation(material, SIZE, 1.0, np.random.default_rng(seed)) for seed in range(8)]
    assert all(0.2 <= (one.region == 3).mean() < 0.4 for one in drawn)
    for one in drawn:
        inside = np.abs(one.in_plane) > 0.99
        assert (one.region[inside] == 3).all() and np.abs(one.out_of_plane[inside]).max() < 0.2
        assert (one.out_of_plane**2 + one.in_plane**2).max() <= 1 + 1e-9


def test_labels_leave_out_walls_to_the_stated_distance():
    label = two_halves().label(2.0)
    assert (label[:, :62] == 1).all() and (label[:, 62:66] == 0).all() and (label[:, 66:] == 2).all()


def test_phase_turns_by_pi_and_amplitude_vanishes_at_a_wall():
    phase, amplitude = shown(microscope(signal="phase")), shown(microscope(signal="amplitude"))
    assert phase[:, :60] == pytest.approx(0) and phase[:, 70:] == pytest.approx(1)
    assert amplitude[:, [20, 100]] == pytest.approx(1, abs=1e-3) and amplitude[:, 63:65].max() < 0.2
    assert shown(microscope()) == pytest.approx(amplitude * np.cos(np.pi * phase))


def test_offset_takes_amplitude_from_one_kind_and_gives_it_to_the_other():
    amplitude = shown(microscope(signal="amplitude", offset=0.3))
    assert amplitude[64, 20] == pytest.approx(1.3, abs=1e-3) and amplitude[64, 100] == pytest.approx(0.7, abs=1e-3)


def test_relief_shows_by_crosstalk_only():
    relief = np.ones((SIZE, SIZE))
    assert shown(microscope(), relief) == pytest.approx(shown(microscope()))
    assert shown(microscope(crosstalk=0.2), relief) == pytest.approx(shown(microscope()) + 0.2)


def test_tip_blurs_the_wall():
    sharp, blunt = (np.abs(np.gradient(shown(microscope(tip_px=width))[64])).max() for width in (0.5, 6.0))
    assert blunt < 0.6 * sharp


def test_image_and_labels_of_the_recipe_agree():
    recipe = load_recipe("domains")
    for index in range(6):
        drawn = simulate_image(recipe, seed=1, index=index)
        assert not len(drawn.x) and recipe.material.classes == ("up", "down", "in_plane")
        up, down = (np.mean(drawn.image[drawn.label == k]) for k in (1, 2))
        assert up - down > 1


def test_images_are_the_same_again():
    first, again = (simulate_image(load_recipe("domains"), seed=2, index=5) for _ in range(2))
    assert (first.image == again.image).all() and (first.label == again.label).all()


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("material", {"patterns": {"circles": 1.0}}, "patterns"),
        ("material", {"patterns": {"maze": 0.0}}, "patterns has a positive weight"),
        ("material", {"down_share": [0.5, 1.5]}, "down_share"),
        ("defects", {"vacancy": [0, 0.1]}, "vacancy is"),
        ("microscope", {"probe": None, "peak_width_nm": [1, 2]}, "a probe of the kind pfm"),
    ],
)
def test_wrong_recipe_of_domains_is_told(part, change, told):
    content = load_recipe("domains").model_dump(mode="json")
    content[part] |= change
    with pytest.raises(ValueError, match=told):
        Recipe.model_validate(content)


def test_domains_are_not_localised():
    with pytest.raises(RecipeError, match="Segmenter"):
        parse_recipe(load_recipe("domains").to_yaml().replace("estimator: Segmenter", "estimator: Localizer"))
