"""Createc dat: a text header of ``key=value`` lines, the word DATA, then zlib-packed float32, channel after channel.

`Channelselectval` has a bit for each thing measured (1 topography, 2 current, then further inputs); `Channels` is the
number of pictures: twice as many bits where the backward scan is kept too, all forward pictures first. Backward lines
are stored from left to right like the forward ones (so heights of both agree in a real file), and rows as one sees
them: nothing is turned. The first number is no pixel but a mark, and what follows the last picture belongs to the
program.

Values are steps of the converter. Heights: ``Dacto[A]z`` times ``GainZ`` Angstrom a step, told in nm; the same from
``ZPiezoconst`` [Angstrom/V] and the +-10 V over all steps where both agree, since ``Dacto`` is rounded to two digits
(along x that product, times ``Delta X`` and ``Num.X``, is the length of the scan that the file states to 0.01 %).
Currents: +-10 V over all steps, and ``Gainpreamp`` powers of ten volt an ampere, told in A (in a real file this gives
its set point). Other inputs stay as they are. The size of a pixel is the length of the scan over the number of pixels.
"""

import re
import zlib
from pathlib import Path

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel

_MAGICS = (b"[Paramco32]", b"[Parameter]", b"[Paramet32]")
_MAX_HEADER_BYTES = 2**20
_DATA = b"DATA"
_DTYPE = np.dtype("<f4")
_MARK_BYTES = _DTYPE.itemsize
_MAX_SIDE = 2**15
_MAX_CHANNELS = 64
# deflate makes at most 1032 bytes out of one
_MAX_EXPANSION = 1100
_FULL_SCALE_V = 20.0
_ROUNDING = 0.02
_MEASURED = ("Z", "Current")
_PIECE_BYTES = 2**20
_MAX_BYTES_AFTER = 2**24


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins as those of Createc do, and its values are packed."""
    return head.startswith(_MAGICS)


def read_channels(path: Path) -> list[Channel]:
    """Describe the channels: ``"Z"``, ``"Current"``, then ``"Z backward"``, ``"Current backward"``."""
    header, offset = _read_header(path)
    n_x, n_y = (_whole(path, header, f"Num.{axis}", _MAX_SIDE) for axis in "XY")
    n_channels = _whole(path, header, "Channels", _MAX_CHANNELS)
    claimed, packed = n_channels * n_x * n_y * _DTYPE.itemsize, path.stat().st_size - offset
    if claimed > _MAX_EXPANSION * packed:
        raise FileFormatError(
            f"{path.name}: expected {claimed} bytes of values as its header says, got {packed} packed ones that cannot "
            "hold them. It is truncated or damaged: copy it again."
        )
    x_size, y_size = (_number(header, f"Length {axis}[A]") * 0.1 / n for axis, n in (("x", n_x), ("y", n_y)))
    is_calibrated = 0 < x_size < np.inf and 0 < y_size < np.inf
    metadata: dict[str, str | float] = {}
    for key, text in header.items():
        number = _number(header, key)
        metadata[key] = number if np.isfinite(number) else text

    def channel(number: int, name: str) -> Channel:
        scale, units, step = _scale(header, name)

        def load(frame: int | None) -> np.ndarray:
            plane = n_x * n_y * _DTYPE.itemsize
            content = _unpack(path, offset, _MARK_BYTES + number * plane, plane, _MARK_BYTES + claimed)
            values = np.frombuffer(content, _DTYPE).reshape(n_y, n_x)
            return values if scale == 1.0 else (values * scale).astype(_DTYPE)

        direction = "backward" if name.endswith("backward") else "forward"
        return Channel(
            name,
            (n_y, n_x),
            _DTYPE,
            load,
            units=units,
            pixel_size=(y_size, x_size) if is_calibrated else None,
            metadata={"direction": direction, **metadata},
            history=(step,) if step else (),
        )

    return [channel(number, name) for number, name in enumerate(_names(header, n_channels))]


def _read_header(path: Path) -> tuple[dict[str, str], int]:
    """Header as key -> text, and where the packed values begin."""
    with open(path, "rb") as file:
        start = file.read(_MAX_HEADER_BYTES)
    # the word is followed by a zlib header: it may occur in the text too
    match = re.search(_DATA + rb"(?=\x78[\x01\x5e\x9c\xda])", start)
    if match is None:
        raise FileFormatError(
            f"{path.name}: expected a header that ends with DATA and packed values, got none. "
            "It is truncated, damaged, or was saved unpacked: save it again with Createc's program."
        )
    header: dict[str, str] = {}
    for line in start[: match.start()].decode("latin-1").replace("\x00", "\n").splitlines():
        key, equals, text = line.partition("=")
        key = key.split(" / ")[-1 if key.startswith("Titel") else 0].strip()
        if equals and key:
            header.setdefault(key, text.strip())
    return header, match.end()


def _number(header: dict[str, str], key: str) -> float:
    try:
        return float(header.get(key, ""))
    except ValueError:
        return float("nan")


def _whole(path: Path, header: dict[str, str], key: str, most: int) -> int:
    number = _number(header, key)
    if not (1 <= number <= most and number == int(number)):
        raise FileFormatError(
            f"{path.name}: expected a whole number from 1 to {most} in {key}, got {header.get(key, 'none')[:40]!r}."
        )
    return int(number)


def _names(header: dict[str, str], n_channels: int) -> list[str]:
    chosen = _number(header, "Channelselectval")
    bits = [bit for bit in range(31) if np.isfinite(chosen) and int(chosen) >> bit & 1]
    forward = [_MEASURED[bit] if bit < len(_MEASURED) else f"Input {bit - 1}" for bit in bits]
    if len(forward) == n_channels:
        return forward
    if 2 * len(forward) == n_channels:
        return forward + [f"{name} backward" for name in forward]
    return [f"Channel {number}" for number in range(n_channels)]


def _scale(header: dict[str, str], name: str) -> tuple[float, str, str]:
    """Factor from steps of the converter to the unit of the channel, that unit, and a step for the history."""
    bits = re.fullmatch(r"(\d{1,2})\s*bit", header.get("DAC-Type", ""))
    step_v = _FULL_SCALE_V / 2 ** int(bits[1]) if bits else float("nan")
    if name.startswith("Z"):
        stated, exact = _number(header, "Dacto[A]z"), _number(header, "ZPiezoconst") * step_v
        is_same = abs(exact - stated) <= _ROUNDING * abs(stated)
        factor, units = (exact if is_same else stated) * _number(header, "GainZ") * 0.1, "nm"
        how = "ZPiezoconst x GainZ" if is_same else "Dacto[A]z x GainZ"
    elif name.startswith("Current"):
        gain = _number(header, "Gainpreamp")
        factor = step_v / 10**gain if 0 <= gain <= 15 else float("nan")
        units, how = "A", "+-10 V over the range of the converter, Gainpreamp"
    else:
        return 1.0, "", ""
    if not np.isfinite(factor) or factor == 0:
        return 1.0, "", "left the values in steps of the converter: the header has no factor for them"
    return factor, units, f"multiplied by {factor:.6g} {units} a step of the converter ({how})"


def _unpack(path: Path, offset: int, start: int, count: int, claimed: int) -> bytes:
    """`count` unpacked bytes from `start`; never more in memory than these and a piece.

    Everything is unpacked, since only its end says whether the file is whole, but not more than the header allows.

    Raises
    ------
    FileFormatError : if there are fewer than `claimed` bytes in all, far more, or no end.
    """
    kept = bytearray()
    position = 0
    unpacker = zlib.decompressobj()
    with open(path, "rb") as file:
        file.seek(offset)
        while not unpacker.eof and position <= claimed + _MAX_BYTES_AFTER:
            packed = unpacker.unconsumed_tail or file.read(_PIECE_BYTES)
            if not packed:
                break
            piece = unpacker.decompress(packed, _PIECE_BYTES)
            kept += piece[max(start - position, 0) : max(start + count - position, 0)]
            position += len(piece)
    if position < claimed or not unpacker.eof:
        raise FileFormatError(
            f"{path.name}: expected {claimed} bytes of values as its header says, and their end, got {position}. "
            "It is truncated or damaged: copy it again."
        )
    return bytes(kept)
