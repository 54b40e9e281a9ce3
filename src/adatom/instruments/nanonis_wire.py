"""The wire format of the Nanonis TCP programming interface, for the driver and for the simulator.

A message is a header of 40 bytes and a body, all big-endian. The header of a request: the command's name in 32 bytes,
padded with zeros; the size of the body (int32); whether an answer is wanted (uint16); zero (uint16). That of an
answer: name, size, and four bytes of zeros. The body of an answer ends with an error: status (uint32, 0 if there is
none), the size of its text (int32), the text. Source: the maker's Python client ``nanonis_spm``, as a description of
the protocol.

Fields of a body are written here as words: ``H h I i f d`` as in `struct`; ``s`` a text after its size; ``s*`` an array
of texts after its size in bytes and its length; ``i*`` and ``f*`` an array after its length; ``i#`` and ``f#`` an array
whose length is the first field of the body; ``f**`` rows, columns, and an array of two dimensions.

What comes from the other side is believed in nothing: sizes are held against what is there before they are used.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

HEADER_BYTES = 40
MOST_BYTES = 2**28  # 256 MiB, a scan of 8192 x 8192
_NAME_BYTES = 32
_MOST_TEXT = 2000


class WireError(Exception):
    """What came is no message of this protocol."""


def packed_request(command: str, kinds: Sequence[str], values: Sequence[Any]) -> bytes:
    """A whole request that wants an answer."""
    body = packed_fields(kinds, values)
    return _header(command, len(body), 1) + body


def packed_answer(command: str, kinds: Sequence[str], values: Sequence[Any], error: str = "") -> bytes:
    """A whole answer; one with an error keeps the form of its fields, as the real one does."""
    text = error.encode()
    body = packed_fields(kinds, values) + struct.pack(">Ii", 1 if error else 0, len(text)) + text
    return _header(command, len(body), 0) + body


def read_header(header: bytes) -> tuple[str, int]:
    """Command and size of the body.

    Raises
    ------
    WireError : if the name is no text, or the size is none that a message has.
    """
    name, size = header[:_NAME_BYTES].rstrip(b"\0"), struct.unpack(">i", header[_NAME_BYTES : _NAME_BYTES + 4])[0]
    if not name.isascii() or not name.decode("ascii").isprintable():
        raise WireError("a header without a command's name")
    if not 0 <= size <= MOST_BYTES:
        raise WireError(f"a body of {size} bytes")
    return name.decode("ascii"), size


def read_answer(body: bytes, kinds: Sequence[str]) -> tuple[list[Any], str]:
    """Fields of an answer and the text of its error; without fields where it says an error and keeps to no form.

    Raises
    ------
    WireError : if the body has another form, or something is left over.
    """
    try:
        values, at = read_fields(body, kinds)
        error, at = _read_error(body, at)
        if at != len(body):
            raise WireError(f"{len(body) - at} bytes too many")
    except WireError:
        error, at = _read_error(body, 0)  # some errors come alone
        if not error or at != len(body):
            raise
        values = []
    return values, error


def read_fields(body: bytes, kinds: Sequence[str]) -> tuple[list[Any], int]:
    """Fields from the start of a body, and where they end.

    Raises
    ------
    WireError : if the body ends before them, or a size makes no sense.
    """
    values: list[Any] = []
    at = 0
    for kind in kinds:
        value: Any
        if kind == "s":
            value, at = _read_text(body, at)
        elif kind == "s*":
            value, at = _read_texts(body, at)
        elif kind.endswith("**"):
            rows, at = _read_number(body, at, "i")
            columns, at = _read_number(body, at, "i")
            if rows < 0 or columns < 0:
                raise WireError(f"an array of {rows} x {columns}")
            value, at = _read_array(body, at, kind[0], rows * columns)
            value = value.reshape(rows, columns)
        elif kind.endswith("*"):
            length, at = _read_number(body, at, "i")
            value, at = _read_array(body, at, kind[0], length)
        elif kind.endswith("#"):
            value, at = _read_array(body, at, kind[0], int(values[0]))
        else:
            value, at = _read_number(body, at, kind)
        values.append(value)
    return values, at


def packed_fields(kinds: Sequence[str], values: Sequence[Any]) -> bytes:
    """Fields one after another."""
    parts = []
    for kind, value in zip(kinds, values, strict=True):
        if kind == "s":
            parts.append(_packed_text(value))
        elif kind == "s*":
            texts = b"".join(_packed_text(each) for each in value)
            parts.append(struct.pack(">ii", len(texts), len(value)) + texts)
        elif kind.endswith("**"):
            array = np.asarray(value, dtype=f">{_DTYPES[kind[0]]}")
            parts.append(struct.pack(">ii", *array.shape) + array.tobytes())
        elif kind.endswith(("*", "#")):
            array = np.asarray(value, dtype=f">{_DTYPES[kind[0]]}")
            parts.append((struct.pack(">i", array.size) if kind.endswith("*") else b"") + array.tobytes())
        else:
            parts.append(struct.pack(f">{kind}", value))
    return b"".join(parts)


_DTYPES = {"H": "u2", "h": "i2", "I": "u4", "i": "i4", "f": "f4", "d": "f8"}


def _header(command: str, size: int, wants_answer: int) -> bytes:
    return command.encode("ascii").ljust(_NAME_BYTES, b"\0") + struct.pack(">iHH", size, wants_answer, 0)


def _packed_text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">i", len(encoded)) + encoded


def _read_number(body: bytes, at: int, kind: str) -> tuple[Any, int]:
    end = at + struct.calcsize(f">{kind}")
    if end > len(body):
        raise WireError("a body that ends too early")
    return struct.unpack(f">{kind}", body[at:end])[0], end


def _read_array(body: bytes, at: int, kind: str, length: int) -> tuple[Any, int]:
    dtype = np.dtype(f">{_DTYPES[kind]}")
    if length < 0 or at + length * dtype.itemsize > len(body):
        raise WireError(f"an array of {length} numbers in a body that ends before")
    native = np.frombuffer(body, dtype, count=length, offset=at).astype(dtype.newbyteorder("="))
    return native, at + length * dtype.itemsize


def _read_text(body: bytes, at: int) -> tuple[str, int]:
    size, at = _read_number(body, at, "i")
    if size < 0 or at + size > len(body):
        raise WireError(f"a text of {size} bytes in a body that ends before")
    return body[at : at + size].decode("utf-8", errors="replace"), at + size


def _read_texts(body: bytes, at: int) -> tuple[list[str], int]:
    size, at = _read_number(body, at, "i")
    length, at = _read_number(body, at, "i")
    if length < 0 or size < 0 or at + size > len(body) or 4 * length > size:
        raise WireError(f"{length} texts in {size} bytes of a body that ends before")
    end = at + size
    texts = []
    for _ in range(length):
        text, at = _read_text(body[:end], at)
        texts.append(text)
    if at != end:
        raise WireError("texts that are shorter than they say")
    return texts, at


def _read_error(body: bytes, at: int) -> tuple[str, int]:
    status, at = _read_number(body, at, "I")
    text, at = _read_text(body, at)
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:_MOST_TEXT]).strip()
    return (shown or f"error {status}" if status or shown else ""), at
