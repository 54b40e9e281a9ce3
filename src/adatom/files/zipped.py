"""Arrays inside zip files, for npz and ndata: claims are compared with what is stored before anything is unpacked."""

import io
import zipfile
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from adatom.errors import FileFormatError

_MAGIC = b"PK\x03\x04"
_MAX_MEMBERS = 10_000
_MAX_TEXT = 2**24
# deflate makes at most 1032 bytes out of one; what is large and packed a hundredfold holds no measurement
_MAX_EMPTY_BYTES = 2**27


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so is a zip."""
    return head.startswith(_MAGIC)


def zipped_names(path: Path) -> list[str]:
    """Names of the members."""
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()[:_MAX_MEMBERS]


def member_bytes(path: Path, name: str, limit: int = _MAX_TEXT) -> bytes:
    """The unpacked content of a small member, at most `limit` bytes of it."""
    with zipfile.ZipFile(path) as archive, archive.open(name) as member:
        return member.read(limit)


def zipped_array(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype, Callable[[], np.ndarray]]:
    """Shape, number type and loader of a member in npy form.

    Raises
    ------
    FileFormatError : if the member claims more values than it can hold, or holds Python objects.
    """
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(name)
        with archive.open(name) as member:
            start = io.BytesIO(member.read(2**16))
    shape, is_fortran, dtype = npy_header(path, start)
    claimed, stored = prod(shape) * dtype.itemsize, entry.compress_size
    held = path.stat().st_size
    if (
        stored > held
        or claimed > entry.file_size
        or claimed > max(_MAX_EMPTY_BYTES, 100 * stored)
        or claimed > 1100 * stored
    ):
        raise FileFormatError(
            f"{path.name}: expected {claimed} bytes of values in {name}, as its header says, got {stored} packed ones "
            f"in a file of {held}. It is truncated or damaged: copy it again."
        )
    offset = start.tell()

    def load() -> np.ndarray:
        with zipfile.ZipFile(path) as archive, archive.open(name) as member:
            member.read(offset)
            content = member.read(claimed)
            if not member.read(1) and len(content) == claimed:  # at its end zipfile has checked the checksum
                return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
        raise FileFormatError(f"{path.name}: expected {claimed} bytes of values in {name}, got another number.")

    return shape, dtype, load


def npy_header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the first axis runs fastest, and number type; leaves `file` at the first value."""
    version = npy_format.read_magic(file)
    readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
    if version not in readers:
        raise FileFormatError(f"{path.name}: expected npy version 1.0 or 2.0, got {version[0]}.{version[1]}.")
    shape, is_fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise FileFormatError(
            f"{path.name}: expected an array of numbers, got Python objects, which are never unpickled. "
            "Save it again as an array of floats."
        )
    return tuple(shape), is_fortran, dtype
