"""What every file format promises, run over the table of formats, and known answers on real files."""

import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adatom.data import check_image, pixel_size_nm
from adatom.errors import AdatomError, FileFormatError, MissingFileError
from adatom.files import FORMATS, info, open_lazily, open_movie_lazily, read
from adatom.files.channel import SPECTRAL_UNITS
from benchmarks.tiny_files import EXAMPLES, WITHOUT_EXAMPLE

REAL = Path(__file__).parents[2].parent / "shared" / "data"

every_format = pytest.mark.parametrize("name", EXAMPLES)
# HDF5 and RosettaSciIO: each answer comes from another process
GUARDED = {each.name for each in FORMATS if each.is_guarded}


def test_every_format_has_an_example_or_says_why_not() -> None:
    assert {*EXAMPLES, *WITHOUT_EXAMPLE} == {each.name for each in FORMATS}


@every_format
def test_reads_what_was_written(name: str, tmp_path: Path) -> None:
    example = EXAMPLES[name]()
    path = tmp_path / "tiny.bin"
    path.write_bytes(example.content)

    image = check_image(read(path), ndim=example.values.ndim)

    # even places of a FAST-STM line lie between the integers of its stream
    tolerance = 3 if name == "FAST-STM HDF5" else 0
    np.testing.assert_allclose(
        image.values, example.values, rtol=1e-6 if name in ("Createc dat", "DigitalSurf") else 0, atol=tolerance
    )
    n_frames = image.sizes.get("frame")
    assert image.dims == ("y", "x", *example.coordinates) if n_frames is None else ("frame", "y", "x")
    for axis, places in example.coordinates.items():
        np.testing.assert_allclose(image[axis], places)
        assert image[axis].attrs["units"] == SPECTRAL_UNITS[axis]
    assert image.dtype == example.values.dtype.newbyteorder("=") and image.dtype.isnative
    assert image.attrs["units"] == example.units
    assert image.attrs["source"] == {"file": "tiny.bin", "sha256": hashlib.sha256(example.content).hexdigest()}
    assert image.attrs["history"][0].startswith(f"read tiny.bin ({name}")
    if example.pixel_size is None:
        assert pixel_size_nm(image) is None and image.y.attrs["units"] == image.x.attrs["units"] == "px"
        np.testing.assert_array_equal(image.x, np.arange(example.values.shape[1]))
    else:
        assert pixel_size_nm(image) == pytest.approx(example.pixel_size)
        np.testing.assert_allclose(image.y, np.arange(image.sizes["y"]) * example.pixel_size[0], atol=1e-9)


