"""PNG and JPEG. Their resolution (dots per inch) is meant for a printer: pictures are never calibrated."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import UNNAMED, Channel
from adatom.files.luminance import LUMINANCE_STEP

# Memory of a laptop; a larger micrograph hardly comes as PNG or JPEG.
_MAX_PIXELS = 100_000_000
# deflate makes at most 1032 bytes out of one, and a byte may hold eight pixels
_MAX_PIXELS_PER_BYTE = 8 * 1032
# what is both larger than this and packed so well is a decompression bomb: noise alone takes more bytes
_LARGE_PIXELS = 4096 * 4096
_MAX_PIXELS_PER_BYTE_IF_LARGE = 200

_GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins with the magic number of PNG or JPEG."""
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def read_channels(path: Path) -> list[Channel]:
    """Describe the picture."""
    with _open(path) as picture:
        width, height = picture.size
        mode = picture.mode
        metadata = {str(k): v if isinstance(v, str) else float(v) for k, v in picture.info.items() if _is_plain(v)}
    n_pixels, n_bytes = width * height, path.stat().st_size
    per_byte = _MAX_PIXELS_PER_BYTE_IF_LARGE if n_pixels > _LARGE_PIXELS else _MAX_PIXELS_PER_BYTE
    if n_pixels > min(_MAX_PIXELS, per_byte * n_bytes):
        raise FileFormatError(
            f"{path.name}: expected at most {_MAX_PIXELS} pixels and no more than {n_bytes} bytes can hold, "
            f"got a claim of {width} x {height}. If the picture is real, save it as TIFF."
        )
    # A PNG of 16 bits is grey: Pillow reads 16-bit colour as 8 bits.
    dtype = np.dtype(np.uint16 if mode.startswith("I") else np.uint8)

    def load(frame: int | None) -> np.ndarray:
        with _open(path) as picture:
            picture.verify()  # Pillow checks the checksums of a PNG only here, and can read nothing afterwards
        with _open(path) as picture:
            if mode in _GREY_MODES:
                grey = picture.convert("L") if mode in ("1", "LA") else picture
                return np.array(grey).astype(dtype)
            return np.array(picture.convert("RGB").convert("L"))  # the weights of `luminance`, in less memory

    history = () if mode in _GREY_MODES else (LUMINANCE_STEP,)
    if not mode.startswith("I") and _is_16_bit_png(path):
        history = ("reduced 16-bit colour or transparency to 8 bits", *history)
    return [Channel(UNNAMED, (height, width), dtype, load, metadata=metadata, history=history)]


def _open(path: Path) -> Any:
    from PIL import Image

    with warnings.catch_warnings():
        # Pillow's own warning about large pictures: the limit above stands in its place
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path, formats=("PNG", "JPEG"))


def _is_16_bit_png(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(25)
    return head.startswith(b"\x89PNG") and head[24:25] == b"\x10"  # bit depth in the header chunk


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
