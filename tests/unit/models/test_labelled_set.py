import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from adatom.cli import app
from adatom.data import make_image
from adatom.data.training_set import TRAINING, VALIDATION, open_training_set, validation_part
from adatom.errors import ArgumentError
from adatom.models import Localizer
from adatom.models.labelled_set import USUAL, Cropping, write_labelled_set
from adatom.prepare.augment import Augmentation

STEP = 0.05
SIGMA = 2.0


def known_image(rows: int = 130, columns: int = 160, seed: int = 0, step: float | None = STEP, spacing: float = 12.0):
    """Two kinds of atoms on a jittered lattice, the second half as high; and their table, in nm or px."""
    rng = np.random.default_rng(seed)
    along_y, along_x = np.arange(spacing / 2, rows - 3, spacing), np.arange(spacing / 2, columns - 3, 1.3 * spacing)
    y, x = (each.ravel() for each in np.meshgrid(along_y, along_x, indexing="ij"))
    x, y = x + rng.uniform(-2, 2, len(x)), y + rng.uniform(-2, 2, len(y))
    species = rng.integers(2, size=len(x))
    row, column = np.arange(rows)[:, None], np.arange(columns)[:, None]
    peaks_y, peaks_x = (np.exp(-((at - p) ** 2) / (2 * SIGMA**2)) for at, p in ((row, y), (column, x)))
    values = (peaks_y * np.where(species, 0.5, 1.0)) @ peaks_x.T + rng.normal(0, 0.02, (rows, columns))
    unit = step or 1.0
    table = pd.DataFrame({"x": x * unit, "y": y * unit, "species": np.array(["Mo", "S"])[species]})
    return make_image(values, pixel_size=step), table


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    pairs = [known_image(seed=1), known_image(rows=100, columns=140, seed=2)]
    store = tmp_path_factory.mktemp("labelled") / "own.zarr"
    told = write_labelled_set(
        [image for image, _ in pairs],
        [table for _, table in pairs],
        store,
        cropping=Cropping(n=60, crop_px=32, augmentation=USUAL.model_copy(update={"gamma": (1.0, 1.0)})),
        command="adatom label",
    )
    return told, open_training_set(store).load(), pairs


def overlap(first: np.ndarray, second: np.ndarray) -> bool:
    left, top = np.maximum(first[:2], second[:2])
    right, bottom = np.minimum(first[2:], second[2:])
    return bool(right - left > 1e-6 and bottom - top > 1e-6)


def check_split(data) -> None:
    """No crop for validation overlaps one for training, and all lie in their image."""
    footprint, source, split = (data[name].to_numpy() for name in ("footprint", "source", "split"))
    assert set(split) == {TRAINING, VALIDATION}
    for judged in np.flatnonzero(split == VALIDATION):
        for shown in np.flatnonzero((split == TRAINING) & (source == source[judged])):
            assert not overlap(footprint[judged], footprint[shown])


def test_what_is_told_is_what_is_there(labelled):
    told, data, pairs = labelled
    assert told.classes == ["Mo", "S"] == data.attrs["classes"] and told.crop_px == 32 == data.sizes["x"]
    assert (told.n_training, told.n_validation) == (48, 12) and data["split"].to_numpy().sum() == 12
    assert told.n_atoms["Mo"] + told.n_atoms["S"] == sum(len(table) for _, table in pairs)
    assert data.attrs["pixel_size_nm"] == pytest.approx(STEP) and data.attrs["command"] == "adatom label"
    assert set(data["source"].to_numpy()) == {0, 1}
    # half the width at half maximum of the peaks
    assert told.radius_px == data.attrs["label_radius_px"] == pytest.approx(1.18 * SIGMA, rel=0.1)


