import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from adatom.data.training_set import check_training_set, open_training_set, validation_part
from adatom.data.training_store import KnownImage, append_images, begin_training_set, write_training_set
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
    images = (KnownImage(*image_number(index)) for index in range(n if n_given is None else n_given))
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
    write_training_set(tmp_path / "set.zarr", [KnownImage(*empty)] * 2, n=2, size=SIZE, attrs=ATTRS)
    assert open_training_set(tmp_path / "set.zarr").sizes["atom"] == 0


def test_interrupted_writing_leaves_nothing_behind(tmp_path):
    def power_cut() -> Iterator[KnownImage]:
        yield from (KnownImage(*image_number(index)) for index in range(17))
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
    with pytest.raises(ArgumentError, match="not there yet"):
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


# ---------------------------------------------------------------- interrupted, and gone on with


def images_from(first: int, n: int, cut: int | None = None) -> Iterator[KnownImage]:
    for index in range(first, n):
        if index == cut:
            raise KeyboardInterrupt
        yield KnownImage(*image_number(index))


def interrupt(store: Path, n: int, cut: int) -> None:
    begin_training_set(store, n=n, size=SIZE, attrs=ATTRS)
    with pytest.raises(KeyboardInterrupt):
        append_images(store, images_from(0, n, cut))


@pytest.mark.parametrize("cut", [0, 15, 16, 17, 39])
def test_a_set_that_was_interrupted_and_gone_on_with_is_the_whole_one(tmp_path, cut):
    write(tmp_path / "whole.zarr", 40)
    store = tmp_path / "cut.zarr"
    interrupt(store, 40, cut)
    with pytest.raises(FileFormatError, match=r"of 40 images are written.*--resume"):
        open_training_set(store)
    first = begin_training_set(store, n=40, size=SIZE, attrs=ATTRS, resume=True)
    assert first == cut // 16 * 16
    append_images(store, images_from(first, 40))
    assert open_training_set(store).load().identical(open_training_set(tmp_path / "whole.zarr").load())


def test_atoms_that_a_killed_writer_left_beyond_its_last_whole_image_are_written_over(tmp_path):
    import zarr

    write(tmp_path / "whole.zarr", 20)
    store = tmp_path / "cut.zarr"
    interrupt(store, 20, 17)
    torn = zarr.open_group(store, mode="r+")["atom_x"]
    torn.resize((torn.shape[0] + 5,))
    first = begin_training_set(store, n=20, size=SIZE, attrs=ATTRS, resume=True)
    append_images(store, images_from(first, 20))
    assert open_training_set(store).load().identical(open_training_set(tmp_path / "whole.zarr").load())


def test_a_whole_set_gets_more_images(tmp_path):
    write(tmp_path / "whole.zarr", 23)
    store = tmp_path / "longer.zarr"
    write(store, 17)
    assert begin_training_set(store, n=17, size=SIZE, attrs=ATTRS, resume=True) == 17
    assert open_training_set(store).sizes["sample"] == 17
    append_images(store, images_from(begin_training_set(store, n=23, size=SIZE, attrs=ATTRS, resume=True), 23))
    assert open_training_set(store).load().identical(open_training_set(tmp_path / "whole.zarr").load())


@pytest.mark.parametrize("name, value", [("seed", 4), ("recipe", "another"), ("version", "0.0.1"), ("classes", ["A"])])
def test_a_set_of_another_kind_is_not_gone_on_with(tmp_path, name, value):
    interrupt(tmp_path / "set.zarr", 20, 17)
    with pytest.raises(ArgumentError, match=f"same {name}"):
        begin_training_set(tmp_path / "set.zarr", n=20, size=SIZE, attrs={**ATTRS, name: value}, resume=True)


def test_a_set_that_holds_more_and_what_is_no_set_are_not_gone_on_with(tmp_path):
    write(tmp_path / "set.zarr", 20)
    with pytest.raises(ArgumentError, match="at least the 20 images"):
        begin_training_set(tmp_path / "set.zarr", n=4, size=SIZE, attrs=ATTRS, resume=True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileFormatError, match="folder"):
        begin_training_set(tmp_path / "folder", n=4, size=SIZE, attrs=ATTRS, resume=True)


def test_what_is_kept_for_validation_can_be_had_alone(tmp_path):
    split = np.array([1, 0, 1, 0])
    images = (KnownImage(*image_number(index)) for index in range(4))
    write_training_set(tmp_path / "set.zarr", images, n=4, size=SIZE, attrs=ATTRS, of_samples={"split": split})
    part = validation_part(open_training_set(tmp_path / "set.zarr"))
    assert part["atom_sample"].to_numpy().tolist() == [1, 1]  # of images 0 and 2, with none and two atoms
    assert np.array_equal(part["image"][1], image_number(2)[0], equal_nan=True)
    assert np.array_equal(part["atom_x"], image_number(2)[2])
