"""What every file format promises, run over the table of formats, and known answers on real files."""

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from adatom.data import check_image, pixel_size_nm
from adatom.errors import AdatomError, FileFormatError, MissingFileError
from adatom.files import FORMATS, info, read

REAL = Path(__file__).parents[2].parent / "shared" / "data"
VALUES = np.arange(35).reshape(5, 7)  # 5 rows, 7 columns: a swap of axes shows


class Example(NamedTuple):
    """The bytes of a tiny file, and what must come out of it."""

    content: bytes
    values: np.ndarray
    pixel_size: tuple[float, float] | None = None
    units: str = ""


def nanonis_sxm() -> Example:
    header = (
        ":NANONIS_VERSION:\n2\n:SCANIT_TYPE:\n\tFLOAT\tMSBFIRST\n:SCAN_PIXELS:\n\t7\t5\n:SCAN_RANGE:\n\t7E-9\t2.5E-9\n"
        ":SCAN_DIR:\ndown\n:BIAS:\n\t1.0E-1\n:DATA_INFO:\n\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n"
        "\t14\tZ\tm\tboth\t1.0E-8\t0.0E+0\n\n:SCANIT_END:\n\n\n"
    )
    values = VALUES.astype(">f4")
    return Example(
        header.encode() + b"\x1a\x04" + values.tobytes() + values[:, ::-1].tobytes(), values, (0.5, 1.0), "m"
    )


def tiff() -> Example:
    values = VALUES.astype(np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, values, imagej=True, resolution=(2, 4), metadata={"unit": "nm"})
    return Example(file.getvalue(), values, (0.25, 0.5))


def png() -> Example:
    values = VALUES.astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return Example(file.getvalue(), values)


def npy() -> Example:
    values = VALUES.astype(np.float64)
    file = io.BytesIO()
    np.save(file, values)
    return Example(file.getvalue(), values)


def height_map_dat() -> Example:
    values = VALUES.astype("<f8")
    return Example(np.array([5, 7], "<u4").tobytes() + values.tobytes(), values, units="m")


EXAMPLES: dict[str, Callable[[], Example]] = {
    "Nanonis sxm": nanonis_sxm,
    "TIFF": tiff,
    "PNG or JPEG": png,
    "NumPy npy": npy,
    "height map dat": height_map_dat,
}

every_format = pytest.mark.parametrize("name", [each.name for each in FORMATS])


@every_format
def test_reads_what_was_written(name: str, tmp_path: Path) -> None:
    example = EXAMPLES[name]()
    path = tmp_path / "tiny.bin"
    path.write_bytes(example.content)

    image = check_image(read(path), ndim=2)

    np.testing.assert_array_equal(image.values, example.values)
    assert image.dims == ("y", "x")
    assert image.dtype == example.values.dtype.newbyteorder("=") and image.dtype.isnative
    assert image.attrs["units"] == example.units
    assert image.attrs["source"] == {"file": "tiny.bin", "sha256": hashlib.sha256(example.content).hexdigest()}
    assert image.attrs["history"][0].startswith(f"read tiny.bin ({name}")
    if example.pixel_size is None:
        assert pixel_size_nm(image) is None and image.y.attrs["units"] == image.x.attrs["units"] == "px"
        np.testing.assert_array_equal(image.x, np.arange(7))
    else:
        assert pixel_size_nm(image) == pytest.approx(example.pixel_size)
        np.testing.assert_allclose(image.y, np.arange(5) * example.pixel_size[0])


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
    for channel in told["channels"]:
        assert read(path, channel=channel).shape == image.shape


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
    for length in (0, 1, 7, 8, len(content) // 4, len(content) // 2, len(content) - 20):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=r"expected .*, got .*"):
            read(path)


@every_format
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_raises_our_errors_only(name: str, data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(EXAMPLES[name]().content)
    places = st.integers(0, len(content) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        content[place] = byte
    content += data.draw(st.binary(max_size=16))
    path = tmp_path / "damaged.bin"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    for use in (read, info):
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
    ],
)
def test_real_files(name: str, shape: tuple[int, int], dtype: str, pixel_size: float | None, units: str) -> None:
    told, image = info(real(name)), read(real(name))
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
