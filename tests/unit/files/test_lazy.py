"""Windows of files are the pixels that reading the whole gives."""

import h5py
import numpy as np
import pytest
import tifffile

import adatom as ad
from adatom.errors import ArgumentError
from adatom.files import open_lazily, write

VALUES = np.arange(300 * 200, dtype=np.float32).reshape(300, 200)


def made(folder, kind):
    path = folder / f"image.{kind}"
    if kind == "npy":
        np.save(path, VALUES)
    elif kind == "zarr":
        write(ad.make_image(VALUES, pixel_size=0.1), path)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["image"] = VALUES
    elif kind == "tif":
        tifffile.imwrite(path, VALUES)
    else:
        path = folder / "tiled.tif"
        tifffile.imwrite(path, VALUES, tile=(64, 64), compression="zlib")
    return path


@pytest.mark.parametrize("kind", ["npy", "zarr", "h5", "tif", "tiled tif"])
def test_windows_are_parts_of_the_whole(tmp_path, kind):
    path = made(tmp_path, kind)
    image = open_lazily(path)
    assert image.is_lazy and image.shape == VALUES.shape
    np.testing.assert_array_equal(image.window(slice(70, 140), slice(3, 199)), VALUES[70:140, 3:199])


def test_a_stack_needs_a_frame(tmp_path):
    np.save(tmp_path / "stack.npy", np.stack([VALUES, -VALUES]))
    with pytest.raises(ArgumentError, match="Choose a frame"):
        open_lazily(tmp_path / "stack.npy")
    part = open_lazily(tmp_path / "stack.npy", frame=1).window(slice(0, 2), slice(0, 3))
    np.testing.assert_array_equal(part, -VALUES[:2, :3])
