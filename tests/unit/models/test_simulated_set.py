import numpy as np
import pytest

from adatom.data.training_set import open_training_set
from adatom.errors import ArgumentError, FileFormatError
from adatom.models import load_recipe
from adatom.models.batches import SimulatedSamples
from adatom.models.recipe import parse_recipe
from adatom.models.simulated_set import write_simulated_set
from adatom.models.starting_recipe import recipe_of
from adatom.simulate.structure_recipe import Structure


def test_a_stored_set_holds_the_images_their_truth_and_their_recipe(brief_recipe, tmp_path):
    told: list[int] = []
    n_atoms = write_simulated_set(brief_recipe, tmp_path / "s.zarr", n=3, seed=4, on_image=told.append)
    data = open_training_set(tmp_path / "s.zarr")
    assert data["image"].shape == data["label"].shape == (3, 32, 32)
    assert data.sizes["atom"] == n_atoms and told == [1, 2, 3]
    assert data.attrs["classes"] == ["A", "B"] and data.attrs["seed"] == 4
    assert data.attrs["pixel_size_nm"] == 0.1 and data.attrs["label_radius_px"] == pytest.approx(2.0)
    assert parse_recipe(data.attrs["recipe"]) == brief_recipe


def test_the_same_seed_gives_the_same_set_and_another_seed_another(brief_recipe, tmp_path):
    sets = []
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        write_simulated_set(brief_recipe, tmp_path / name, n=2, seed=seed)
        sets.append(open_training_set(tmp_path / name).load())
    assert sets[0].identical(sets[1]) and not sets[0]["image"].equals(sets[2]["image"])


def test_a_stored_set_shares_no_image_with_a_training_of_the_same_seed(brief_recipe, tmp_path):
    write_simulated_set(brief_recipe, tmp_path / "s.zarr", n=4, seed=1)
    stored = {image.tobytes() for image in open_training_set(tmp_path / "s.zarr")["image"].to_numpy()}
    source = SimulatedSamples(brief_recipe, batch_size=4, seed=1, prepare=lambda image: (image, 1.0), multiple=1)
    trained = [image[0].numpy() for step in (1, 2, 3) for image in source.batch(step)[0]]
    validated = [sample.image.astype(np.float32) for sample in source.validation(8)]
    assert not any(image.tobytes() in stored for image in trained + validated)


def test_a_store_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "s.zarr").mkdir()
    with pytest.raises(ArgumentError, match="out: expected a store that is not there yet, got"):
        write_simulated_set(load_recipe("si111_7x7"), tmp_path / "s.zarr", n=2)
    assert list((tmp_path / "s.zarr").iterdir()) == []


def test_a_simulation_that_is_stopped_goes_on_to_the_images_it_would_have_had(brief_recipe, tmp_path):
    def stop(done):
        if done == 18:
            raise KeyboardInterrupt

    store = tmp_path / "s.zarr"
    with pytest.raises(KeyboardInterrupt):
        write_simulated_set(brief_recipe, store, n=20, on_image=stop)
    with pytest.raises(FileFormatError, match=r"16 of 20 images are written.*--resume"):
        open_training_set(store)
    with pytest.raises(ArgumentError, match="same seed"):
        write_simulated_set(brief_recipe, store, n=20, seed=1, resume=True)
    told: list[int] = []
    write_simulated_set(brief_recipe, store, n=20, resume=True, on_image=told.append)
    assert told == [17, 18, 19, 20]
    write_simulated_set(brief_recipe, tmp_path / "whole.zarr", n=20)
    assert open_training_set(store).load().identical(open_training_set(tmp_path / "whole.zarr").load())


def test_defects_and_particles_are_stored_with_what_they_are_called(tmp_path):
    material = Structure(
        kind="structure",
        structure="Au",
        point_defects=[{"name": "Ag_Au", "site": "Au", "becomes": {"Ag": 1}, "share": [0.2, 0.2]}],
        particles={"number": [15, 15], "radius_nm": [0.7, 0.9]},
    )
    recipe = recipe_of(material, "particles")
    write_simulated_set(recipe, tmp_path / "set.zarr", n=3, seed=1)
    data = open_training_set(tmp_path / "set.zarr").load()
    assert data.attrs["defects"] == ["Ag_Au"]
    assert data["instance"].dims == ("sample", "y", "x") and data["instance"].max() > 2
    defect, species = data["atom_defect"].to_numpy(), data["atom_species"].to_numpy()
    assert set(defect) == {0, 1}
    np.testing.assert_array_equal(defect == 1, species == data.attrs["classes"].index("Ag_Au"))
    where = np.array([data["atom_sample"], np.round(data["atom_y"]), np.round(data["atom_x"])]).astype(int)
    assert (data["instance"].to_numpy()[tuple(where)] > 0).mean() > 0.9
