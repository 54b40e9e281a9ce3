import random

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import adatom as ad
from adatom.errors import ArgumentError, ModelFileError, ShapeError, UnitError
from adatom.models import VariationalAutoencoder

N = 24
RNG = np.random.default_rng(0)
PATCHES = RNG.normal(size=(N, 10, 10)) + 3 * np.eye(10)
WIDE = RNG.normal(size=(N, 8, 12)) + 3 * np.eye(8, 12)
COLOURED = RNG.normal(size=(N, 10, 10, 2)) + np.eye(10)[..., None]
SPECTRA = RNG.normal(size=(N, 30)) + np.arange(30)
CLASSES = np.arange(N) % 2
SOME = np.where(np.arange(N) < 8, CLASSES, -1)
NUMBERS = np.where(np.arange(N) < 12, np.linspace(5, 9, N), np.nan)
EVERYTHING = ("rotation", "translation", "scale")
# name -> arguments, patches, labels, columns without deviations
VARIANTS = {
    "plain": ({"invariances": ()}, WIDE, None, ["z1", "z2"]),
    "rotation": ({"invariances": ("rotation",), "angle_std": 0.5}, PATCHES, None, ["angle", "z1", "z2"]),
    "translation": ({"invariances": ("translation",)}, WIDE, None, ["shift_x", "shift_y", "z1", "z2"]),
    "all": (
        {"invariances": EVERYTHING, "latent": 1, "capacity": (5.0, 0.5, 2.0)},
        COLOURED,
        None,
        ["angle", "shift_x", "shift_y", "scale", "z1"],
    ),
    "classes": ({"invariances": ("scale",), "classes": 2}, PATCHES, CLASSES, ["scale", "z1", "z2", "class"]),
    "some labels": ({"invariances": (), "classes": ["a", "b"]}, PATCHES, SOME, ["z1", "z2", "class"]),
    "kinds": ({"invariances": ("rotation",), "kinds": 3, "angle_std": 0.5}, PATCHES, None, ["angle", "z1", "kind"]),
    "numbers": ({"invariances": ("translation",), "numbers": True}, PATCHES, NUMBERS, ["value", "z1", "z2"]),
    "spectra": ({"invariances": ("translation", "scale"), "noise": 0.5}, SPECTRA, None, ["shift", "scale", "z1"]),
}
every_variant = pytest.mark.parametrize("name", VARIANTS)


def brief(name, **arguments):
    settings = {"width": 16, "filters": 4, "random_state": 1, "device": "cpu"}
    settings["training"] = {"steps": 8, "batch_size": 8, "validate_every": 4}
    return VariationalAutoencoder(**{**settings, **VARIANTS[name][0], **arguments})


