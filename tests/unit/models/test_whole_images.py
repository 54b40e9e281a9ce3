"""Numbers and classes of whole images: stripes of known period, with or without a second set across them."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import adatom
from adatom.errors import ArgumentError, ModelFileError, ShapeError
from adatom.models import Classifier, Regressor

SMALL = {"width": 6, "depth": 2, "n_members": 3, "random_state": 0}
BRIEF = {**SMALL, "training": {"steps": 90, "validate_every": 15, "learning_rate": 0.01}}
SIDE = 16


def stripes(n: int, seed: int, *, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (n, y, x), their periods [px], and whether they are crossed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    period, crossed = rng.uniform(3.5, 7.0, n), rng.random(n) < 0.5
    images = []
    for each, is_crossed in zip(period, crossed, strict=True):
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, 2)
        along = [x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)]
        waves = [np.cos(2 * np.pi * way / each + start) for way, start in zip(along, phase, strict=True)]
        images.append(waves[0] + (waves[1] if is_crossed else 0.0))
    return np.array(images) + noise * rng.standard_normal((n, SIDE, SIDE)), period, crossed


@pytest.fixture(scope="module")
def regressor():
    images, period, _ = stripes(150, 1)
    return Regressor(**BRIEF).fit(images, pd.Series(period, name="period"))


@pytest.fixture(scope="module")
def classifier():
    images, _, crossed = stripes(150, 1)
    return Classifier(**BRIEF).fit(images, np.where(crossed, "crossed", "plain"))


# ---------------------------------------------------------------- what they learn


def test_numbers_come_with_error_bars_that_hold(regressor):
    images, period, _ = stripes(200, 2)
    told = regressor.predict(images)
    assert list(told.columns) == ["period", "period_std", "period_std_model", "unfamiliarity"]
    error = told["period"] - period
    assert error.std() < 0.5 * period.std()
    assert (np.abs(error) < 1.645 * told["period_std"]).mean() > 0.85
    assert (told["period_std_model"] < told["period_std"]).all()
    assert 0.5 < regressor.figures_["val_r2_period"] <= 1


def test_every_image_is_held_out_once(regressor):
    assert sorted(regressor.held_out_["image"]) == list(range(150))


def test_classes_come_with_their_probabilities(classifier):
    images, _, crossed = stripes(200, 2)
    told = classifier.predict(images)
    assert classifier.classes_ == ["crossed", "plain"]
    assert ((told["label"] == "crossed") == crossed).mean() > 0.9
    assert told[["p_crossed", "p_plain"]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert (told["probability"] == told[["p_crossed", "p_plain"]].max(axis=1)).all()
    assert (told["entropy_model"] <= told["entropy"] + 1e-12).all()
    assert classifier.confusion_.to_numpy().sum() == 150 and classifier.figures_["val_accuracy"] > 0.9


def test_images_unlike_the_training_are_told(classifier, regressor):
    usual, _, _ = stripes(100, 3)
    noise = 3 * np.random.default_rng(0).standard_normal((100, SIDE, SIDE))
    for model in (classifier, regressor):
        assert (model.predict(usual)["unfamiliarity"] > 1).mean() < 0.15
        assert (model.predict(noise)["unfamiliarity"] > 1).mean() > 0.9


def test_several_numbers_and_channels():
    images, period, crossed = stripes(60, 4)
    two = np.stack([images, -images], axis=1)
    table = pd.DataFrame({"period": period, "crossed": crossed.astype(float)})
    model = Regressor(**{**BRIEF, "training": {"steps": 2}}).fit(two, table)
    assert [name for name in model.predict(two[:3]).columns if "std" not in name] == [
        "period",
        "crossed",
        "unfamiliarity",
    ]


def test_images_may_be_arrays_of_many_kinds(classifier):
    images, _, _ = stripes(4, 5)
    stack = xr.DataArray(images, dims=("sample", "y", "x"))
    first = classifier.predict(images)
    assert first.equals(classifier.predict(stack))
    assert first.equals(classifier.predict([stack[k] for k in range(4)]))
    assert first.equals(classifier.predict(images[:, None]))


def test_groups_stay_on_one_side():
    """Crops of pictures of noise, each picture with a number of its own: nothing can be learned of the others."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(8), 12)
    picture = rng.standard_normal((8, SIDE, SIDE))
    images = picture[group] + 0.1 * rng.standard_normal((96, SIDE, SIDE))
    value = rng.standard_normal(8)[group]
    brief = {**BRIEF, "symmetric": False}
    assert Regressor(**brief).fit(images, value).figures_["val_r2_value"] > 0.5
    assert Regressor(**brief).fit(images, value, groups=group).figures_["val_r2_value"] < 0.3


# ---------------------------------------------------------------- files, seeds


@pytest.mark.parametrize("which", ["regressor", "classifier"])
def test_a_model_comes_back_from_its_file(which, request, tmp_path):
    model, path = request.getfixturevalue(which), tmp_path / "m.safetensors"
    images, _, _ = stripes(5, 6)
    model.save(path)
    loaded = adatom.load(path)
    assert type(loaded) is type(model) and loaded.predict(images).equals(model.predict(images))
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged"):
        adatom.load(path)


