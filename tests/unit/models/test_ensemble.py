"""Several models that answer together: what they say, what they keep, and files that are not theirs."""

import json
import struct

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import adatom
from adatom.data import make_image
from adatom.errors import ArgumentError, ModelFileError, TrainingError
from adatom.locate import match_positions
from adatom.models import Ensemble, Localizer
from adatom.models.header import sealed
from adatom.models.symmetry import SYMMETRIES
from adatom.simulate import simulate_image

DOUBTS = ["n_members", "probability_std", "x_std_data", "y_std_data", "x_std_model", "y_std_model"]


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    return tiny_recipe.model_copy(update={"estimator": "Localizer"})


@pytest.fixture(scope="module")
def learned(recipe, tmp_path_factory):
    """Two localizers that have learned the tiny recipe, and the folder that they were trained in."""
    folder = tmp_path_factory.mktemp("learned")
    return Ensemble(n_members=2).fit(recipe, checkpoint=folder), folder


@pytest.fixture(scope="module")
def brief(brief_recipe):
    """One of each kind, barely trained."""
    return {kind: Ensemble(n_members=2, kind=kind).fit(brief_recipe) for kind in ("seeds", "trunk", "swag", "symmetry")}


@pytest.fixture(scope="module")
def drawn(recipe):
    return simulate_image(recipe, seed=99, index=0)


@pytest.fixture(scope="module")
def image(drawn):
    return make_image(drawn.image.astype(float), pixel_size=0.1)


# ---------------------------------------------------------------- what it says


def test_an_ensemble_finds_the_atoms_and_says_what_it_does_not_know(learned, drawn, image):
    ensemble, _ = learned
    atoms = ensemble.predict(image)
    found = atoms[["x", "y"]].to_numpy() / 0.1
    match = match_positions(found, np.column_stack([drawn.x, drawn.y]), tolerance=2.5)
    assert match.f1 > 0.8
    assert set(DOUBTS) <= set(atoms.columns) and {"entropy_data", "entropy_model"} <= set(atoms.columns)
    assert atoms["n_members"].between(1, 2).all()
    assert (atoms["x_std_data"] > 0).all() and (atoms["x_std"] < 0.2).all()  # nm
    total = np.hypot(atoms["x_std_data"], atoms["x_std_model"].fillna(0))
    np.testing.assert_allclose(atoms["x_std"], total)


def test_the_first_member_is_the_model_that_would_be_trained_alone(brief, brief_recipe):
    alone = Localizer().fit(brief_recipe).net_.state_dict()
    first, second = (member.net_.state_dict() for member in brief["seeds"].members_)
    assert all(torch.equal(alone[name], first[name]) for name in alone)
    assert not all(torch.equal(alone[name], second[name]) for name in alone)


def test_find_takes_an_ensemble_and_its_file(learned, image, tmp_path):
    ensemble, _ = learned
    atoms = adatom.find(image, model=ensemble, coverage=0.9)
    assert set(DOUBTS) <= set(atoms.columns) and len(atoms) > 10
    assert set(atoms["species_set"]) <= {"", "A", "B", "A|B", "B|A"}
    ensemble.save(tmp_path / "e.safetensors")
    again = adatom.find(image, model=tmp_path / "e.safetensors")
    np.testing.assert_allclose(again["x"], atoms["x"])


def test_a_movie_with_an_empty_frame_is_searched(learned, image):
    ensemble, _ = learned
    frames = np.stack([np.ones(image.shape), image.to_numpy()])
    movie = xr.concat([image.copy(data=frame) for frame in frames], dim="frame").assign_coords(frame=[0, 1])
    movie["frame"].attrs["units"] = ""
    atoms = ensemble.predict(movie)
    assert set(atoms["frame"]) == {1}