@every_format
def test_info_agrees_with_read_and_is_json(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.bin"
    path.write_bytes(EXAMPLES[name]().content)

    told, image = info(path), read(path)

    json.dumps(told, allow_nan=False)
    assert told["format"] == name
    assert (tuple(told["shape"]), told["dtype"], told["units"]) == (image.shape, str(image.dtype), image.attrs["units"])
    size = pixel_size_nm(image)
    assert told["pixel_size"] == (None if size is None else pytest.approx(list(size)))
    for channel, facts in zip(told["channels"], told["contents"], strict=True):
        one = read(path, channel=channel)
        assert (channel, list(one.shape), list(one.dims)) == (facts["name"], facts["shape"], facts["dims"])


# formats of which parts are read without the rest; the others are packed as a whole, or lines of text
BY_WINDOWS = {"TIFF", "NumPy npy", "EMD", "HyperSpy", "Nion Swift", "NeXus HDF5", "HDF5", "Gatan dm3 or dm4"}
BY_WINDOWS |= {"TIA ser", "MRC"}


@every_format
def test_windows_are_parts_of_what_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.bin"
    path.write_bytes(EXAMPLES[name]().content)
    image = read(path)
    if image.dims[-1] != "x":
        with pytest.raises(AdatomError, match="expected"):
            open_lazily(path)
        return
    rows, columns = slice(1, 4), slice(2, 6)
    if image.ndim == 2:
        lazy = open_lazily(path)
        window, same = lazy.window(rows, columns), image.values[rows, columns]
    else:
        movie = lazy = open_movie_lazily(path)
        window, same = movie.window(1, rows, columns), image.values[1, rows, columns]
        np.testing.assert_array_equal(movie.frame(0), image.isel(frame=0))
    np.testing.assert_array_equal(window, same)
    assert window.dtype == lazy.dtype == image.dtype and lazy.shape == image.shape[-2:]
    assert lazy.is_lazy == (name in BY_WINDOWS) and lazy.pixel_size == pytest.approx(pixel_size_nm(image))


@every_format
def test_the_input_is_left_as_it_was(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.bin"
    path.write_bytes(EXAMPLES[name]().content)
    path.chmod(0o444)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    read(path)
    info(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@every_format
def test_a_cut_file_never_passes_as_whole(name: str, tmp_path: Path) -> None:
    content = EXAMPLES[name]().content
    path = tmp_path / "cut.bin"
    # what follows the values in some formats is no part of the image
    behind = {"Createc dat": 0, "Igor ibw": 128, "TIA ser": 8, "Gatan dm3 or dm4": 120, "FAST-STM HDF5": 0}.get(name, 0)
    for length in (0, 1, 7, 8, len(content) // 4, len(content) // 2, len(content) - 20 - behind):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=r"expected .*, got .*"):
            read(path)


@cache
def content_of(name: str) -> bytes:
    return EXAMPLES[name]().content


@every_format
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_raises_our_errors_only(name: str, data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(content_of(name))
    places = st.integers(0, len(content) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        content[place] = byte
    content += data.draw(st.binary(max_size=16))
    path = tmp_path / "damaged.bin"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    for use in (read, info, lambda path: open_lazily(path, frame=0).window(slice(0, 2), slice(0, 2))):
        try:
            use(path)
        except AdatomError as error:
            assert ": expected " in str(error) and "\n" not in str(error)


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_unknown_content_names_the_formats(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "noise.tif"
    path.write_bytes(b"?" + content)
    with pytest.raises(FileFormatError) as caught:
        read(path)
    assert all(each.name in str(caught.value) for each in FORMATS)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="not there"):
        read(tmp_path / "none.sxm")
    with pytest.raises(FileFormatError, match="folder"):
        read(tmp_path)


def test_importing_the_room_loads_no_reader() -> None:
    code = "import adatom.files, sys; print(*{'torch', 'matplotlib', 'tifffile', 'PIL', 'h5py'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


# Known answers ------------------------------------------------------------------------------------------------------


def real(name: str) -> Path:
    if not (REAL / name).exists():
        pytest.skip(f"no {name} beside the repository")
    return REAL / name


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "pixel_size", "units"),
    [
        ("nanonis/nanonis.sxm", (160, 160), "float32", 0.0625, "m"),
        ("pt_single_atoms/021_HAADF_15nm_Sample_PtNC_21Oct20.tif", (512, 512), "uint32", 0.029296875, ""),
        ("re_pt_molecules/Ptporph0.tif", (512, 512), "uint16", None, ""),
        ("re_pt_molecules/bpy_crop11.png", (512, 512), "uint8", None, ""),
        ("pfm/GO_cafm.tif", (915, 915), "uint16", None, ""),
        ("stm_si111/image_with_defects.dat", (256, 256), "float64", None, "m"),
        ("stm_si111/image_with_step_edge_and_atoms.dat", (512, 512), "float64", None, "m"),
        ("mos2_haadf/MoS2_stem_Exp-000-2.npy", (512, 512), "float64", None, ""),
        ("vendor/example_Se_implanted_MoS2.dm3", (1024, 1024), "uint32", 0.0126953125, ""),
        ("vendor/example_Au_nanoparticle.emd", (2048, 2048), "uint16", 0.00749840149, ""),
        ("nanonis/createc_scan_11nm.dat", (512, 512), "float32", 0.02197332031, "nm"),
        ("pfm/PTO_Funakubo0001.h5", (256, 256), "float32", 1000 / 255, "m"),
        ("beps_pto/BEPS_PTO_50x50.h5", (50, 50, 64), "float64", 2000 / 49, "a.u."),
        ("fast_stm_movie/20141003_24.h5", (67, 105, 105), "float32", None, ""),
        ("atomai_models/segmentor_io.npz", (2, 256, 256), "float32", None, ""),
    ],
)
def test_real_files(name: str, shape: tuple[int, ...], dtype: str, pixel_size: float | None, units: str) -> None:
    path = real(name)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    told, image = info(path), read(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before == image.attrs["source"]["sha256"]
    assert (tuple(told["shape"]), told["dtype"], told["units"]) == (shape, dtype, units)
    assert told["pixel_size"] == (None if pixel_size is None else pytest.approx(pixel_size, rel=1e-9))
    assert image.shape == shape and np.isfinite(image).all() and float(image.std()) > 0


def test_forward_and_backward_scan_show_the_same_picture() -> None:
    path = real("nanonis/nanonis.sxm")
    assert info(path)["channels"] == ["Z", "Z backward", "Current", "Current backward"]
    forward, backward = read(path, channel="Z"), read(path, channel="Z backward")
    # the piezo lags behind: the backward picture lies 5 pixels to the left, and then agrees to 0.99
    inner = forward.values[:, 10:-10].ravel()
    agreement = [np.corrcoef(inner, np.roll(backward, lag, axis=1)[:, 10:-10].ravel())[0, 1] for lag in range(-9, 10)]
    assert max(agreement) > 0.98
    assert read(path, channel="Current").attrs["units"] == "A"
    assert forward.attrs["metadata"]["BIAS"] == pytest.approx(0.2688)


def test_heights_of_silicon_are_in_metres() -> None:
    assert float(read(real("stm_si111/image_with_defects.dat")).max()) == pytest.approx(9.86e-10, rel=1e-3)


def test_a_loop_of_voltages_is_the_last_axis() -> None:
    image = read(real("beps_pto/BEPS_PTO_50x50.h5"))
    assert image.dims == ("y", "x", "bias") and image.bias.attrs["units"] == "V"
    assert (float(image.bias.max()), float(image.bias.min()), float(image.bias[0])) == (8.5, -8.5, 0.0)
    assert float(image.x[-1]) == pytest.approx(2000)


def test_axes_in_degrees_by_mistake_are_lengths() -> None:
    path = real("pfm/PTO_Funakubo0001.h5")
    assert info(path)["channels"] == ["HeightRetrace", "AmplitudeRetrace", "DeflectionRetrace", "PhaseRetrace"]
    phase = read(path, channel="PhaseRetrace")
    assert phase.attrs["units"] == "deg" and pixel_size_nm(phase) == pytest.approx((1000 / 255, 1000 / 255))
    assert any("took the unit of axis x from another data set" in step for step in phase.attrs["history"])


def test_createc_heights_agree_in_both_directions_and_currents_with_the_set_point() -> None:
    path = real("nanonis/createc_scan_11nm.dat")
    assert info(path)["channels"] == ["Z", "Current", "Z backward", "Current backward"]
    assert float(read(path, channel="Current").median()) == pytest.approx(-300e-12, rel=0.03)  # FBLogIset, in pA
    flat = []
    for name in ("Z", "Z backward"):
        values = read(path, channel=name).values
        flat.append(values - np.median(values, axis=1, keepdims=True))
    # the piezo lags behind by about 13 pixels
    inner = flat[0][:, 60:-60].ravel()
    same = [np.corrcoef(inner, np.roll(flat[1], lag, axis=1)[:, 60:-60].ravel())[0, 1] for lag in range(25)]
    mirrored = [
        np.corrcoef(inner, np.roll(flat[1][:, ::-1], lag, axis=1)[:, 60:-60].ravel())[0, 1] for lag in range(25)
    ]
    assert max(same) > 0.3 > max(mirrored)


def test_the_four_movies_of_a_fast_scan_show_the_same_sample() -> None:
    path = real("fast_stm_movie/20141003_24.h5")
    names = ["up forward", "down forward", "up backward", "down backward"]
    assert info(path)["channels"] == names
    first = [read(path, channel=name, frame=3).values for name in names]
    for other, least in zip(first[1:], (0.6, 0.5, 0.5), strict=True):
        assert np.corrcoef(first[0].ravel(), other.ravel())[0, 1] > least
        for turned in (other[::-1], other[:, ::-1]):
            assert (
                np.corrcoef(first[0].ravel(), turned.ravel())[0, 1] < np.corrcoef(first[0].ravel(), other.ravel())[0, 1]
            )