def test_no_crop_for_validation_overlaps_one_for_training(labelled):
    check_split(labelled[1])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(70, 110), st.integers(70, 110)),
    crop_px=st.integers(16, 32),
    validation=st.floats(0.05, 0.6),
    zoom=st.floats(0.7, 1.4),
)
def test_the_split_holds_for_all_images_crops_and_shares(seed, shape, crop_px, validation, zoom, tmp_path_factory):
    pairs = [known_image(*shape, seed=seed), known_image(*shape[::-1], seed=seed + 1)]
    augmentation = Augmentation(rotation_deg=(0, 360), flip=True, zoom=sorted((zoom, 1.0)))
    how = Cropping(n=16, crop_px=crop_px, validation=validation, radius_nm=0.1, augmentation=augmentation, seed=seed)
    store = tmp_path_factory.mktemp("split") / "own.zarr"
    images, tables = zip(*pairs, strict=True)
    write_labelled_set(images, tables, store, cropping=how)
    data = open_training_set(store)
    check_split(data)
    box = np.array([[-0.5, -0.5, image.sizes["x"] - 0.5, image.sizes["y"] - 0.5] for image in images])
    footprint, own = data["footprint"].to_numpy(), box[data["source"].to_numpy()]
    assert (footprint[:, :2] >= own[:, :2] - 1e-6).all() and (footprint[:, 2:] <= own[:, 2:] + 1e-6).all()


def test_no_pixel_for_validation_reaches_a_crop_for_training(tmp_path):
    """Set on fire what one part is cut from, and nothing of it is seen in the other."""
    image, table = known_image()
    how = Cropping(n=30, crop_px=32, seed=3, radius_nm=0.1, augmentation=Augmentation(rotation_deg=(0, 360)))
    write_labelled_set([image], [table], tmp_path / "a.zarr", cropping=how)
    before = open_training_set(tmp_path / "a.zarr").load()
    left, top = before["footprint"].to_numpy()[before["split"].to_numpy() == VALIDATION].min(axis=0)[:2]
    right, bottom = before["footprint"].to_numpy()[before["split"].to_numpy() == VALIDATION].max(axis=0)[2:]
    burning = image.copy()
    burning[round(top + 0.5) : round(bottom + 0.5), round(left + 0.5) : round(right + 0.5)] = 1e6
    write_labelled_set([burning], [table], tmp_path / "b.zarr", cropping=how, force=True)
    after = open_training_set(tmp_path / "b.zarr").load()
    shown = before["split"].to_numpy() == TRAINING
    assert np.array_equal(before["footprint"], after["footprint"])
    assert np.allclose(before["image"][shown], after["image"][shown], equal_nan=True)


def test_atoms_lie_under_their_pixels_with_their_class_and_their_flux(labelled):
    _, data, _ = labelled
    inner = 0
    for index in range(data.sizes["sample"]):
        mine = (data["atom_sample"] == index).to_numpy()
        x, y, species, flux = (data[f"atom_{name}"].to_numpy()[mine] for name in ("x", "y", "species", "flux"))
        label = data["label"][index].to_numpy()
        assert (label[np.round(y).astype(int), np.round(x).astype(int)] == species + 1).all()
        if data["split"][index] == VALIDATION:
            assert np.nanmedian(flux[species == 0]) == pytest.approx(2 * np.pi * SIGMA**2, rel=0.15)
            image = data["image"][index].to_numpy()
            for at_x, at_y in zip(x, y, strict=True):
                if 6 < at_x < 26 and 6 < at_y < 26:
                    row, column = round(at_y), round(at_x)
                    window = image[row - 1 : row + 2, column - 1 : column + 2]
                    assert window.max() > np.median(image) + 0.2
                    inner += 1
    assert inner > 20


def test_the_same_seed_gives_the_same_crops_and_another_one_another(tmp_path):
    image, table = known_image()
    sets = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_labelled_set([image], [table], tmp_path / name, cropping=Cropping(n=6, crop_px=24, seed=seed))
        sets.append(open_training_set(tmp_path / name).load())
    assert sets[0].identical(sets[1]) and not sets[0]["image"].equals(sets[2]["image"])


def test_images_of_other_pixel_sizes_are_brought_to_those_of_the_first(tmp_path):
    coarse, fine = known_image(seed=1), known_image(rows=260, columns=320, seed=2, step=STEP / 2, spacing=24)
    write_labelled_set(
        [coarse[0], fine[0]],
        [coarse[1], fine[1]],
        tmp_path / "own.zarr",
        cropping=Cropping(n=20, crop_px=32, radius_nm=0.1, augmentation=Augmentation()),
    )
    data = open_training_set(tmp_path / "own.zarr")
    footprint, source = data["footprint"].to_numpy(), data["source"].to_numpy()
    assert np.allclose((footprint[:, 2] - footprint[:, 0])[source == 0], 32)
    assert np.allclose((footprint[:, 2] - footprint[:, 0])[source == 1], 64)