def test_a_seed_gives_the_same_model_and_leaves_the_users_alone():
    images, period, _ = stripes(30, 7)
    few = {**SMALL, "training": {"steps": 3}}
    torch.manual_seed(5)
    before = torch.get_rng_state().clone()
    first, second = (Regressor(**few).fit(images, period).predict(images) for _ in range(2))
    assert first.equals(second) and torch.equal(torch.get_rng_state(), before)
    assert not first.equals(Regressor(**{**few, "random_state": 1}).fit(images, period).predict(images))


def test_a_batch_changes_nothing(regressor):
    images, _, _ = stripes(70, 8)
    whole = regressor.predict(images).to_numpy()
    parts = pd.concat([regressor.predict(images[:3]), regressor.predict(images[3:])]).to_numpy()
    assert parts == pytest.approx(whole, rel=1e-4, abs=1e-5)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("images", "targets", "told"),
    [
        (np.zeros((20, SIDE)), np.arange(20.0), r"images: expected \(n, y, x\) or"),
        (np.zeros((20, SIDE, SIDE)), np.arange(19.0), "images: expected as many as there are targets, got 20 and 19"),
        (np.full((20, SIDE, SIDE), np.nan), np.arange(20.0), "images: expected finite values, got others in 20 images"),
        (np.zeros((20, SIDE, SIDE)), np.full(20, np.nan), "targets: expected finite numbers, got 20 others"),
        (np.zeros((20, SIDE, SIDE)), np.ones(20), "targets: expected numbers that differ, got one value of value"),
        (np.zeros((2, SIDE, SIDE)), np.arange(2.0), "images: expected 4 or more, got 2"),
        (np.zeros((20, SIDE, SIDE + 1)), np.arange(20.0), "images: expected square ones"),
        ([np.zeros((4, 4)), np.zeros((5, 5))], np.arange(2.0), "images: expected all of one size"),
    ],
)
def test_bad_input_is_told(images, targets, told):
    with pytest.raises((ArgumentError, ShapeError), match=told):
        Regressor(**SMALL).fit(images, targets)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["a"] * 20, "labels: expected two classes or more, got a alone"),
        (["a"] * 18 + ["b"] * 2, "labels: expected 3 images or more of each class.*got 2 of b"),
        ([0.0] * 19 + [np.nan], "labels: expected a class for each image, got NaN"),
    ],
)
def test_bad_labels_are_told(labels, told):
    with pytest.raises(ArgumentError, match=told):
        Classifier(**SMALL).fit(np.zeros((20, SIDE, SIDE)), labels)


def test_other_images_than_those_of_the_training_are_told(regressor):
    with pytest.raises(ShapeError, match=r"expected 1 channel of 16 x 16 px, as in the training, got 1 of 8 x 8 px"):
        regressor.predict(np.zeros((2, 8, 8)))
    with pytest.raises(ArgumentError, match="expected a fitted model"):
        Regressor().predict(np.zeros((2, 8, 8)))
    with pytest.raises(ArgumentError, match=r"groups: expected 3 or more.*got 2. Lower n_members"):
        Regressor(**SMALL).fit(np.zeros((20, SIDE, SIDE)), np.arange(20.0), groups=np.arange(20) % 2)


class OwnNet(torch.nn.Module):
    """A network of a user."""

    def __init__(self, outputs: int, channels: int = 1) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(channels, 8, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
        )
        self.head = torch.nn.Linear(32, outputs)

    def forward(self, images):
        return self.head(self.layers(images))


@pytest.mark.parametrize("net", [OwnNet, OwnNet(2)], ids=["class", "module"])
def test_a_network_of_your_own_learns_and_comes_back(net, tmp_path):
    rng = np.random.default_rng(0)
    level = rng.uniform(0, 1, 60)
    images = level[:, None, None] + 0.1 * rng.normal(size=(60, 12, 12))
    model = adatom.Regressor(net=net, n_members=2, training={"steps": 150}, random_state=0).fit(images, level)
    assert model.figures_["val_r2_value"] > 0.6
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="Give the network"):
        adatom.load(tmp_path / "m.safetensors")
    again = adatom.load(tmp_path / "m.safetensors", net=net)
    np.testing.assert_allclose(again.predict(images)["value"], model.predict(images)["value"], rtol=1e-5)


def test_a_network_that_gives_something_else_is_told_so():
    images = np.random.default_rng(0).normal(size=(12, 12, 12))
    with pytest.raises(ShapeError, match=r"expected to give \(2, 2\), got \(2, 5\)"):
        adatom.Regressor(net=OwnNet(5), n_members=2).fit(images, np.arange(12.0))
    with pytest.raises(ArgumentError, match="net: expected a name"):
        adatom.Regressor(net=3, n_members=2).fit(images, np.arange(12.0))