def test_maps_are_means_and_their_doubts_add_up(learned, image):
    ensemble, _ = learned
    doubts = ensemble.predict_uncertainty(image)
    members = [member.predict_maps(image).to_numpy() for member in ensemble.members_]
    np.testing.assert_allclose(doubts["probability"], np.mean(members, axis=0), atol=1e-4)
    np.testing.assert_allclose(doubts["probability_std"], np.std(members, axis=0), atol=1e-4)
    mean = np.mean(members, axis=0)
    total = -(mean * np.log(np.clip(mean, 1e-7, 1))).sum(axis=0)
    np.testing.assert_allclose(doubts["entropy_data"] + doubts["entropy_model"], total, atol=2e-3)
    assert ensemble.predict_maps(image).equals(doubts["probability"])


def test_one_model_from_eight_sides_gives_a_turned_image_the_turned_atoms(learned, drawn):
    ensemble = Ensemble.of(learned[0].members_[:1], kind="symmetry")
    values = drawn.image.astype(float)
    # those that are sure: at the limit rounding decides
    plain = ensemble.peaks(ensemble.look(values, (1.0, 1.0)), min_probability=0.9)
    assert (plain.n_members <= 8).all() and plain.n_members.max() == 8
    for symmetry in SYMMETRIES[1::3]:
        seen = ensemble.peaks(ensemble.look(symmetry.turned(values).copy(), (1.0, 1.0)), min_probability=0.9)
        back = symmetry.peaks_back(seen, values.shape)
        match = match_positions(np.column_stack([back.x, back.y]), np.column_stack([plain.x, plain.y]), tolerance=0.05)
        assert match.f1 > 0.97


def test_a_trunk_gives_what_its_members_give(brief, image):
    shared = brief["trunk"]
    apart = Ensemble.of(shared.members_, kind="seeds")
    apart.calibration_, apart.calibrated_ = shared.calibration_, shared.calibrated_
    first, second = (each.predict_maps(image) for each in (shared, apart))
    np.testing.assert_allclose(first, second, atol=0.02)


def test_members_of_each_kind_differ_but_those_of_a_symmetry(brief):
    assert {kind: len(ensemble.members_) for kind, ensemble in brief.items()} == {
        "seeds": 2,
        "trunk": 2,
        "swag": 2,
        "symmetry": 1,
    }
    for kind in ("seeds", "trunk", "swag"):
        first, second = (member.net_.state_dict() for member in brief[kind].members_)
        assert not all(torch.equal(first[name], second[name]) for name in first)


def test_segmenters_make_an_ensemble_too(brief_recipe, image):
    ensemble = Ensemble(estimator="Segmenter", n_members=2).fit(brief_recipe)
    assert "probability" in ensemble.predict(image)
    assert ensemble.predict_maps(image).dims == ("class", "y", "x")


@pytest.mark.parametrize("calibrate", ["after", "before"])
def test_probabilities_come_true_whichever_way_they_are_calibrated(learned, recipe, calibrate):
    ensemble = Ensemble(n_members=2, calibrate=calibrate).fit(recipe, checkpoint=learned[1], resume=True)
    assert ensemble.figures_["val_calibration_error"] < 0.2
    assert 0.6 < ensemble.figures_["val_score_std"] < 1.6


# ---------------------------------------------------------------- training


def test_a_finished_member_is_not_trained_again(brief_recipe, tmp_path):
    Ensemble(n_members=1).fit(brief_recipe, checkpoint=tmp_path)
    trained = set()
    ensemble = Ensemble(n_members=2)
    ensemble.fit(brief_recipe, checkpoint=tmp_path, resume=True, on_record=lambda record: trained.add(record["member"]))
    assert trained == {"member1"} and len(ensemble.members_) == 2


def test_a_folder_of_another_training_is_not_resumed(learned, recipe):
    _, folder = learned
    with pytest.raises(TrainingError, match=r"resume: expected the training of .*member0"):
        Ensemble(n_members=2, width=6).fit(recipe, checkpoint=folder, resume=True)