def test_dark_atoms_and_images_without_pixel_size_are_cut_too(tmp_path):
    image, table = known_image(step=None)
    told = write_labelled_set([-image], [table], tmp_path / "own.zarr", cropping=Cropping(n=4, crop_px=32))
    data = open_training_set(tmp_path / "own.zarr")
    assert data.attrs["pixel_size_nm"] is None and told.brightness[0] < -1
    assert told.radius_px == pytest.approx(1.18 * SIGMA, rel=0.1) and np.isnan(data["atom_flux"]).all()


def test_what_cannot_be_is_told(tmp_path):
    image, table = known_image()
    other, uncalibrated = known_image(seed=5), known_image(seed=5, step=None)
    swapped = table.rename(columns={"x": "y", "y": "x"})
    narrow = swapped[(swapped["y"] < 6.4)]

    def error(images, tables, **options) -> str:
        with pytest.raises(ArgumentError) as told:
            write_labelled_set(images, tables, tmp_path / "own.zarr", **options)
        assert not (tmp_path / "own.zarr").exists()
        return str(told.value)

    assert "empty" in error([image], [table.iloc[:0]])
    assert "--swap-xy" in error([image], [narrow])
    assert "--in-pixels" in error([image], [table.assign(x=table["x"] / STEP, y=table["y"] / STEP)])
    assert "--in-nm" in error([image], [table.assign(x=table["x"] * STEP, y=table["y"] * STEP)])
    assert "got S too" in error([image], [table], classes=["Mo"])
    assert "different names" in error([image], [table], classes=["Mo", "S", "S"])
    assert "a table for each image" in error([image], [])
    assert "pixel size" in error([image, uncalibrated[0]], [table, uncalibrated[1]])
    assert "crop: expected" in error([image], [table], cropping=Cropping(crop_px=100))
    assert "same as image 1 and 3" in error([image, other[0], image], [table, other[1], table])
    assert "mark more atoms" in error([image], [table.iloc[:1]])


# ---------------------------------------------------------------- as a user would


def adatom(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_label_train_evaluate_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image, table = known_image(step=None)
    np.save("scan.npy", image.to_numpy())
    table.rename(columns={"x": "X", "y": "Y", "species": "kind"}).to_csv("atoms.csv")
    pair = ("scan.npy", "atoms.csv", "--pixel-size", STEP, "--class-column", "kind")
    done = adatom("label", *pair, "--n", 24, "--crop", 32, "--out", "own.zarr", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["classes"] == ["Mo", "S"] and told["n_validation"] == 5
    assert Path("own.samples.png").read_bytes().startswith(b"\x89PNG")
    Path("mine.yaml").write_text(
        "name: mine\nestimator: Localizer\nnetwork: {width: 4, depth: 2}\n"
        "training: {steps: 4, batch_size: 2, validate_every: 2, validation_images: 4}\n"
        "augmentation: {rotation_deg: [0, 360], crop_px: 24}\n"
    )
    done = adatom("train", "mine.yaml", "--data", "own.zarr", "--out", "model")
    assert done.exit_code == 0, done.output
    done = adatom("evaluate", "model/model.safetensors", "own.zarr", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["n_images"] == 5
    assert "--swap-xy" in str(adatom("label", *pair, "--swap-xy", "--out", "other.zarr").exception)
    assert "material" in str(adatom("train", "mine.yaml", "--out", "other").exception)
    assert adatom("label", "scan.npy", "--out", "x.zarr").exit_code == 2


def test_the_part_for_validation_is_what_a_model_is_judged_on(labelled):
    _, data, _ = labelled
    part = validation_part(data)
    assert part.sizes["sample"] == 12 and set(part["split"].to_numpy()) == {VALIDATION}


def test_a_model_of_uncalibrated_crops_takes_an_uncalibrated_image_as_it_is(tmp_path):
    image, table = known_image(step=None)
    write_labelled_set([image], [table], tmp_path / "own.zarr", cropping=Cropping(n=8, crop_px=32))
    training = {"steps": 2, "batch_size": 2, "validate_every": 1, "validation_images": 2}
    model = Localizer(width=4, depth=2, training=training).fit(tmp_path / "own.zarr")
    assert model.working_factors(image)[0] == (1.0, 1.0)
