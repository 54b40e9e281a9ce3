"""The wire format of the Nanonis TCP programming interface: big-endian, a header of 40 bytes, then the body.

A header holds the command's name (32 bytes, filled up with zeros), the size of the body (int32), and of requests
whether a response is wanted (uint16). The body of a response ends with an error: status (uint32), size (int32), text.
What comes from outside is checked before it is used: names, sizes, numbers of elements.
"""

import math
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.errors import InstrumentError

HEADER = 40
_NAME = 32
MOST_BYTES = 1 << 28  # of a body: more is no answer
_CODES = {"H": 2, "I": 4, "i": 4, "f": 4, "d": 8}


def packed(types: str, values: Sequence[Any]) -> bytes:
    """Values one after the other: ``H, I, i, f, d`` as `struct` has them; ``s`` a string, ``a`` an array of int32, and
    ``A`` one of float32, each after its length; ``S`` strings after their size and number; ``F`` a table of float32
    after rows and columns.
    """
    parts = []
    for code, value in zip(types, values, strict=True):
        if code == "s":
            text = str(value).encode()
            parts.append(struct.pack(">i", len(text)) + text)
        elif code == "a":
            parts.append(struct.pack(f">i{len(value)}i", len(value), *value))
        elif code == "A":
            parts.append(struct.pack(f">i{len(value)}f", len(value), *value))
        elif code == "S":
            each = b"".join(struct.pack(">i", len(text)) + text for text in (str(name).encode() for name in value))
            parts.append(struct.pack(">ii", len(each), len(value)) + each)
        elif code == "F":
            table = np.asarray(value, dtype=">f4")
            parts.append(struct.pack(">ii", *table.shape) + table.tobytes())
        else:
            parts.append(struct.pack(">" + code, value))
    return b"".join(parts)


def message(command: str, body: bytes, *, is_request: bool) -> bytes:
    """A whole message."""
    return command.encode().ljust(_NAME, b"\0") + struct.pack(">iHH", len(body), int(is_request), 0) + body


def error_part(text: str = "") -> bytes:
    """The end of a response: no error, or one in words."""
    words = text.encode()
    return struct.pack(">Ii", int(bool(words)), len(words)) + words


class Body:
    """The body of a message, read from its beginning.

    Raises
    ------
    InstrumentError : where it is shorter than it says.
    """

    def __init__(self, content: bytes, of: str) -> None:
        self._content, self._at, self._of = content, 0, of

    def take(self, types: str) -> list[Any]:
        """Values of these types, see `packed`."""
        return [self._one(code) for code in types]

    def error(self) -> str:
        """The text of the error at the end; empty if there is none."""
        status, text = self.take("Is")
        return text.strip() or f"error {status}" if status else ""

    def error_alone(self) -> str:
        """The text of the error of a body that holds nothing else; empty if it is no such body."""
        with suppress(InstrumentError):
            alone = Body(self._content, self._of)
            text = alone.error()
            return text if alone._at == len(self._content) else ""
        return ""

    def _bytes(self, n: int) -> bytes:
        if n < 0 or self._at + n > len(self._content):
            raise InstrumentError(f"nanonis: {self._of} is damaged: it ends before what it says it holds.")
        self._at += n
        return self._content[self._at - n : self._at]

    def _one(self, code: str) -> Any:
        if code == "s":
            return self._bytes(self._one("i")).decode(errors="replace")
        if code == "a":
            return list(struct.unpack(f">{(n := self._few())}i", self._bytes(4 * n)))
        if code == "A":
            return list(struct.unpack(f">{(n := self._few())}f", self._bytes(4 * n)))
        if code == "S":
            self._one("i")
            return [self._one("s") for _ in range(self._few())]
        if code == "F":
            rows, columns = self._few(), self._few()
            table = np.frombuffer(self._bytes(4 * rows * columns), dtype=">f4")
            values: NDArray[np.float64] = table.reshape(rows, columns).astype(float)
            return values
        value = struct.unpack(">" + code, self._bytes(_CODES[code]))[0]
        if code in "fd" and not math.isfinite(value):
            raise InstrumentError(f"nanonis: {self._of} holds {value}, which is no number.")
        return value

    def _few(self) -> int:
        n = int(self._one("i"))
        if not 0 <= n <= len(self._content):
            raise InstrumentError(f"nanonis: {self._of} is damaged: it says that it holds {n} elements.")
        return n


def received(connection: socket.socket) -> tuple[str, bytes]:
    """A whole message: the command and the body.

    Raises
    ------
    InstrumentError : if it is none.
    OSError : if the connection is lost, or nothing comes in time.
    """
    header = _exactly(connection, HEADER)
    name, size = header[:_NAME].rstrip(b"\0"), struct.unpack(">i", header[_NAME : _NAME + 4])[0]
    if not name.isascii() or not name.replace(b".", b"").isalnum():
        raise InstrumentError("nanonis: expected the name of a command, got something else. Is this a Nanonis?")
    if not 0 <= size <= MOST_BYTES:
        raise InstrumentError(f"nanonis: expected a body of up to {MOST_BYTES} bytes, got a size of {size}.")
    return name.decode(), _exactly(connection, size)


def _exactly(connection: socket.socket, n: int) -> bytes:
    parts, left = [], n
    while left:
        part = connection.recv(min(left, 1 << 16))
        if not part:
            raise ConnectionError("the connection was closed in the middle of a message")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
