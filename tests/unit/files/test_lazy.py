"""Windows of files are the pixels that reading the whole gives."""

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

import adatom as ad
from adatom.errors import ArgumentError
from adatom.files import info, open_lazily, open_movie_lazily, read, write
from benchmarks.tiny_files import EXAMPLES

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


def stack_of(folder, kind):
    """Three frames, each a multiple of the first."""
    path = folder / "stack.tif"
    stack = np.stack([VALUES, 2 * VALUES, 3 * VALUES]).astype(np.uint16)
    if kind == "white is zero":
        tifffile.imwrite(path, stack, photometric="miniswhite", compression="zlib")
    elif kind == "big-endian":
        tifffile.imwrite(path, stack, byteorder=">", photometric="minisblack")
    elif kind == "LZW":
        frames = [Image.fromarray((frame >> 8).astype(np.uint8)) for frame in stack]
        frames[0].save(path, save_all=True, append_images=frames[1:], compression="tiff_lzw")
    else:
        tifffile.imwrite(path, stack, ome=True, metadata={"axes": "TYX"}, compression="zlib", tile=(64, 64))
    return path


@pytest.mark.parametrize("kind", ["OME", "white is zero", "big-endian", "LZW"])
def test_frames_of_a_stack_are_read_one_by_one(tmp_path, kind):
    path = stack_of(tmp_path, kind)
    movie, whole = open_movie_lazily(path, pixel_size=0.1), read(path)
    assert movie.is_lazy and movie.n_frames == 3 and movie.pixel_size == (0.1, 0.1)
    np.testing.assert_array_equal(movie.window(2, slice(70, 140), slice(3, 199)), whole[2, 70:140, 3:199])
    np.testing.assert_array_equal(movie.frame(1), whole[1])
    np.testing.assert_array_equal(open_lazily(path, frame=1).window(slice(0, 9), slice(0, 9)), whole[1, :9, :9])


@pytest.mark.parametrize("form", ["in one run", "in tiles", "in planes"])
def test_windows_of_colour_are_luminance(tmp_path, form):
    path, colours = tmp_path / "colour.tif", np.random.default_rng(0).integers(0, 255, (90, 80, 3), dtype=np.uint8)
    if form == "in planes":
        tifffile.imwrite(path, np.moveaxis(colours, 2, 0), planarconfig="separate", photometric="rgb")
    else:
        tifffile.imwrite(path, colours, **({"tile": (16, 16), "compression": "zlib"} if form == "in tiles" else {}))
    image = open_lazily(path)
    assert image.is_lazy and image.dtype == np.uint8
    np.testing.assert_array_equal(image.window(slice(5, 50), slice(7, 70)), read(path)[5:50, 7:70])


@pytest.mark.parametrize("is_ome", [True, False])
def test_levels_of_a_pyramid_are_no_other_images(tmp_path, is_ome):
    path, values = tmp_path / "pyramid.tif", VALUES.astype(np.uint16)
    with tifffile.TiffWriter(path, ome=is_ome) as file:
        told = {"tile": (64, 64), "metadata": {"axes": "YX"} if is_ome else None}
        file.write(values, **told, **({"subifds": 1} if is_ome else {}))
        file.write(values[::2, ::2], subfiletype=1, tile=(64, 64), metadata=None)
    assert info(path)["channels"] == ["image"] and open_lazily(path).is_lazy
    np.testing.assert_array_equal(open_lazily(path).window(slice(9, 99), slice(8, 88)), values[9:99, 8:88])


def test_a_window_of_a_large_file_leaves_the_rest(tmp_path):
    path = tmp_path / "sparse.tif"
    tifffile.imwrite(path, shape=(20_000, 20_000), dtype=np.uint16)  # 800 MB, of which next to nothing is on the disk
    assert open_lazily(path).window(slice(19_990, 20_000), slice(0, 10)).sum() == 0


def test_a_still_has_no_frames(tmp_path):
    np.save(tmp_path / "still.npy", VALUES)
    with pytest.raises(ArgumentError, match=r"expected \(frame, y, x\)"):
        open_movie_lazily(tmp_path / "still.npy")


def test_a_file_that_takes_the_place_of_another_is_the_one_that_is_read(tmp_path):
    """HDF5 takes a file that was written anew for the one that is still open."""
    pytest.importorskip("rsciio")
    path = tmp_path / "same.h5"
    for name in ("HyperSpy", "Nion Swift", "HDF5"):
        path.write_bytes(EXAMPLES[name]().content)
        np.testing.assert_array_equal(
            open_lazily(path).window(slice(0, 4), slice(0, 4)), EXAMPLES[name]().values[:4, :4]
        )
