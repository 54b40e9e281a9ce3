import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from adatom.data.training_set import check_training_set, open_training_set, write_training_set
from adatom.errors import ArgumentError, FileFormatError, MissingFileError, ShapeError

SIZE = 6
ATTRS = {"classes": ["A", "B"], "pixel_size_nm": 0.1, "label_radius_px": 2.0, "recipe": "", "seed": 3}


def image_number(index: int) -> tuple[np.ndarray, ...]:
    """Image `index`, with as many atoms as its number."""
    rng = np.random.default_rng(index)
    image = rng.normal(size=(SIZE, SIZE)).astype(np.float32)
    image[0, 0] = np.nan
    label = rng.integers(0, 3, (SIZE, SIZE)).astype(np.uint8)
    return image, label, rng.random(index), rng.random(index), rng.integers(0, 2, index), rng.random(index)


def write(store: Path, n: int, n_given: int | None = None) -> None:
    images = (image_number(index) for index in range(n if n_given is None else n_given))
    write_training_set(store, images, n=n, size=SIZE, attrs=ATTRS)


@pytest.mark.parametrize("n", [2, 16, 19])
def test_what_was_written_is_read(tmp_path, n):
    write(tmp_path / "set.zarr", n)
    data = open_training_set(tmp_path / "set.zarr")
    assert data.attrs == ATTRS
    assert data.sizes["sample"] == n
    for index in range(n):
        image, label, x, y, species, flux = image_number(index)
        atoms = (data["atom_sample"] == index).to_numpy()
        assert np.array_equal(data["image"][index], image, equal_nan=True)
        assert np.array_equal(data["label"][index], label)
        assert np.array_equal(data["atom_x"][atoms], x)
        assert np.array_equal(data["atom_y"][atoms], y)
        assert np.array_equal(data["atom_species"][atoms], species)
        assert np.array_equal(data["atom_flux"][atoms], flux)
    assert os.listdir(tmp_path) == ["set.zarr"]


def test_set_may_hold_no_atoms_at_all(tmp_path):
    empty = (np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE)), np.zeros(0), np.zeros(0), np.zeros(0, int), np.zeros(0))
    write_training_set(tmp_path / "set.zarr", [empty, empty], n=2, size=SIZE, attrs=ATTRS)
    assert open_training_set(tmp_path / "set.zarr").sizes["atom"] == 0


def test_interrupted_writing_leaves_nothing_behind(tmp_path):
    def power_cut() -> Iterator[tuple[np.ndarray, ...]]:
        yield from (image_number(index) for index in range(17))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_training_set(tmp_path / "set.zarr", power_cut(), n=20, size=SIZE, attrs=ATTRS)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("n_given", [0, 3, 5, 20])
def test_wrong_number_of_images_is_told_and_leaves_nothing_behind(tmp_path, n_given):
    with pytest.raises(ArgumentError, match="expected 4, got"):
        write(tmp_path / "set.zarr", 4, n_given)
    assert os.listdir(tmp_path) == []


def test_store_that_exists_is_left_alone(tmp_path):
    write(tmp_path / "set.zarr", 2)
    with pytest.raises(OSError):
        write(tmp_path / "set.zarr", 3)
    assert open_training_set(tmp_path / "set.zarr").sizes["sample"] == 2


def test_store_that_is_not_there_is_told(tmp_path):
    with pytest.raises(MissingFileError, match="adatom simulate"):
        open_training_set(tmp_path / "set.zarr")


def test_file_or_folder_that_is_no_store_is_told(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises((FileFormatError, ShapeError), match="training set"):
            open_training_set(path)


def test_damaged_store_is_told(tmp_path):
    write(tmp_path / "set.zarr", 2)
    (tmp_path / "set.zarr" / "image" / "zarr.json").write_text("{")
    with pytest.raises((FileFormatError, ShapeError), match="training set"):
        open_training_set(tmp_path / "set.zarr")


def small_set() -> xr.Dataset:
    cube, atoms = np.zeros((2, SIZE, SIZE)), np.zeros(3)
    variables = dict.fromkeys(("image", "label"), (("sample", "y", "x"), cube))
    variables |= dict.fromkeys(("atom_sample", "atom_x", "atom_y", "atom_species"), (("atom",), atoms))
    return xr.Dataset(variables, attrs=ATTRS)


@pytest.mark.parametrize("name", ["image", "label", "atom_sample", "atom_x", "atom_y", "atom_species"])
def test_missing_variable_is_named(name):
    with pytest.raises(ShapeError, match=f"expected {name}"):
        check_training_set(small_set().drop_vars(name))


@pytest.mark.parametrize("name", ["classes", "pixel_size_nm", "label_radius_px"])
def test_missing_attribute_is_named(name):
    data = small_set()
    data.attrs = {key: value for key, value in ATTRS.items() if key != name}
    with pytest.raises(ShapeError, match=f"expected the attribute {name}"):
        check_training_set(data)


def test_wrong_axes_and_too_few_images_are_told():
    with pytest.raises(ShapeError, match="expected label with dimensions"):
        check_training_set(small_set().assign(label=(("sample", "row", "x"), np.zeros((2, 5, SIZE)))))
    with pytest.raises(ShapeError, match="at least two images"):
        check_training_set(small_set().isel(sample=[0]))