def weights(model):
    return {name: value.clone() for name, value in model.net_.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def models():
    return {name: brief(name).fit(VARIANTS[name][1], VARIANTS[name][2]) for name in VARIANTS}


# ---------------------------------------------------------------- every variant


@every_variant
def test_the_table_names_what_it_says(models, name):
    table = models[name].encode(VARIANTS[name][1])
    columns = VARIANTS[name][3]
    assert len(table) == N and set(columns) <= set(table)
    assert {f"{each}_std" for each in columns if each not in ("class", "kind")} <= set(table)
    assert np.isfinite(table.select_dtypes("number").to_numpy()).all()
    assert table.attrs["units"] == "px"
    if "angle" in table:
        assert table["angle"].abs().max() <= np.pi


@every_variant
def test_decode_takes_what_encode_gives(models, name):
    patches = VARIANTS[name][1]
    drawn = models[name].decode(models[name].encode(patches))
    assert drawn.shape == patches.shape and drawn.dims[0] == "sample"
    again = models[name].encode(drawn)  # what the model drew, it knows: no worse than what it was drawn after
    assert np.mean((models[name].decode(again) - drawn) ** 2) < np.mean((patches - drawn) ** 2)


@every_variant
def test_a_model_comes_back_from_its_file_as_it_went_in(models, name, tmp_path):
    path = tmp_path / "m.safetensors"
    models[name].save(path)
    loaded = ad.load(path)
    table = models[name].encode(VARIANTS[name][1])
    pd.testing.assert_frame_equal(loaded.encode(VARIANTS[name][1]), table)
    assert loaded.decode(table).identical(models[name].decode(table))
    assert loaded.header() == models[name].header()
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@every_variant
def test_a_patch_is_judged_alone(models, name):
    patches = VARIANTS[name][1]
    together, alone = models[name].encode(patches), models[name].encode(patches[5:6])
    for column in together.select_dtypes("number"):
        np.testing.assert_allclose(alone[column], together[column][5:6], rtol=2e-2, atol=2e-2, err_msg=column)


@every_variant
def test_the_same_seed_gives_the_same_model(models, name):
    torch.rand(3)
    again = brief(name).fit(VARIANTS[name][1], VARIANTS[name][2])
    assert same(weights(models[name]), weights(again))
    other = brief(name, random_state=2).fit(VARIANTS[name][1], VARIANTS[name][2])
    assert not same(weights(models[name]), weights(other))


@every_variant
def test_a_manifold_is_drawn(models, name):
    grid = models[name].manifold(3)
    assert grid.dims[:2] == ("row", "column") and grid.shape[:2] == (3, 3)
    assert np.isfinite(grid).all()


# ---------------------------------------------------------------- training


def test_a_stopped_fit_goes_on_as_if_nothing_had_happened(models, tmp_path):
    def stop(record):
        if record["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        brief("kinds").fit(PATCHES, checkpoint=tmp_path / "c.safetensors", on_record=stop)
    resumed = brief("kinds").fit(PATCHES, checkpoint=tmp_path / "c.safetensors", resume=True)
    assert same(weights(resumed), weights(models["kinds"]))


def test_the_users_session_is_left_alone(tmp_path):
    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    model = brief("all").fit(COLOURED)
    model.encode(COLOURED)
    model.manifold(2)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002


def test_a_default_dtype_of_the_users_own_changes_nothing(models):
    torch.set_default_dtype(torch.float64)
    try:
        model = brief("kinds").fit(PATCHES)
        table = model.encode(PATCHES)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(weights(model), weights(models["kinds"]))
    pd.testing.assert_frame_equal(table, models["kinds"].encode(PATCHES))


def test_classes_that_are_numbers_stay_numbers(models):
    table = models["classes"].encode(PATCHES, CLASSES)
    assert (table["class"] == CLASSES).all() and np.allclose(table["class_1"], CLASSES)


def test_the_bound_is_that_of_patches_in_their_own_unit(models):
    """Ten times larger values with ten times the noise: each pixel's density is a tenth."""
    small, large = (brief("plain", noise=each).fit(each * WIDE).score(each * WIDE) for each in (1.0, 10.0))
    assert large == pytest.approx(small - 96 * np.log(10), abs=0.5)


def test_pose_may_be_left_out_of_what_is_decoded(models):
    table = models["all"].encode(COLOURED)
    upright = models["all"].decode(table[["z1"]])
    at_rest = table.assign(angle=0.0, shift_x=0.0, shift_y=0.0, scale=1.0)
    np.testing.assert_allclose(upright, models["all"].decode(at_rest))


# ---------------------------------------------------------------- what is wrong is said


@pytest.mark.parametrize(
    ("patches", "error", "message"),
    [
        (PATCHES[0, 0], ShapeError, r"patches: expected \(sample, y, x\).*got shape \(10,\)"),
        (PATCHES[:1], ArgumentError, "patches: expected at least 2, got 1"),
        (np.ones((5, 10, 10)), ArgumentError, "expected values that vary"),
        (np.where(np.arange(N)[:, None, None] == 3, np.nan, PATCHES), ArgumentError, "NaN or infinity in 1 of 24.* 3"),
        (WIDE, ShapeError, "expected square ones for rotations, got 8 x 12 px"),
        (PATCHES[:, :2, :2], ShapeError, "at least 4 x 4 px"),
        (np.array(["a", "b"]).reshape(2, 1, 1), ArgumentError, "expected real numbers"),
    ],
)
def test_patches_that_are_none(patches, error, message):
    with pytest.raises(error, match=message):
        brief("rotation").fit(patches)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"invariances": "rotation"}, "invariances: expected some of"),
        ({"invariances": ("mirror",)}, "invariances: expected some of"),
        ({"latent": 0}, "latent: expected a whole number of at least 1"),
        ({"kinds": 1}, "kinds: expected 2 to 256, got 1"),
        ({"kinds": 2, "classes": 2}, "expected none beside classes"),
        ({"noise": 0.0}, "noise: expected a positive number"),
        ({"angle_std": -1.0}, "angle_std: expected a positive number"),
        ({"beta": 0.0}, "beta: expected a positive number or"),
        ({"capacity": (1.0, 2.0, 3.0)}, "capacity: expected"),
        ({"shift_std_nm": 0.1}, "shift_std_nm: expected patches with coordinates in nm"),
        ({"training": {"stesp": 3}}, "training: "),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        brief("rotation", **arguments).fit(PATCHES)


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("classes", None, "labels: expected the class of each patch"),
        ("classes", CLASSES[:5], "labels: expected 24, one a patch"),
        ("classes", CLASSES + 1, "labels: expected numbers of classes from 0 to 1"),
        ("some labels", np.array(["a", "c"] * 12), "labels: expected one of a, b, or '', got 'c'"),
        ("numbers", np.full(N, np.nan), "labels: expected at least two different numbers, got 0 known"),
        ("plain", CLASSES, "labels: expected none, got some"),
    ],
)
def test_labels_that_make_no_sense(name, labels, message):
    with pytest.raises(ArgumentError, match=message):
        brief(name).fit(VARIANTS[name][1], labels)


def test_other_patches_than_those_of_the_training(models):
    with pytest.raises(ShapeError, match=r"expected 10 x 10 px, as in the training, got 8 x 12 px"):
        models["rotation"].encode(WIDE)
    with pytest.raises(ShapeError, match="30 points"):
        models["spectra"].encode(PATCHES)
    coords = {dim: (dim, 0.1 * np.arange(10), {"units": "nm"}) for dim in "yx"}
    with pytest.raises(UnitError, match=r"expected pixels of 1 px, as in the training, got 0\.1 nm"):
        models["rotation"].encode(xr.DataArray(PATCHES, dims=("sample", "y", "x"), coords=coords))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="z1"), "expected columns z1, z2, class, got none named 'z1'"),
        (lambda table: table.assign(z1=np.nan), "expected finite numbers in column z1"),
        (lambda table: table.assign(scale=-1.0), "expected a positive scale"),
        (lambda table: table.assign(**{"class": "7"}), "class: expected one of 0, 1, got '7'"),
        (lambda table: table.to_numpy(), "expected what encode gives, got ndarray"),
    ],
)
def test_tables_that_cannot_be_decoded(models, change, message):
    with pytest.raises(ArgumentError, match=message):
        models["classes"].decode(change(models["classes"].encode(PATCHES)))


def test_a_damaged_file_is_no_model(models, tmp_path):
    path = tmp_path / "m.safetensors"
    models["plain"].save(path)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelFileError, match="damaged"):
        ad.load(path)
