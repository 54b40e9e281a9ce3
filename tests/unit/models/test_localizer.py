"""The localizer on an easy honeycomb: what it says of its atoms, and whether that is right."""

import numpy as np
import pytest

import adatom as ad
from adatom.data import make_image
from adatom.data.training_set import open_training_set
from adatom.errors import ModelFileError, ShapeError
from adatom.locate import match_positions
from adatom.models import Localizer, load
from adatom.models.evaluation import evaluate_model
from adatom.models.simulated_set import write_simulated_set
from adatom.simulate.other_things import draw_other_thing


@pytest.fixture(scope="module")
def model(tiny_recipe) -> Localizer:
    """Nobody may change it."""
    update = {"steps": 900, "validate_every": 300, "validation_images": 32, "learning_rate": 0.01}
    training = tiny_recipe.training.model_copy(update=update)
    return Localizer(width=8).fit(tiny_recipe.model_copy(update={"training": training}))


@pytest.fixture(scope="module")
def data(tiny_recipe, tmp_path_factory):
    store = tmp_path_factory.mktemp("test") / "tiny.zarr"
    write_simulated_set(tiny_recipe, store, n=48, seed=77)
    return open_training_set(store).load()


def known_atoms(data, index: int):
    mine = (data["atom_sample"] == index).to_numpy()
    return np.column_stack([data["atom_x"][mine], data["atom_y"][mine]]), data["atom_species"].to_numpy()[mine]


def test_atoms_their_species_and_their_places_are_learned(model, data):
    figures = evaluate_model(model, data)
    assert figures["f1"] > 0.95 and figures["class_accuracy"] > 0.95
    assert figures["position_rms_px"] < 0.5


def test_what_it_states_of_atoms_it_has_not_seen_is_right(model, data):
    """Probabilities are shares of right finds; errors are as large as their error bars say."""
    figures = evaluate_model(model, data)
    assert figures["calibration_error"] < 0.08
    assert figures["score_std"] == pytest.approx(1.0, abs=0.2)


def test_the_atoms_of_an_image_come_as_a_table_in_its_own_unit(model, data):
    image = make_image(data["image"][0].to_numpy(), pixel_size=0.1)
    atoms = model.predict(image)
    known, species = known_atoms(data, 0)
    match = match_positions(atoms[["x", "y"]].to_numpy(), 0.1 * known, tolerance=0.1)
    assert match.recall > 0.9 and match.precision > 0.9
    assert (atoms["species"].to_numpy()[match.found] == np.array(["A", "B"])[species[match.known]]).mean() > 0.9
    assert atoms.attrs["units"] == "nm" and atoms.attrs["image_shape"] == (48, 48)
    assert atoms["probability"].between(0.5, 1).all()
    assert (atoms[["x_std", "y_std", "flux"]] > 0).all(axis=None) and atoms["x_std"].max() < 0.1


def test_a_brighter_image_of_the_same_atoms_has_as_much_more_flux(model, data):
    values = data["image"][0].to_numpy()
    atoms, brighter = (model.predict(make_image(factor * values + 3, pixel_size=0.1)) for factor in (1, 7))
    assert len(atoms) == len(brighter)
    np.testing.assert_allclose(brighter["flux"], 7 * atoms["flux"], rtol=1e-3)


def test_the_flux_is_the_volume_of_the_peak(model, data):
    image = data["image"][1].to_numpy()
    peaks = model.peaks(model.look(image, (1.0, 1.0))).within(np.isfinite(image))
    known, _ = known_atoms(data, 1)
    match = match_positions(np.column_stack([peaks.x, peaks.y]), known, tolerance=1.5)
    true = data["atom_flux"].to_numpy()[(data["atom_sample"] == 1).to_numpy()][match.known]
    assert np.median(np.abs(peaks.flux[match.found] / true - 1)) < 0.25


