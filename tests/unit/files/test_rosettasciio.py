import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adatom.data import pixel_size_nm
from adatom.errors import FileFormatError
from adatom.files import read
from adatom.files.rosettasciio import VARIANTS, _describe
from benchmarks.tiny_files import gatan_dm3


def item(data: np.ndarray, *axes: tuple[str, float, str], navigate: int = 0) -> dict[str, Any]:
    listed = [
        {"name": name, "scale": scale, "offset": 0.0, "units": units, "size": n, "navigate": k < navigate}
        for k, ((name, scale, units), n) in enumerate(zip(axes, data.shape, strict=True))
    ]
    return {"data": data, "axes": listed, "metadata": {"General": {"title": "a"}}, "original_metadata": {"b": {"c": 1}}}


def test_without_the_library_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rsciio.digitalmicrograph", None)
    path = tmp_path / "a.dm3"
    path.write_bytes(gatan_dm3().content)
    with pytest.raises(FileFormatError, match=r"pip install 'adatom\[formats\]'"):
        VARIANTS["Gatan dm3 or dm4"].read_channels(path)


def test_version_4_of_gatan(tmp_path: Path) -> None:
    example = gatan_dm3(version=4)
    (tmp_path / "a.dm4").write_bytes(example.content)
    image = read(tmp_path / "a.dm4")
    np.testing.assert_array_equal(image, example.values)
    assert pixel_size_nm(image) == pytest.approx(example.pixel_size)


def test_spectrum_images_put_the_energy_last() -> None:
    data = np.arange(24.0).reshape(4, 2, 3)
    channel = _describe(item(data, ("Energy", 0.1, "keV"), ("y", 2.0, "um"), ("x", 1.0, "um")))
    assert channel is not None and channel.spectral is not None
    assert (channel.dims, channel.shape, channel.pixel_size) == (("y", "x", "energy"), (2, 3, 4), (2000.0, 1000.0))
    np.testing.assert_allclose(channel.spectral.values, [0, 100, 200, 300])
    np.testing.assert_array_equal(channel.load(None), data.transpose(1, 2, 0))


def test_a_third_axis_of_pictures_is_the_frame() -> None:
    data = np.arange(24).reshape(4, 2, 3)
    channel = _describe(item(data, ("Time", 1.0, "s"), ("y", 0.2, "nm"), ("x", 0.1, "nm"), navigate=1))
    assert channel is not None and channel.dims == ("frame", "y", "x") and channel.pixel_size == (0.2, 0.1)
    np.testing.assert_array_equal(channel.load(2), data[2])


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((3, 4), complex),
        np.zeros((2, 2, 3, 3)),
        np.zeros(5),
    ],
)
def test_what_is_no_image_is_left_out(data: np.ndarray) -> None:
    assert _describe(item(data, *[("", 1.0, "")] * data.ndim)) is None


def test_colour_becomes_luminance() -> None:
    data = np.zeros((2, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for band in "RGB":
        data[band] = np.arange(6).reshape(2, 3)
    channel = _describe(item(data, ("y", 1.0, "nm"), ("x", 1.0, "nm")))
    assert channel is not None and "luminance" in channel.history[0]
    np.testing.assert_array_equal(channel.load(None), np.arange(6).reshape(2, 3))


def test_diffraction_is_left_in_pixels() -> None:
    channel = _describe(item(np.zeros((3, 4)), ("y", 0.1, "1/nm"), ("x", 0.1, "1/nm")))
    assert channel is not None and channel.pixel_size is None
    assert channel.history == ("left the axes in pixels (calibrated in 1/nm)",)
