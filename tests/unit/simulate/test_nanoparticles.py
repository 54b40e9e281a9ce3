import numpy as np
import pytest

from adatom.errors import RecipeError
from adatom.models.recipe import load_recipe, parse_recipe
from adatom.simulate import simulate_image
from adatom.simulate.nanoparticles import ParticleImage, draw_nanoparticles
from adatom.simulate.particle_recipe import Nanoparticles
from adatom.simulate.particles import Outline


def material(**values) -> Nanoparticles:
    plain = {"kind": "nanoparticles", "coverage": (0.3, 0.3), "radius_nm": (8, 8), "size_spread": (0, 0)}
    return Nanoparticles.model_validate(plain | values)


def draw(seed=0, size=200, **values) -> ParticleImage:
    return draw_nanoparticles(material(**values), size, 1.0, np.random.default_rng(seed))


def test_stated_coverage_and_radius():
    drawn = [draw(seed, elongation=(1, 1), faceting=(0, 0), touching=(0, 0)) for seed in range(6)]
    assert np.mean([(one.instances > 0).mean() for one in drawn]) == pytest.approx(0.3, abs=0.03)
    area = np.bincount(drawn[0].instances.ravel())[1:]
    assert np.median(area[area > 150]) == pytest.approx(np.pi * 8**2, rel=0.03)


def test_touching_ones_have_boundaries_and_others_none():
    apart, together = draw(touching=(0, 0)), draw(touching=(1, 1))
    assert not (apart.label(1.5) == 2).any()
    assert (together.label(1.5) == 2).any()
    assert ((together.label(1.5) > 0) == (together.instances > 0)).all()


def test_boundaries_are_as_wide_as_stated():
    instances = np.zeros((20, 40), np.uint16)
    instances[5:15, 5:20], instances[5:15, 20:35] = 1, 2
    label = ParticleImage(np.zeros((20, 40)), instances).label(2.0)
    assert list(np.flatnonzero(label[10] == 2)) == [18, 19, 20, 21]


@pytest.mark.parametrize("direction", [0.0, 1.0, 2.5, -2.0])
def test_reach_is_where_the_particle_ends(direction):
    one = Outline(np.array([3.0, 4.0]), 10.0, 0.7, 6, 0.8, 0.3, elongation=1.6)
    way = np.array([np.cos(direction), np.sin(direction)])
    inside, outside = one.thickness(one.centre + np.outer([0.999, 1.001], one.reach(direction) * way))
    assert inside > 0 and outside == 0
    assert one.reach(direction) <= 10.0


def test_images_carry_their_instances_and_are_the_same_again():
    recipe = load_recipe("nanoparticles")
    first, again = (simulate_image(recipe, seed=3, index=4) for _ in range(2))
    assert np.array_equal(first.image, again.image) and np.array_equal(first.instances, again.instances)
    assert set(np.unique(first.label)) <= {0, 1, 2}
    assert ((first.label > 0) == (first.instances > 0)).all()
    inside, outside = first.image[first.instances > 0].mean(), first.image[first.instances == 0].mean()
    assert inside > outside


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("defects", {"vacancy": [0, 0.1]}, "vacancy is .* for a material of nanoparticles"),
        (
            "microscope",
            {"probe": {"kind": "pfm", "signal": "amplitude", "tip_nm": [1, 2]}, "counts_per_peak": None},
            "probe of the kind pfm",
        ),
        ("material", {"touching": [0, 2]}, "touching"),
    ],
)
def test_wrong_recipes_are_told(part, change, told):
    recipe = load_recipe("nanoparticles")
    content = recipe.model_dump(mode="json")
    content[part] |= change
    import yaml

    with pytest.raises(RecipeError, match=told):
        parse_recipe(yaml.safe_dump(content))


def test_particles_are_not_localised():
    text = load_recipe("nanoparticles").to_yaml().replace("estimator: Segmenter", "estimator: Localizer")
    with pytest.raises(RecipeError, match="Segmenter for a material of nanoparticles"):
        parse_recipe(text)
