import hashlib

import pytest

import adatom
from adatom.data import make_image
from adatom.models import load_recipe
from adatom.models.choice import choose_model
from adatom.simulate import simulate_image


@pytest.fixture(scope="module")
def crystal(tiny_recipe):
    """The tiny recipe's crystal on 96 x 96 px of 0.07 nm, where the model's working scale is 0.1 nm."""
    microscope = tiny_recipe.microscope.model_copy(
        update={"pixel_size_nm": 0.07, "image_size": 96, "scale": (1.0, 1.0)}
    )
    return simulate_image(tiny_recipe.model_copy(update={"microscope": microscope}), seed=0, index=0).image.astype(
        float
    )


def choose(values, model, *, pixel_size=None, spacing_px=None):
    image = make_image(values, pixel_size=pixel_size)
    return choose_model(image, values, square_factor=1.0, model=model, spacing_px=spacing_px)


@pytest.mark.parametrize("pixel_size", [None, 0.07])
def test_the_scale_is_found_with_and_without_a_calibration(crystal, tiny_model, pixel_size):
    eyes = choose(crystal, tiny_model, pixel_size=pixel_size)
    assert eyes.factor == pytest.approx(0.7, rel=0.1)
    assert 0.3 < eyes.support <= 1


def test_a_known_spacing_sets_the_scale(crystal, tiny_model):
    eyes = choose(crystal, tiny_model, spacing_px=10.0)
    assert eyes.factor == pytest.approx(tiny_model.scale_["spacing_px"] / 10)
    assert eyes.spacing_px == pytest.approx(10.0)


def test_atoms_are_seen_in_pixels_of_the_image(crystal, tiny_model):
    sight = choose(crystal, tiny_model, pixel_size=0.07).see(crystal)
    assert sight.names == ["A", "B"]
    assert sight.peaks.x.max() > 85 and sight.peaks.y.max() > 85
    inner = tiny_model.inner(sight.maps)  # maps go on a little beyond the image
    assert inner.shape[1:] == tuple(round(96 * factor) for factor in sight.maps.factor)


def test_a_model_file_is_known_by_its_hash(crystal, tiny_model, tmp_path):
    path = tmp_path / "m.safetensors"
    tiny_model.save(path)
    eyes = choose(crystal, path, pixel_size=0.07)
    assert eyes.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and eyes.name == str(path)
    assert choose(crystal, tiny_model, pixel_size=0.07).sha256 is None


def test_images_of_lone_atoms_go_to_the_model_that_learned_on_their_like():
    """Heavy atoms on an amorphous support mostly do; isolated atoms of any kind mostly stay where they are."""
    heavy = load_recipe("single_atoms")
    any_kind = load_recipe("any_atoms")
    material = any_kind.material.model_copy(update={"arrangements": {"isolated": 1.0}})
    n_handed_over = []
    for recipe, pixel in (
        (heavy, heavy.microscope.pixel_size_nm),
        (any_kind.model_copy(update={"material": material}), None),
    ):
        images = [make_image(simulate_image(recipe, seed=3, index=k).image, pixel_size=pixel) for k in range(8)]
        names = [adatom.find(image, refine=False).attrs["summary"]["model"] for image in images]
        n_handed_over.append(names.count("single_atoms"))
    assert n_handed_over[0] >= 5 and n_handed_over[1] <= 4