def test_processes_train_the_same_members(brief_recipe, brief, tmp_path):
    records = []
    parallel = Ensemble(n_members=2).fit(brief_recipe, checkpoint=tmp_path, jobs=2, on_record=records.append)
    assert {record["member"] for record in records} == {"member0", "member1"}
    for mine, its in zip(parallel.members_, brief["seeds"].members_, strict=True):
        for first, second in zip(mine.net_.state_dict().values(), its.net_.state_dict().values(), strict=True):
            # to rounding, which training enlarges: the number of threads differs
            torch.testing.assert_close(first, second, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "given", [{"kind": "forest"}, {"n_members": 0}, {"estimator": "Ensemble"}, {"estimator": "x"}, {"calibrate": "no"}]
)
def test_arguments_that_make_no_sense_are_named(brief_recipe, given):
    with pytest.raises(ArgumentError, match=f"{next(iter(given))}: expected"):
        Ensemble(**given).fit(brief_recipe)


def test_models_that_do_not_belong_together_are_no_ensemble(brief_recipe, tiny_model):
    with pytest.raises(ArgumentError, match="members: expected"):
        Ensemble.of([tiny_model, Localizer().fit(brief_recipe)])
    with pytest.raises(ArgumentError, match="members: expected"):
        Ensemble.of([])


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("kind", ["seeds", "trunk", "swag", "symmetry"])
def test_each_kind_comes_back_from_its_file(brief, image, tmp_path, kind):
    path = tmp_path / "e.safetensors"
    brief[kind].save(path)
    loaded = adatom.load(path)
    assert isinstance(loaded, Ensemble) and loaded.header() == brief[kind].header()
    assert loaded.predict(image).equals(brief[kind].predict(image))
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_trunk_is_stored_once(brief, tmp_path):
    for kind in ("seeds", "trunk"):
        brief[kind].save(tmp_path / kind)
    names = set(load_tensors((tmp_path / "trunk").read_bytes()))
    assert any(name.startswith("shared/down") for name in names)
    assert not any(name.startswith("member1/down") for name in names)
    assert (tmp_path / "trunk").stat().st_size < 0.8 * (tmp_path / "seeds").stat().st_size


def taken_apart(path) -> tuple[dict, dict]:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["adatom"]), load_tensors(content)


def without_a_member(header, tensors):
    header["members"] = header["members"][:1]


def one_member_more(header, tensors):
    header["members"] = [*header["members"], header["members"][0]]


def no_members(header, tensors):
    header["members"] = []


def no_list_of_members(header, tensors):
    header["members"] = 3


def a_member_that_is_no_header(header, tensors):
    header["members"][1] = {"name": "x"}


def a_member_of_other_classes(header, tensors):
    header["members"][1]["classes"] = ["A", "C"]


def members_of_an_unknown_kind(header, tensors):
    header["estimator"] = "Ensemble"


def an_unknown_form(header, tensors):
    header["form"] = "forest"


def a_trunk_that_is_none(header, tensors):
    header["form"] = "trunk"


def a_missing_weight(header, tensors):
    del tensors["member1/head.weight"]


def a_weight_too_many(header, tensors):
    tensors["member7/head.weight"] = tensors["member1/head.weight"]


def a_shared_weight(header, tensors):
    tensors["shared/head.weight"] = tensors.pop("member1/head.weight")


def weights_that_are_not_numbers(header, tensors):
    tensors["member1/head.weight"] = np.full_like(tensors["member1/head.weight"], np.nan)


def scores_in_no_order(header, tensors):
    header["conformal"] = {"n": 10, "scores": [0.5, 0.1]}


@pytest.mark.parametrize(
    "spoil",
    [
        without_a_member,
        one_member_more,
        no_members,
        no_list_of_members,
        a_member_that_is_no_header,
        a_member_of_other_classes,
        members_of_an_unknown_kind,
        an_unknown_form,
        a_trunk_that_is_none,
        a_missing_weight,
        a_weight_too_many,
        a_shared_weight,
        weights_that_are_not_numbers,
        scores_in_no_order,
    ],
)
def test_a_file_that_somebody_made_up_is_refused_in_one_sentence(brief, tmp_path, spoil):
    path = tmp_path / "e.safetensors"
    brief["seeds"].save(path)
    header, tensors = taken_apart(path)
    spoil(header, tensors)
    path.write_bytes(save_tensors(tensors, metadata={"adatom": json.dumps(sealed(header, tensors))}))
    with pytest.raises(ModelFileError, match=r"^model: e.safetensors is damaged") as error:
        adatom.load(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
