import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adatom.errors import FileFormatError
from adatom.files import info, read

GREY = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    values = GREY.astype(np.uint16) * 100
    Image.fromarray(values).save(tmp_path / "a.png")
    image = read(tmp_path / "a.png")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, values)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colour_becomes_luminance(mode: str, tmp_path: Path) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "a.png")
    image = read(tmp_path / "a.png")
    np.testing.assert_array_equal(image, GREY)
    assert "luminance" in image.attrs["history"][1]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_ignored(mode: str, tmp_path: Path) -> None:
    picture = Image.fromarray(GREY).convert(mode)
    picture.putalpha(0)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png"), GREY)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(mode: str, tmp_path: Path) -> None:
    Image.new("L", (7, 5), 100).convert(mode).save(tmp_path / "a.jpg", dpi=(300, 300))
    image = read(tmp_path / "a.jpg")
    assert image.shape == (5, 7) and image.x.attrs["units"] == "px"
    np.testing.assert_allclose(image, 100, atol=2)


def test_cut_jpeg(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError, match="truncated"):
        read(tmp_path / "a.jpg")


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 100_000, 2**31 - 1])
def test_decompression_bomb(side: int, tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_claiming(side, side))
    with pytest.raises(FileFormatError, match="expected"):
        info(tmp_path / "bomb.png")


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[content.index(b"IDAT") + 12] ^= 1
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(FileFormatError):
        read(tmp_path / "a.png")