def test_frames_are_looked_at_one_by_one(model, data):
    frames = data["image"][:2].to_numpy()
    movie = make_image(frames, pixel_size=0.1)
    atoms = model.predict(movie)
    assert set(atoms["frame"]) == {0, 1}
    alone = model.predict(make_image(frames[1], pixel_size=0.1))
    np.testing.assert_allclose(atoms[atoms["frame"] == 1][["x", "y"]], alone[["x", "y"]], atol=1e-4)
    with pytest.raises(ShapeError, match=r"expected \(y, x\) or \(frame, y, x\)"):
        model.predict(movie.rename(frame="energy"))


def test_maps_are_probabilities_for_whoever_asks_for_them(model, data):
    image = make_image(data["image"][0].to_numpy(), pixel_size=0.1)
    maps = model.predict_maps(image)
    assert maps.dims == ("class", "y", "x") and maps["class"].to_numpy().tolist() == ["background", "A", "B"]
    np.testing.assert_allclose(maps.sum("class"), 1, atol=1e-5)
    atoms = model.predict(image)
    at_atoms = maps.sel(x=atoms["x"].to_xarray(), y=atoms["y"].to_xarray(), method="nearest").sel(
        {"class": "background"}
    )
    assert float(at_atoms.median()) < 0.3


def test_an_image_of_nothing_has_no_atoms(model):
    assert len(model.predict(make_image(np.ones((30, 40)), pixel_size=0.1))) == 0


def test_images_like_the_training_are_familiar_and_others_are_not(model, data):
    seen = [model.unfamiliarity(image, 1.0) for image in data["image"].to_numpy()]
    assert np.mean(np.array(seen) < 0.5) > 0.85
    rng = np.random.default_rng(3)
    others = [model.unfamiliarity(draw_other_thing(48, rng), 1.0) for _ in range(20)]
    assert np.mean(np.array(others) > 0.5) > 0.85
    assert model.unfamiliarity(np.zeros((48, 48)), 1.0) is None


def test_all_that_it_learned_comes_back_from_its_file(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    loaded = ad.load(tmp_path / "m.safetensors")
    assert loaded.calibration_ == model.calibration_
    np.testing.assert_array_equal(loaded.familiarity_.weights, model.familiarity_.weights)
    assert loaded.familiarity_.offset == model.familiarity_.offset


@pytest.mark.parametrize("beside", [{"familiarity": np.zeros((2, 3))}, {"familiarity": np.zeros(1)}, {"x": np.ones(9)}])
def test_a_file_whose_familiarity_is_not_whole_is_refused(model, tmp_path, monkeypatch, beside):
    monkeypatch.setattr(type(model), "_beside", lambda self: beside)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="what it knows of its training images is not whole"):
        ad.load(tmp_path / "m.safetensors")


def test_a_stored_set_teaches_it_as_well(tiny_store):
    settings = {"steps": 4, "batch_size": 2, "validate_every": 2, "validation_images": 2, "seed": 1}
    fitted = Localizer(width=4, depth=2, training=settings).fit(tiny_store)
    assert fitted.recipe_ is None and fitted.familiarity_ is None and len(fitted.history_) == 4


def test_find_says_how_sure_each_species_is(model, data):
    atoms = ad.find(make_image(data["image"][0].to_numpy(), pixel_size=0.1), model=model)
    assert set(atoms["species"]) == {"A", "B"} and atoms["species_probability"].between(0.5, 1).all()


def test_half_precision_halves_the_file_and_moves_nothing(model, tmp_path):
    model.save(tmp_path / "whole.safetensors")
    model.save(tmp_path / "half.safetensors", half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.75 * sizes[0]
    values = np.random.default_rng(0).normal(size=(48, 48))
    whole, half = (load(tmp_path / f"{name}.safetensors") for name in ("whole", "half"))
    seen = [each.look(values, (1.0, 1.0)).values for each in (whole, half)]
    assert np.abs(seen[0] - seen[1]).max() < 0.05 * np.abs(seen[0]).max()
