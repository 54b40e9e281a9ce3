import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adatom.cli import app
from adatom.data.training_set import TRAINING, VALIDATION, open_training_set
from adatom.data.training_store import store_training_set
from adatom.errors import ArgumentError, FileFormatError, MissingFileError
from adatom.files.atomai_npz import is_atomai_set, read_atomai_set, write_atomai_set

ROWS, COLUMNS = 24, 20
# for each image the x, y and class of two atoms
PLACES = [((5, 6, 0), (14, 17, 1)), ((8, 5, 1), (13, 12, 0)), ((4, 4, 0), (10, 19, 1))]


def class_map(places) -> np.ndarray:
    label = np.zeros((ROWS, COLUMNS), dtype=np.int64)
    for x, y, kind in places:
        label[y - 1 : y + 2, x - 1 : x + 2] = kind + 1
    return label


IMAGES = np.random.default_rng(0).normal(size=(3, ROWS, COLUMNS)).astype(np.float32)
LABELS = np.stack([class_map(places) for places in PLACES])


def save(path: Path, images: np.ndarray, labels: np.ndarray, n_train: int = 2) -> Path:
    np.savez(path, X_train=images[:n_train], y_train=labels[:n_train], X_test=images[n_train:], y_test=labels[n_train:])
    return path


def one_hot(labels: np.ndarray) -> np.ndarray:
    """One map a class, the background last."""
    return np.stack([labels == 1, labels == 2, labels == 0], axis=-1).astype(np.float32)


FORMS = {
    "class maps": (IMAGES, LABELS),
    "background last": (IMAGES, (LABELS - 1) % 3),
    "one map a class": (IMAGES, one_hot(LABELS)),
    "channel first": (IMAGES[:, None], LABELS[:, None]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_labels_gives_the_same_atoms_and_the_given_split(form, tmp_path):
    data = read_atomai_set(save(tmp_path / "set.npz", *FORMS[form]), pixel_size_nm=0.1)
    assert np.array_equal(data["image"], IMAGES) and np.array_equal(data["label"], LABELS)
    assert data["split"].to_numpy().tolist() == [TRAINING, TRAINING, VALIDATION]
    assert data.attrs["classes"] == ["class_1", "class_2"] and data.attrs["pixel_size_nm"] == 0.1
    assert data.attrs["label_radius_px"] == pytest.approx(np.sqrt(9 / np.pi))
    for index, places in enumerate(PLACES):
        mine = (data["atom_sample"] == index).to_numpy()
        columns = (data[f"atom_{name}"].to_numpy()[mine] for name in ("x", "y", "species"))
        assert sorted(zip(*columns, strict=True)) == sorted(places)


def test_one_class_is_binary_and_has_one_name(tmp_path):
    data = read_atomai_set(save(tmp_path / "set.npz", IMAGES, (LABELS > 0)[:, None].astype(np.float32)))
    assert data.attrs["classes"] == ["atom"] and data.sizes["atom"] == 6 and set(data["atom_species"].values) == {0}


@pytest.mark.parametrize("labels", [LABELS, LABELS > 0], ids=["two classes", "one class"])
def test_a_store_becomes_the_same_file_and_back(labels, tmp_path):
    data = read_atomai_set(save(tmp_path / "set.npz", IMAGES, labels.astype(int)))
    store_training_set(data, tmp_path / "set.zarr")
    write_atomai_set(open_training_set(tmp_path / "set.zarr"), tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz", allow_pickle=False) as again:
        assert np.array_equal(again["X_train"], IMAGES[:2]) and np.array_equal(again["X_test"], IMAGES[2:])
        assert again["y_train"].max() == labels.astype(int).max()
    back = read_atomai_set(tmp_path / "again.npz")
    assert back.drop_attrs().identical(data.drop_attrs())


def test_what_was_not_measured_is_filled_for_those_who_know_no_gaps(tmp_path):
    data = read_atomai_set(save(tmp_path / "set.npz", IMAGES, LABELS))
    data["image"][0, :5] = np.nan
    write_atomai_set(data.drop_vars("split"), tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as written:
        assert np.isfinite(written["X_train"]).all() and len(written["X_train"]) == 2
    with pytest.raises(ArgumentError, match="free"):
        write_atomai_set(data, tmp_path / "out.npz")


@pytest.mark.parametrize(
    "images, labels",
    [
        (IMAGES, LABELS[:, :-1]),
        (IMAGES, LABELS + 0.5),
        (IMAGES, LABELS - 1),
        (IMAGES, np.zeros((3, ROWS, COLUMNS, 3))),
        (IMAGES[:, 0], LABELS),
        (IMAGES.astype(complex), LABELS),
        (IMAGES, LABELS.astype(object)),
    ],
)
def test_arrays_that_do_not_fit_are_told(images, labels, tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, X_train=images[:2], y_train=labels[:2], X_test=images[2:], y_test=labels[2:])
    with pytest.raises(FileFormatError, match=r"set\.npz: expected"):
        read_atomai_set(path)


def test_other_files_are_no_sets(tmp_path):
    np.savez(tmp_path / "other.npz", a=IMAGES)
    assert not is_atomai_set(tmp_path / "other.npz") and not is_atomai_set(tmp_path)
    with pytest.raises(FileFormatError, match="X_train"):
        read_atomai_set(tmp_path / "other.npz")
    with pytest.raises(MissingFileError):
        read_atomai_set(tmp_path / "none.npz")


def test_convert_takes_it_from_the_command_line_and_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "set.npz", IMAGES, LABELS)

    def convert(file: str, out: str) -> dict:
        done = CliRunner().invoke(app, ["convert", file, "--out", out, "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert convert("set.npz", "set.zarr") == {"out": "set.zarr", "n_images": 3, "n_atoms": 6, "n_validation": 1}
    assert convert("set.zarr", "again.npz")["n_images"] == 3
    assert np.array_equal(read_atomai_set(tmp_path / "again.npz")["label"], LABELS)
